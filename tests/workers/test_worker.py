"""The worker process around a data plane: boot, generations, signals, the end of the master."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence

import gevent
import msgpack
import pytest

from config import generation_channel
from config.cells import Cells
from config.control_page import Cell, ControlPage, Slot
from config.generation import GenerationRefused
from config.generation_layout import MOST_FILES
from config.static import StaticConfiguration
from tests.waiting import wait_until
from workers.shared import SharedState
from workers.worker import APPLIED, BOOTED, GeventWorker, QuicPlace, SlotBeat, load_hub_classes

# from Python 3.12 on a fork beside the threads of a test runner is warned about; our programs have none
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Notes:
    """A data plane that writes down what it was told, one word a datagram."""

    def __init__(self, pipe: socket.socket, drain_seconds: float) -> None:
        self._pipe = pipe
        self._drain_seconds = drain_seconds
        self._is_ending = False

    def note(self, word: str) -> None:
        self._pipe.send(word.encode())

    def start(self) -> None:
        self.note("start")

    def apply(self, descriptors: Sequence[int]) -> None:
        content = "+".join(os.pread(descriptor, 100, 0).decode() for descriptor in descriptors)
        if content == "bad":
            self.note("refused")
            raise GenerationRefused("told so")
        if content == "bug":
            self.note("bug")
            raise KeyError("ours")
        gevent.sleep(0)
        if content == "slow":
            self.note("begin")
            wait_until(lambda: self._is_ending, pause=gevent.sleep)
        self.note(f"apply {content}")
        if content == "full":
            gevent.spawn(self.use_up_descriptors)

    def use_up_descriptors(self) -> None:
        used = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with contextlib.suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)
        self.note("used up")

    def terminate(self) -> None:
        self.note("terminate")
        self._is_ending = True
        gevent.sleep(self._drain_seconds)

    def reopen_logs(self) -> None:
        """It has none of its own."""

    def quit(self) -> None:
        self.note("quit")
        self._is_ending = True


class Forked:
    """A worker in a child process, and this test as its master."""

    def __init__(self, page: ControlPage, generation: str = "", drain_seconds: float = 0.0) -> None:
        self.notes, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.notes.settimeout(15)
        self.slot = page.slot(3)
        self.worker = GeventWorker(1, os.getpid(), 0, self.slot, 0)

        def factory(
            static: StaticConfiguration,
            listeners: Mapping[str, socket.socket],
            page: ControlPage,
            slot: Slot,
            log: logging.Logger,
            *,
            shared: SharedState,
            quic: QuicPlace | None = None,
        ) -> Notes:
            assert shared.gauge(shared.identity("g")).enter(b"x", 1)
            return Notes(theirs, drain_seconds)

        cells = Cells.create()
        cells.open_slot(self.slot.index)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self.notes.close()
                gevent.get_hub().destroy(destroy_loop=True)  # the test's own; the master has none
                files = list(map(memory_file, generation.split("+"))) if generation else []
                self.worker.prepare(factory, StaticConfiguration(), {}, page, cells, files)
                self.worker.init_process()
                status = 0
            finally:
                os._exit(status)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        self.worker.master_channel.close()
        self.worker.channel.settimeout(15)

    def told(self) -> str:
        """The next word; empty once the process has ended."""
        return self.notes.recv(100).decode()

    def said(self) -> bytes:
        return self.worker.channel.recv(10)

    def send(self, *contents: str) -> None:
        """Generations, so that the worker meets all of them at once; with a `+` between the files of one."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)
        for content in contents:
            files = list(map(memory_file, content.split("+")))
            generation_channel.send(self.worker.channel, 1, files)
            for descriptor in files:
                os.close(descriptor)
        os.kill(self.pid, signal.SIGCONT)

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def end(self) -> None:
        if self.pid:
            self.kill(signal.SIGKILL)
            self.wait()
        self.notes.close()
        self.worker.channel.close()


def memory_file(content: str) -> int:
    descriptor = os.memfd_create("test")
    os.write(descriptor, content.encode())
    return descriptor


@pytest.fixture
def fork() -> Iterator[Callable[..., Forked]]:
    load_hub_classes()
    page = ControlPage.create()
    made: list[Forked] = []

    def start(**options: object) -> Forked:
        made.append(Forked(page, **options))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for forked in made:
        forked.end()


def test_an_inherited_generation_is_in_force_before_it_accepts(fork: Callable[..., Forked]) -> None:
    forked = fork(generation="one")
    assert [forked.told(), forked.told()] == ["apply one", "start"]
    assert [forked.said(), forked.said()] == [APPLIED, BOOTED]
    assert forked.slot[Cell.HEARTBEAT_NS] > 0


def test_of_several_waiting_generations_the_newest_is_applied(fork: Callable[..., Forked]) -> None:
    forked = fork()
    assert forked.told() == "start"
    assert forked.said() == BOOTED
    forked.send("one", "two", "three")
    assert forked.told() == "apply three"
    assert forked.said() == APPLIED
    for failing, word in (("bad", "refused"), ("bug", "bug")):
        forked.send(failing)
        assert forked.told() == word
    forked.send("four")
    assert forked.told() == "apply four"
    assert forked.said() == APPLIED, "one that failed is not acknowledged"


def test_a_generation_arrives_although_no_descriptor_is_left(fork: Callable[..., Forked]) -> None:
    """ADV-F: a flood of connections must not cut the worker off from its configuration."""
    forked = fork()
    assert forked.told() == "start"
    forked.send("full")
    assert [forked.told(), forked.told()] == ["apply full", "used up"]
    for newer in ("newer", "+".join("abcdefgh"), "newest"):
        forked.send("+".join("ijklmnop"), newer)
        assert forked.told() == f"apply {newer}"


def test_a_generation_that_came_in_part_is_not_applied(fork: Callable[..., Forked]) -> None:
    """It waits for the next one, and puts nothing together of two."""
    forked = fork(generation="inherited+too")
    assert [forked.told(), forked.told()] == ["apply inherited+too", "start"]
    files = list(map(memory_file, "ab"))
    socket.send_fds(forked.worker.channel, [msgpack.packb({"generation": 2, "files": 3})], files)
    for descriptor in files:
        os.close(descriptor)
    forked.send("c+d")
    assert forked.told() == "apply c+d"
    assert [forked.said() for _ in range(3)] == [APPLIED, BOOTED, APPLIED]


def test_few_generations_wait_for_a_worker_that_hangs() -> None:
    """The kernel bounds how many descriptors a user has under way, and others have some to send."""
    worker = GeventWorker(1, os.getpid(), 0, ControlPage.create().slot(3), 0)
    worker.channel.setblocking(False)
    descriptor, sent = memory_file("waits"), 0
    with contextlib.suppress(BlockingIOError):
        while sent < 100:
            generation_channel.send(worker.channel, sent, [descriptor] * MOST_FILES)
            sent += 1
    assert 1 <= sent < 20
    os.close(descriptor)
    worker.channel.close()
    worker.master_channel.close()


def test_a_refused_inherited_generation_does_not_stop_it(fork: Callable[..., Forked]) -> None:
    forked = fork(generation="bad")
    assert [forked.told(), forked.told()] == ["refused", "start"]


@pytest.mark.parametrize(("number", "word"), [(signal.SIGTERM, "terminate"), (signal.SIGINT, "quit")])
def test_told_to_go_before_it_accepts_it_never_does(
    fork: Callable[..., Forked], number: signal.Signals, word: str
) -> None:
    """The end may come while a large first generation is being applied, and may be over before that."""
    forked = fork(generation="slow")
    assert forked.told() == "begin"
    forked.kill(number)
    assert [forked.told(), forked.told(), forked.told()] == [word, "apply slow", ""]
    assert forked.wait() == 0


def test_term_drains_once(fork: Callable[..., Forked]) -> None:
    forked = fork(drain_seconds=0.5)
    assert forked.told() == "start"
    forked.kill(signal.SIGTERM)
    assert forked.told() == "terminate"
    forked.kill(signal.SIGTERM)
    assert forked.told() == ""
    assert forked.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_end_it_also_while_it_drains(fork: Callable[..., Forked], number: signal.Signals) -> None:
    forked = fork(drain_seconds=60.0)
    assert forked.told() == "start"
    forked.kill(signal.SIGTERM)
    assert forked.told() == "terminate"
    forked.kill(number)
    assert forked.told() == "quit"
    assert forked.wait() == 0


def test_signals_for_the_master_mean_nothing(fork: Callable[..., Forked]) -> None:
    forked = fork()
    assert forked.told() == "start"
    for name in ("HUP", "USR1", "USR2", "WINCH", "TTIN", "TTOU"):
        forked.kill(getattr(signal, f"SIG{name}"))
    forked.kill(signal.SIGTERM)
    assert forked.told() == "terminate"
    assert forked.wait() == 0


def test_abrt_ends_it_and_says_where_it_was(
    fork: Callable[..., Forked], capfd: pytest.CaptureFixture[str]
) -> None:
    forked = fork()
    assert forked.told() == "start"
    forked.kill(signal.SIGABRT)
    assert forked.wait() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in capfd.readouterr().err


def test_it_drains_when_the_master_has_gone(fork: Callable[..., Forked]) -> None:
    forked = fork()
    assert forked.told() == "start"
    forked.worker.channel.close()
    assert forked.told() == "terminate"
    assert forked.wait() == 0


def test_the_heart_goes_on_beating(fork: Callable[..., Forked]) -> None:
    forked = fork()
    assert forked.told() == "start"
    beat = SlotBeat(forked.slot)
    first = beat.last_update()
    wait_until(lambda: beat.last_update() > first)
