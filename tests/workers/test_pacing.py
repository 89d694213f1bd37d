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
    LONGEST_BUSY_RUN_SECONDS,
    LONGEST_RUN_SECONDS,
    SHARE,
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
        monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(pacing, "gevent", SimpleNamespace(sleep=self._sleep))

    def _sleep(self, _: float) -> None:
        self.turns += 1
        self.now += self.rounds

    def work(self, seconds: float) -> float:
        """Steps of 50 microseconds; the time it takes altogether."""
        began, pacer = self.now, Pacer()
        for _ in range(round(seconds / 5e-5)):
            self.now += 5e-5
            pacer()
        return self.now - began


def test_requests_get_their_turn_every_half_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.rounds = 0.001
    clock.work(0.1)
    assert clock.turns >= 0.1 / LONGEST_RUN_SECONDS - 1


@pytest.mark.parametrize("rounds", [0.004, 0.01, 0.016])
def test_a_large_change_ends_on_a_worker_that_is_always_busy(
    monkeypatch: pytest.MonkeyPatch, rounds: float
) -> None:
    """Else two seconds of work would take forty where a round of requests takes ten milliseconds."""
    clock = Clock(monkeypatch)
    clock.rounds = rounds
    assert clock.work(2.0) < 2.0 * (1 + 1 / SHARE) + 2 * rounds
    assert clock.turns >= 2.0 / (LONGEST_BUSY_RUN_SECONDS + 1e-4) - 1, "requests get theirs all the same"
