"""What a worker does between two pauses of a change does not grow with the configuration.

Counted are executed lines, which are the same on any machine.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from config.middlewares import Middleware
from config.middlewares_paths import AddPrefix
from tests.workers.fakes import balancer, environment, router, servers
from workers import pacing
from workers.pacing import (
    ITEMS_AT_ONCE,
    LARGE_SECONDS,
    LONG_RUN_SECONDS,
    LONGEST_BUSY_RUN_SECONDS,
    SHARE,
    SHORT_RUN_SECONDS,
    Pacer,
    Pause,
    paced,
)
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"
FEW, MANY = 60, 1000
SLACK_LINES = (MANY - FEW) // 2
"""A loop over all objects of one line each would exceed this."""
CHANGED = 20
STEP = 5e-5


def longest_unit(work: Callable[[Pause], object]) -> int:
    """Lines executed in the longest stretch between two pauses."""
    lengths = [0]

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            lengths[-1] += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work(lambda: lengths.append(0))
    finally:
        sys.settrace(before)
    return max(lengths)


def whole(count: int, path: str = "/") -> Changes:
    numbers = range(count)
    return Changes(
        routers={
            f"r{one}{P}": router(f"Host(`h{one}`) && PathPrefix(`{path}`)", f"s{one}", middlewares=["m"])
            for one in numbers
        },
        services={f"s{one}{P}": balancer() for one in numbers},
        endpoints={f"s{one}{P}": servers(1, 2) for one in numbers},
        middlewares={"m" + P: Middleware(add_prefix=AddPrefix(prefix="/a"))},
    )


def nothing(count: int) -> Changes:
    changes = whole(count)
    return Changes(
        routers=dict.fromkeys(changes.routers),
        services=dict.fromkeys(changes.services),
        endpoints={},
        middlewares=dict.fromkeys(changes.middlewares),
    )


CHANGES: dict[str, Callable[[int], Changes]] = {
    "some endpoints": lambda count: Changes(endpoints={f"s{one}{P}": servers(3) for one in range(CHANGED)}),
    "all rules": lambda count: Changes(routers=whole(count, "/b").routers),
    "one route": lambda count: Changes(routers={"r1" + P: router("Host(`new`)", "s1")}),
    "one service": lambda count: Changes(services={"s1" + P: balancer(strategy="p2c")}),
    "a middleware of all": lambda count: Changes(
        middlewares={"m" + P: Middleware(add_prefix=AddPrefix(prefix="/b"))}
    ),
    "everything goes": nothing,
}


def longest_update(made: Runtime, changes: Changes) -> int:
    return longest_unit(lambda pause: made.updated(2, changes, pause))


@pytest.mark.parametrize("kind", CHANGES)
def test_a_unit_of_work_is_as_long_with_many_routes_as_with_few(kind: str) -> None:
    few, many = (
        longest_update(Runtime(environment()).updated(1, whole(count), lambda: None), CHANGES[kind](count))
        for count in (FEW, MANY)
    )
    assert many <= few + SLACK_LINES


def test_the_first_view_is_taken_in_small_units_too() -> None:
    few, many = (longest_update(Runtime(environment()), whole(count)) for count in (FEW, MANY))
    assert many <= few + SLACK_LINES


def test_the_count_sees_a_loop_without_pauses() -> None:
    def work(count: int) -> None:
        for _ in range(count):
            pass

    few, many = (longest_unit(functools.partial(_without_pauses, work, count)) for count in (FEW, MANY))
    assert many > few + SLACK_LINES


def _without_pauses(work: Callable[[int], None], count: int, pause: Pause) -> None:
    work(count)


def test_small_steps_are_taken_some_at_once() -> None:
    pauses: list[int] = []
    seen: list[int] = []
    for one in paced(range(3 * ITEMS_AT_ONCE + 1), lambda: pauses.append(len(seen))):
        seen.append(one)
    assert seen == list(range(3 * ITEMS_AT_ONCE + 1))
    assert pauses == [ITEMS_AT_ONCE, 2 * ITEMS_AT_ONCE, 3 * ITEMS_AT_ONCE]


class Clock:
    """Takes the place of time and of the event loop: `rounds` is how long others work when they get their turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.rounds, self.turns = 100.0, 0.0, 0
        self.runs: list[float] = []
        self._since = self.now
        monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(pacing, "gevent", SimpleNamespace(sleep=self._sleep))

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0, "else there would be no input and output in between"
        self.turns += 1
        self.runs.append(self.now - self._since)
        self.now += self.rounds
        self._since = self.now

    def work(self, seconds: float) -> float:
        """Steps of 50 microseconds; the time it takes altogether."""
        began, pacer = self.now, Pacer()
        self._since = self.now
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            pacer()
        return self.now - began


def test_requests_get_their_turn_soon_while_a_change_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.work(LARGE_SECONDS)
    assert clock.turns >= LARGE_SECONDS / (SHORT_RUN_SECONDS + STEP) - 1
    assert max(clock.runs) < SHORT_RUN_SECONDS + 2 * STEP


def test_a_change_that_proves_to_be_large_goes_on_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.work(5 * LARGE_SECONDS)
    longest = [run for run in clock.runs if run > SHORT_RUN_SECONDS + 2 * STEP]
    before = sum(clock.runs[: -len(longest)])
    assert LARGE_SECONDS - STEP < before < LARGE_SECONDS + SHORT_RUN_SECONDS + 2 * STEP
    assert clock.runs[-len(longest) :] == longest, "and so it stays"
    assert LONG_RUN_SECONDS - STEP < min(longest) <= max(longest) < LONG_RUN_SECONDS + 2 * STEP


def test_the_next_change_begins_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.work(5 * LARGE_SECONDS)
    clock.runs.clear()
    clock.work(LARGE_SECONDS)
    assert max(clock.runs) < SHORT_RUN_SECONDS + 2 * STEP


def test_what_ends_within_a_run_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.work(SHORT_RUN_SECONDS - STEP)  # two steps
    assert not clock.turns


@pytest.mark.parametrize("rounds", [0.004, 0.01, 0.016])
def test_a_large_change_ends_on_a_worker_that_is_always_busy(
    monkeypatch: pytest.MonkeyPatch, rounds: float
) -> None:
    """Else two seconds of work would take forty where a round of requests takes ten milliseconds."""
    clock = Clock(monkeypatch)
    clock.rounds = rounds
    assert clock.work(2.0) < 2.0 * (1 + 1 / SHARE) + 2 * rounds
    assert clock.turns >= 2.0 / (LONGEST_BUSY_RUN_SECONDS + 1e-4) - 1, "requests get theirs all the same"
