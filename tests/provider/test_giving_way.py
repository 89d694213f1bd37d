"""Work is interrupted now and then, and nothing of that is left when it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from provider import giving_way
from provider.giving_way import (
    GATHER_SECONDS,
    LARGE_SECONDS,
    LONG_RUN_SECONDS,
    REST_SECONDS,
    RUN_SECONDS,
    WAITED_SECONDS,
    GivingWay,
    Pace,
    _Rest,
)
from tests.waiting import wait_until

HOUR_SECONDS = 3600.0


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    signal.signal(signal.SIGALRM, before)


class Clock:
    """Takes the place of time; nobody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.worked, self.slept = 0.0, 0.0, list[float]()
        fake = SimpleNamespace(sleep=self._sleep, thread_time=lambda: self.worked, monotonic=lambda: self.now)
        monkeypatch.setattr(giving_way, "time", fake)
        monkeypatch.setattr(giving_way, "_REST", _Rest())

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.worked += seconds

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def is_on() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def test_work_is_interrupted_again_and_again() -> None:
    giving = GivingWay()
    with giving.work():
        wait_until(lambda: giving.rests >= 20, pause=lambda _: None)


def test_what_ends_at_once_is_not_interrupted() -> None:
    giving = GivingWay(HOUR_SECONDS)
    assert not is_on()
    with giving.work():
        assert is_on()
    assert not is_on()
    assert giving.rests == 0


def test_a_rest_is_followed_by_more_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, giving = Clock(monkeypatch), GivingWay(HOUR_SECONDS, 0.5)
    monkeypatch.setattr(giving_way, "LARGE_SECONDS", 10 * HOUR_SECONDS)
    with giving.work():
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0)  # as when it has fired
            signal.raise_signal(signal.SIGALRM)
            assert is_on()
    assert clock.slept == [0.5] * 3
    assert giving.rests == 3


def test_an_error_of_the_work_leaves_no_timer() -> None:
    giving = GivingWay(HOUR_SECONDS)
    with pytest.raises(KeyError), giving.work():
        raise KeyError
    assert not is_on()


def test_a_signal_that_comes_late_neither_rests_nor_ends_the_process() -> None:
    giving = GivingWay(HOUR_SECONDS)
    with giving.work():
        pass
    signal.raise_signal(signal.SIGALRM)
    assert giving.rests == 0
    assert not is_on()


def test_large_work_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what follows it begins as small work again."""
    Clock(monkeypatch)
    runs: list[float] = []
    timer = SimpleNamespace(setitimer=lambda _, seconds: runs.append(seconds), ITIMER_REAL=signal.ITIMER_REAL)
    giving = GivingWay()
    monkeypatch.setattr(giving_way, "signal", timer)
    many = round(2 * LARGE_SECONDS / RUN_SECONDS)
    for _ in range(2):
        runs.clear()
        with giving.work():
            for _ in range(many):
                giving._rest()
        assert set(runs) == {RUN_SECONDS, LONG_RUN_SECONDS, 0}
        assert abs(runs.index(LONG_RUN_SECONDS) - LARGE_SECONDS / RUN_SECONDS) <= 1
        assert runs == [*sorted(runs[:-1]), 0]


def test_only_the_main_thread_can_be_interrupted() -> None:
    refused: list[ValueError] = []

    def make() -> None:
        try:
            GivingWay()
        except ValueError as error:
            refused.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert len(refused) == 1


def test_a_thread_rests_after_work_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace()
    pace()
    assert clock.slept == []
    for _ in range(12):
        clock.work(RUN_SECONDS * 0.4)
        pace()
    assert clock.slept == [REST_SECONDS] * 4, "after every third step"


def test_threads_rest_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one leaves to others, another must not take."""
    clock = Clock(monkeypatch)
    pace, rest = Pace(), giving_way._REST
    rest.take(REST_SECONDS)
    clock.now -= REST_SECONDS / 4  # as seen by another thread, a little before its end
    pace()
    assert clock.slept == [REST_SECONDS, pytest.approx(REST_SECONDS / 4)]
    clock.work(RUN_SECONDS / 2)
    pace()
    assert len(clock.slept) == 2, "that was its own rest, too"


def test_what_was_waited_for_is_left_to_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace()
    clock.work(RUN_SECONDS / 2)
    clock.now += WAITED_SECONDS / 2  # for the interpreter
    pace.gather()
    assert clock.slept == []
    clock.now += WAITED_SECONDS
    pace.gather()
    pace.gather()
    assert clock.slept == [GATHER_SECONDS]
