"""One worker process: its hub, signals, heartbeat and generations; the data plane does the rest.

gunicorn's Worker is the contract with the arbiter (`age`, `tmp`, `aborted`, `init_process`). What differs: the
heartbeat is a cell of the control page instead of a temporary file, signals are watchers of the hub, and a
socketpair to the master brings generations and carries acknowledgements back. The hub is made here, after the
fork; the modules it needs were imported before, so their memory is shared.

Bytes to the master: `b` once, when connections are accepted; `a` after each generation that is in force.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import gevent
import gevent.event
from gunicorn.workers.base import Worker

from config import generation_channel
from config.cells import Cells
from config.collecting import Collector
from config.control_page import Cell, ControlPage, Slot
from config.generation_channel import ParcelRefused, close_all
from config.generation_layout import MOST_FILES, GenerationRefused
from config.logs import reopen_logs
from config.static import StaticConfiguration
from workers.shared import SharedState

BEAT_SECONDS: Final = 1.0
BOOTED: Final = b"b"
APPLIED: Final = b"a"
_RESERVED_DESCRIPTORS: Final = 2 * MOST_FILES
_CHANNEL_BYTES: Final = 4096
"""Room for a few generations: one that hangs should not keep the descriptors of hundreds under way."""
_IGNORED: Final = ("HUP", "USR2", "WINCH", "TTIN", "TTOU")
"""Meant for the master alone; a terminal or a careless kill sends them to the whole group."""

log = logging.getLogger(__name__)


class QuicPlace(NamedTuple):
    """Where a worker stands among those that serve HTTP/3; `ways`: entry and exit by slot (`master.relays`)."""

    lane: int
    slot: int
    ways: Mapping[int, tuple[socket.socket, socket.socket]]


class Plane(Protocol):
    """What a worker needs of the data plane (workers.dataplane.DataPlane)."""

    def start(self) -> None: ...
    def apply(self, descriptors: Sequence[int]) -> None: ...
    def terminate(self) -> None: ...
    def quit(self) -> None: ...
    def reopen_logs(self) -> None: ...


class PlaneFactory(Protocol):
    def __call__(
        self,
        static: StaticConfiguration,
        listeners: Mapping[str, socket.socket],
        page: ControlPage,
        slot: Slot,
        log: logging.Logger,
        *,
        shared: SharedState,
        quic: QuicPlace | None = None,
    ) -> Plane: ...


def data_plane() -> PlaneFactory:
    """The real data plane. Called before the fork, so that all its modules are loaded once.

    Ticket keys and the certificate of last resort are made here: they are the same for all workers to come. So is
    the parser of rules, which takes some 50 ms that no worker should be away for.
    """
    from config import rules
    from workers.dataplane import DataPlane
    from workers.tls_engine import TLSEngine

    rules.parse("Path(`/`)")

    return functools.partial(DataPlane, tls=TLSEngine())


def load_http3() -> None:
    """Import what HTTP/3 needs, so that workers share its memory. Called before a fork, and before root is
    given up where that is to come. Raises ImportError without the extra."""
    importlib.import_module("workers.http3.servers")


def load_hub_classes() -> None:
    """Import what making a hub would import, without making one. Called before the fork and before root is
    given up: the interpreter's own files need not be readable afterwards."""
    settings = gevent.config
    for name in ("loop", "format_context", "resolver", "threadpool"):
        getattr(settings, name)


class SlotBeat:
    """Takes the place of gunicorn's WorkerTmp: the arbiter asks it when the worker was last alive."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    def notify(self) -> None:
        self._slot.beat()

    def last_update(self) -> float:
        """Monotonic seconds."""
        return self._slot[Cell.HEARTBEAT_NS] / 1e9

    def close(self) -> None:
        """Nothing is held."""


class GeventWorker(Worker):
    """`lane` is the set of listening sockets it works on, `slot` its place on the control page.

    The master makes it before the fork and keeps its copy for bookkeeping: `channel`, `generation_sent`,
    `is_ready`, `is_retiring` and `retire_deadline` are the master's view. `init_process` runs in the child and
    returns when the worker has done its work.
    """

    def __init__(self, age: int, ppid: int, lane: int, slot: Slot, epoch: int) -> None:
        # gunicorn's own constructor would make a temporary file for the heartbeat
        self.age = age
        self.ppid = ppid
        self.pid = 0
        self.booted = False
        self.aborted = False
        self.alive = True
        self.tmp = SlotBeat(slot)
        self.lane = lane
        self.slot = slot
        self.epoch = epoch
        self.born = time.monotonic()
        self.channel, self.master_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHANNEL_BYTES)
        self.generation_sent = 0
        self.is_ready = False
        self.is_retiring = False
        self.retire_deadline = float("inf")

    def __repr__(self) -> str:
        return f"<Worker {self.pid} lane {self.lane} slot {self.slot.index} epoch {self.epoch}>"

    def prepare(
        self,
        factory: PlaneFactory,
        static: StaticConfiguration,
        listeners: Mapping[str, socket.socket],
        page: ControlPage,
        cells: Cells,
        generation: Sequence[int],
        ways: Mapping[int, tuple[socket.socket, socket.socket]] | None = None,
    ) -> None:
        """In the child, before init_process: what to serve, where, and the files of the newest generation, if any.

        `ways`: entry and exit of those to other workers, by slot; only used with HTTP/3.
        """
        self._factory = factory
        self._static = static
        self._listeners = listeners
        self._page = page
        self._cells = cells
        self._generation = generation
        self._ways = ways or {}

    def init_process(self) -> None:
        """Serve until told to stop. Signals are blocked until the hub handles them."""
        self.channel.close()
        self.master_channel.setblocking(False)
        self._finished = gevent.event.Event()
        self._is_draining = self._is_ending = False
        self._collector = Collector()
        self.init_signals()
        hub = gevent.get_hub()
        beat = hub.loop.timer(0, BEAT_SECONDS)
        beat.start(self.notify)
        self.notify()
        shared = SharedState(self._cells, self.slot.index)
        more = {"quic": QuicPlace(self.lane, self.slot.index, self._ways)} if self._ways else {}
        self._plane = self._factory(
            self._static, self._listeners, self._page, self.slot, log, shared=shared, **more
        )
        if self._generation:
            self._apply(self._generation)
        if not self._is_ending:  # told to go while the generation was applied: all may be closed already
            self._plane.start()
            self.booted = True
            self._tell(BOOTED)
            log.info("worker serves", extra={"pid": os.getpid(), "lane": self.lane})
        receiver = gevent.spawn(self._receive)
        self._finished.wait()
        receiver.kill()
        beat.stop()

    def init_signals(self) -> None:
        """Called with all signals blocked: none may meet the handlers inherited from the master."""
        for name in _IGNORED:
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        loop = gevent.get_hub().loop
        self._watchers = []
        for number, handler in (
            (signal.SIGTERM, self._drain),
            (signal.SIGINT, self._quit),
            (signal.SIGQUIT, self._quit),
            (signal.SIGUSR1, self._reopen),
        ):
            watcher = loop.signal(number)
            watcher.start(handler)
            self._watchers.append(watcher)
        # a hung hub cannot run a handler: the master's ABRT prints where it hangs and ends the process
        faulthandler.disable()  # else enabling does nothing where the interpreter came with it enabled
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        faulthandler.enable(file=2)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _reopen(self) -> None:
        reopen_logs()
        self._plane.reopen_logs()

    def _drain(self) -> None:
        """TERM; a second one changes nothing."""
        if not self._is_draining:
            self._is_draining = self._is_ending = True
            gevent.spawn(self._plane.terminate).link(lambda _: self._finished.set())

    def _quit(self) -> None:
        """INT and QUIT: at once, also while draining."""
        self._is_ending = True
        gevent.spawn(self._plane.quit).link(lambda _: self._finished.set())

    def _receive(self) -> None:
        """Apply generations as they come; of several waiting ones only the newest."""
        watcher = gevent.get_hub().loop.io(self.master_channel.fileno(), 1)
        while True:
            reserve = _reserved_descriptors()
            gevent.get_hub().wait(watcher)
            close_all(reserve)
            newest, is_open = self._newest_waiting()
            if newest:
                self._apply(newest)
            if not is_open:
                log.error("the master is gone, draining", extra={"pid": os.getpid()})
                self._drain()
                return

    def _newest_waiting(self) -> tuple[Sequence[int], bool]:
        """(files of the newest generation that came whole, if any; whether the master is still there)."""
        newest: Sequence[int] = ()
        while True:
            try:
                parcel = generation_channel.receive(self.master_channel)
            except ParcelRefused as error:
                log.error("a generation is lost", extra={"error": error, "pid": os.getpid()})
                continue
            except BlockingIOError:
                return newest, True
            except OSError:
                return newest, False
            if parcel is None:
                return newest, False
            close_all(newest)
            newest = parcel.descriptors

    def _apply(self, descriptors: Sequence[int]) -> None:
        """Put it in force and close it. Where that fails the last good one stays, and the log says so."""
        try:
            with self._collector.change():
                self._plane.apply(descriptors)
        except GenerationRefused as error:
            log.error("generation refused", extra={"error": error})
        except Exception:
            # ending the process would help nobody: its successor inherits the same generation
            log.exception("generation not applied")
        else:
            self._tell(APPLIED)
        finally:
            close_all(descriptors)

    def _tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self.master_channel.send(message)


def _reserved_descriptors() -> list[int]:
    """Places kept free for the files of a generation, and for those of its successor or its own duplicates.

    The kernel drops descriptors that find no place, so a flood of connections would cut the worker off from its
    configuration.
    """
    reserve: list[int] = []
    with contextlib.suppress(OSError):
        reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        while len(reserve) < _RESERVED_DESCRIPTORS:
            reserve.append(os.dup(reserve[0]))
    return reserve


__all__ = ["APPLIED", "BOOTED", "GeventWorker", "Plane", "PlaneFactory", "data_plane"]
