"""The workers: started in their lanes, watched, retired, buried.

Carries out what the roster plans. A worker is a fork of the master that keeps only what is its own: the
sockets of its lane, its end of the channel, the control page and the newest generation.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, NoReturn

from config import logs
from config.cells import Cells
from config.control_page import SLOT_COUNT, Cell, ControlPage, Head
from master import privileges
from master.children import Provider
from master.generations import Generations
from master.loop import Loop
from master.relays import Relays
from master.roster import Roster
from master.sockets import BindError, Sockets
from master.spawn import describe_status, send_signal
from workers import worker as worker_module
from workers.worker import BOOTED, GeventWorker

if TYPE_CHECKING:
    from master.app import PointsmanApplication

LANE_SETTLE_SECONDS: Final = 1.0
"""How long a lane that gets no new connections goes on listening: handshakes under way come to their end."""

LARGEST_CREW: Final = SLOT_COUNT // 2
"""A reload needs a slot for each old and each new worker."""

log = logging.getLogger(__name__)


class NoWorkerStarts(Exception):
    """The first workers of all lanes have failed: the cause is not one worker's."""


class Crew:
    """Master only. `workers` is also gunicorn's table of children, by pid."""

    def __init__(
        self,
        app: PointsmanApplication,
        page: ControlPage,
        loop: Loop,
        generations: Generations,
        provider: Provider,
        cells: Cells,
    ) -> None:
        self._app = app
        self._page = page
        self._cells = cells
        self._loop = loop
        self._generations = generations
        self._provider = provider
        # imported before the first fork, so that all workers share its memory
        worker_module.load_hub_classes()
        self._plane_factory = worker_module.data_plane()
        if any(point.http3 is not None for point in app.static.entry_points.values()):
            worker_module.load_http3()
        self._age = 0
        self._lane_close_due: float | None = None
        self.roster = Roster()
        self.workers: dict[int, GeventWorker] = {}
        self.sockets = Sockets(0)
        self._relays = Relays()
        self.drain_seconds = float("inf")
        """A retiring worker that is still there after so long is killed."""
        self.is_paused = False
        self.is_stopping = False
        self.waits_for_generation = False
        self.has_twin = False
        """Two masters serve from the same sockets during a binary upgrade."""

    def manage(self, wanted: int, now: float) -> int:
        """Start, retire and inform workers so that `wanted` serve. Returns how many can be had."""
        wanted = self._manage_lanes(min(wanted, LARGEST_CREW), now)
        self._page[Head.WORKERS_WANTED] = wanted
        if not self.waits_for_generation:
            staffed = 0 if self.is_paused else min(wanted, self.sockets.lane_count)
            plan = self.roster.plan(self.workers.values(), staffed, now)
            for lane in plan.starts:
                self._spawn(lane)
            for worker in plan.retirements:
                # a worker of a surplus lane goes when the lane is closed
                if self.is_paused or worker.lane < wanted:
                    self._retire(worker, now)
        self._end_overdue(now)
        self.relay()
        return wanted

    def relay(self) -> None:
        """Send the newest generation to those who have not got it."""
        for worker in self.workers.values():
            self._generations.relay(worker)

    def _manage_lanes(self, wanted: int, now: float) -> int:
        """Follow TTIN and TTOU. A lane is opened again only when its former worker has gone."""
        lanes = self.sockets.lane_count
        if wanted < lanes:
            self._close_lanes(wanted, now)
        elif self._lane_close_due is not None:
            self._lane_close_due = None
            self.sockets.steer(lanes)
        while wanted > self.sockets.lane_count:
            if any(worker.lane == self.sockets.lane_count for worker in self.workers.values()):
                break
            try:
                self.sockets.open_lane()
            except BindError as error:
                log.error("no further worker: %s", error)
                return self.sockets.lane_count
        return wanted

    def _close_lanes(self, wanted: int, now: float) -> None:
        if self._lane_close_due is None:
            self._lane_close_due = now + LANE_SETTLE_SECONDS
            if not self.has_twin:  # the other master counts its own lanes in the same group
                self.sockets.steer(wanted)
        elif now >= self._lane_close_due:
            self._lane_close_due = None
            while self.sockets.lane_count > wanted:
                self.sockets.close_last_lane()
            for worker in list(self.workers.values()):
                if worker.lane >= wanted and not worker.is_retiring:
                    self._retire(worker, now)

    def seconds_to_next_step(self, now: float) -> float:
        """How long nothing is to be done here, signals and deaths apart."""
        lane_due = float("inf") if self._lane_close_due is None else self._lane_close_due - now
        return max(0.0, min(lane_due, self.roster.seconds_to_next_start(now)))

    def _retire(self, worker: GeventWorker, now: float) -> None:
        worker.is_retiring = True
        worker.retire_deadline = now + self.drain_seconds
        send_signal(worker.pid, signal.SIGTERM)

    def _end_overdue(self, now: float) -> None:
        for worker in self.workers.values():
            if now > worker.retire_deadline:
                log.error("worker does not end its draining, it is killed", extra={"pid": worker.pid})
                worker.retire_deadline = float("inf")
                send_signal(worker.pid, signal.SIGKILL)

    def _spawn(self, lane: int) -> None:
        index = self.roster.slot_index_for(lane, self.workers.values())
        if index is None:
            return
        slot = self._page.slot(index)
        slot.clear()
        slot.beat()
        self._cells.open_slot(index)
        self._age += 1
        try:
            if self.sockets.has_twins:
                self._relays.open(max(index + 1, 2 * self.sockets.lane_count))
            worker = GeventWorker(self._age, os.getpid(), lane, slot, self.roster.epoch)
        except OSError as error:
            self._could_not_start(lane, error)
            return
        try:
            self._fork(worker)
        except OSError as error:
            worker.channel.close()
            worker.master_channel.close()
            self._could_not_start(lane, error)
            return
        worker.master_channel.close()
        worker.channel.setblocking(False)
        worker.generation_sent = self._generations.number if self._generations.descriptors else 0
        self._loop.watch(worker.channel.fileno(), lambda: self._hear(worker))

    def _fork(self, worker: GeventWorker) -> None:
        """Raises OSError where the machine has no room for a process."""
        # a signal must meet either the master's handlers or the worker's, never what was copied
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                self._become(worker)
            worker.pid = pid
            worker.slot[Cell.PID] = pid
            self.workers[pid] = worker
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _could_not_start(self, lane: int, error: OSError) -> None:
        """Processes or descriptors are short for now: that must not end those that serve."""
        log.error("no worker could be started: %s", error.strerror, extra={"lane": lane})
        self.roster.failed(lane, time.monotonic())

    def _become(self, worker: GeventWorker) -> NoReturn:
        """In the child: drop what is not its own, serve, exit. No frame of the master is ever returned to."""
        status = 1
        try:
            self._loop.close()
            self._provider.close_in_child()
            for sibling in self.workers.values():
                sibling.channel.close()
            worker.pid = os.getpid()
            listeners = self.sockets.keep_lane(worker.lane)
            if os.geteuid() != 0:
                privileges.set_capabilities(0)
            privileges.name_process(f"pointsman:w{worker.slot.index}")
            logs.name_process(f"worker {worker.slot.index}")
            worker.prepare(
                self._plane_factory,
                self._app.static,
                listeners,
                self._page,
                self._cells,
                self._generations.descriptors,
                self._relays.ways,
            )
            worker.init_process()
            status = 0
        except BaseException:
            log.exception("worker failed", extra={"pid": os.getpid()})
        finally:
            try:
                sys.stdout.flush()
            finally:  # no output, or none that takes the rest: a second master would be worse
                os._exit(status)

    def _hear(self, worker: GeventWorker) -> None:
        """Anything it says also wakes the loop, which looks at the control page."""
        try:
            message = worker.channel.recv(16)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:  # it has closed its end; SIGCHLD tells the rest
            self._loop.unwatch(worker.channel.fileno())
            return
        worker.booted = worker.booted or message == BOOTED
        if worker.booted and not worker.is_ready:
            self.roster.was_ever_ready = True
            # one that could not take the generation it inherited must not replace one that serves it
            worker.is_ready = worker.slot[Cell.GENERATION] > 0 or not self._generations.descriptors

    def ended(self, pid: int, status: int) -> bool:
        """Take note that this child was waited for; False if it is no worker. Raises NoWorkerStarts."""
        worker = self.workers.pop(pid, None)
        if worker is None:
            return False
        self._loop.unwatch(worker.channel.fileno())
        worker.channel.close()
        worker.slot.clear()
        self._cells.clear_slot(worker.slot.index)
        if worker.is_retiring or self.is_stopping:
            log.info("worker %s", describe_status(status), extra={"pid": pid})
            return True
        log.error("worker %s", describe_status(status), extra={"pid": pid, "lane": worker.lane})
        self.roster.ended(worker, time.monotonic())
        if self.roster.has_failed_everywhere(self.sockets.lane_count):
            raise NoWorkerStarts("no worker could start")
        return True

    def serves(self, first_complete: int, wanted: int) -> bool:
        """Every lane has a worker of this epoch, and all workers have a complete generation in force."""
        serving = [worker for worker in self.workers.values() if not worker.is_retiring]
        return (
            first_complete > 0
            and self.roster.is_staffed(serving, wanted)
            and all(worker.slot[Cell.GENERATION] >= first_complete for worker in serving)
        )

    def is_alive(self, now: float, limit_seconds: float) -> bool:
        """All heartbeats are fresh."""
        return all(now - worker.tmp.last_update() < limit_seconds for worker in self.workers.values())

    @property
    def serving_count(self) -> int:
        return sum(not worker.is_retiring for worker in self.workers.values())
