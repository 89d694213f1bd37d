"""What the crew decides about its members; their processes are the business of tests/e2e."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from config.cells import Cells
from config.control_page import Cell, ControlPage, Head
from config.static import EntryPoint, StaticConfiguration
from config.static_load import LoadedStatic
from master import crew as crew_module
from master.app import PointsmanApplication
from master.children import Provider
from master.crew import LANE_SETTLE_SECONDS, LARGEST_CREW, Crew, NoWorkerStarts
from master.generations import Generations
from master.loop import Loop
from master.sockets import Sockets
from tests.forked import Forked
from workers.worker import APPLIED, BOOTED, GeventWorker

FAILED = 1 << 8


class PaperCrew(Crew):
    """Workers on paper: nobody is forked, signals are written down."""

    def _spawn(self, lane: int) -> None:
        index = self.roster.slot_index_for(lane, self.workers.values())
        assert index is not None
        slot = self._page.slot(index)
        worker = GeventWorker(0, os.getpid(), lane, slot, self.roster.epoch)
        worker.channel.setblocking(False)
        worker.pid = 1000 + len(self.hired)
        slot[Cell.PID] = worker.pid
        self.hired.append(worker)
        self.workers[worker.pid] = worker
        self._loop.watch(worker.channel.fileno(), lambda: self._hear(worker))

    hired: list[GeventWorker]
    signals: list[tuple[int, int]]

    def says(self, worker: GeventWorker, message: bytes) -> None:
        worker.master_channel.send(message)
        self._loop.run_once(0)

    def lanes(self) -> list[int]:
        return sorted(worker.lane for worker in self.workers.values() if not worker.is_retiring)


@pytest.fixture
def page() -> ControlPage:
    return ControlPage.create()


@pytest.fixture
def crew(page: ControlPage, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperCrew]:
    loop = Loop()
    application = PointsmanApplication(LoadedStatic(StaticConfiguration(), "test"), [], {}, "/")
    provider = Provider(page, {}, loop, lambda: None)
    made = PaperCrew(application, page, loop, Generations(page), provider, Cells.create())
    made.hired, made.signals = [], []
    monkeypatch.setattr(crew_module, "send_signal", lambda pid, number: made.signals.append((pid, number)))
    made.sockets = Sockets(2)
    made.sockets.update({"web": EntryPoint(address="127.0.0.1:0")})
    yield made
    made.sockets.close()
    for worker in made.hired:
        worker.channel.close()
        worker.master_channel.close()
    loop.close()


def boot(crew: PaperCrew) -> None:
    for worker in crew.hired:
        if worker.channel.fileno() >= 0 and not worker.booted:
            crew.says(worker, BOOTED)


def test_it_grows_at_once_and_shrinks_when_handshakes_are_over(crew: PaperCrew, page: ControlPage) -> None:
    assert crew.manage(2, 0.0) == 2
    boot(crew)
    assert crew.manage(3, 0.0) == 3
    assert crew.lanes() == [0, 1, 2]
    assert page[Head.WORKERS_WANTED] == 3
    crew.manage(2, 10.0)
    assert crew.seconds_to_next_step(10.0) == LANE_SETTLE_SECONDS
    assert crew.sockets.lane_count == 3
    assert not crew.signals
    crew.manage(2, 10.0 + LANE_SETTLE_SECONDS)
    assert crew.sockets.lane_count == 2
    assert crew.signals == [(crew.hired[2].pid, signal.SIGTERM)]


def test_a_change_of_mind_keeps_the_worker(crew: PaperCrew) -> None:
    crew.manage(2, 0.0)
    crew.manage(1, 10.0)
    crew.manage(2, 10.5)
    crew.manage(2, 20.0)
    assert crew.lanes() == [0, 1]
    assert not crew.signals


def test_a_lane_is_opened_again_only_when_its_worker_has_gone(crew: PaperCrew) -> None:
    crew.manage(2, 0.0)
    crew.manage(1, 10.0)
    crew.manage(1, 11.0)
    assert crew.manage(2, 12.0) == 2
    assert crew.lanes() == [0]
    assert crew.ended(crew.hired[1].pid, 0)
    crew.manage(2, 13.0)
    assert crew.lanes() == [0, 1]


def test_there_are_never_more_workers_than_slots_for_a_reload(crew: PaperCrew) -> None:
    crew.sockets.close()
    assert crew.manage(10_000, 0.0) == LARGEST_CREW


def test_a_port_that_is_gone_ends_the_growth(crew: PaperCrew, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("master.sockets.lane_socket", refuse)
    assert crew.manage(3, 0.0) == 2


def test_a_paused_crew_drains_and_keeps_its_sockets(crew: PaperCrew) -> None:
    crew.manage(2, 0.0)
    crew.is_paused = True
    crew.manage(2, 1.0)
    assert crew.lanes() == []
    assert crew.sockets.lane_count == 2
    crew.is_paused = False
    crew.manage(2, 2.0)
    assert crew.lanes() == [0, 1]


def test_nobody_starts_before_there_is_a_generation_if_that_was_asked(crew: PaperCrew) -> None:
    crew.waits_for_generation = True
    crew.manage(2, 0.0)
    assert crew.lanes() == []


def test_one_that_does_not_leave_is_killed(crew: PaperCrew) -> None:
    crew.manage(2, 0.0)
    crew.drain_seconds = 20.0
    crew.is_paused = True
    crew.manage(2, 1.0)
    crew.signals.clear()
    crew.manage(2, 20.9)
    assert not crew.signals
    crew.manage(2, 21.1)
    crew.manage(2, 22.0)
    assert crew.signals == [(worker.pid, signal.SIGKILL) for worker in crew.hired]


def test_after_a_reload_only_workers_with_a_generation_in_force_replace_others(
    crew: PaperCrew, page: ControlPage
) -> None:
    crew.manage(1, 0.0)
    boot(crew)
    crew._generations.adopt([os.memfd_create("generation")], 4, is_complete=True)
    crew.roster.begin_epoch()
    crew.manage(1, 10.0)
    old, new = crew.hired[0], crew.hired[-1]
    crew.says(new, BOOTED)
    crew.manage(1, 11.0)
    assert crew.lanes() == [0, 0], "the old one stays"
    new.slot[Cell.GENERATION] = 4
    crew.says(new, APPLIED)
    crew.manage(1, 12.0)
    assert crew.signals == [(old.pid, signal.SIGTERM)]
    crew._generations.close()


def test_readiness_is_about_every_worker(crew: PaperCrew) -> None:
    crew.manage(2, 0.0)
    boot(crew)
    assert not crew.serves(0, 2), "no complete generation yet"
    assert not crew.serves(3, 2)
    first, second = crew.hired
    first.slot[Cell.GENERATION] = 3
    second.slot[Cell.GENERATION] = 2
    assert not crew.serves(3, 2)
    second.slot[Cell.GENERATION] = 4
    assert crew.serves(3, 2)
    assert not crew.serves(3, 3)


def test_a_dead_worker_leaves_no_counts_behind(crew: PaperCrew, page: ControlPage) -> None:
    crew.manage(1, 0.0)
    (worker,) = [w for w in crew.hired if w.lane == 0]
    worker.slot[Cell.OPEN_CONNECTIONS] = 7
    assert crew.ended(worker.pid, signal.SIGKILL)
    assert worker.slot[Cell.OPEN_CONNECTIONS] == 0
    assert worker.pid not in [slot[Cell.PID] for slot in page.live_slots()]
    assert not crew.ended(worker.pid, 0)


def test_the_failure_of_all_first_workers_is_the_end(crew: PaperCrew) -> None:
    crew.manage(2, 0.0)
    crew.ended(crew.hired[0].pid, FAILED)
    with pytest.raises(NoWorkerStarts):
        crew.ended(crew.hired[1].pid, FAILED)


def test_heartbeats(crew: PaperCrew) -> None:
    crew.manage(1, 0.0)
    for worker in crew.hired:
        worker.slot[Cell.HEARTBEAT_NS] = 5 * 10**9
    assert crew.is_alive(6.0, 30)
    assert not crew.is_alive(36.0, 30)


@pytest.mark.parametrize("name", ["fork", "socketpair"])
def test_a_machine_without_room_for_a_worker_is_asked_again_later(
    crew: PaperCrew, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither the master nor the workers that there are end with it, and signals are heard as before."""

    def refuse(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patched:
        patched.setattr(os if name == "fork" else socket, name, refuse)
        Crew._spawn(crew, 0)
        now = time.monotonic()
        assert 0 < crew.seconds_to_next_step(now) < 60
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert os.listdir("/proc/self/fd") == before
    assert not crew.workers
    crew.manage(1, now + 60)
    assert crew.lanes() == [0]


@pytest.mark.parametrize("is_full", [False, True])
def test_a_worker_never_returns_to_the_masters_code(
    crew: PaperCrew, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    """Not even where there is no output, or none that takes its last words."""
    returned = 42

    def become() -> None:
        stdout = open("/dev/full", "w") if is_full else None  # noqa: SIM115 - it is never closed
        if stdout is not None:
            stdout.write("last words")
        monkeypatch.setattr(sys, "stdout", stdout)
        try:
            crew._become(GeventWorker(0, 0, 7, crew._page.slot(0), 0))
        except BaseException:
            os._exit(returned)

    with Forked(become) as child:
        assert child.exit_code() == 1
