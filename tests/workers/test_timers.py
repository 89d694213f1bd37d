"""The timer wheel on a clock that the test moves."""

from __future__ import annotations

from gevent import get_hub
from hypothesis import given
from hypothesis import strategies as st

from workers.timers import NEVER, TimerWheel, current_wheel


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


class Entry:
    """Wants to be called at `due`; notes the ticks at which it was."""

    def __init__(self, due: int) -> None:
        self.scheduled = NEVER
        self.due = due
        self.seen: list[int] = []

    def on_tick(self, tick: int) -> int:
        self.seen.append(tick)
        return self.due if self.due > tick else NEVER


def make() -> tuple[TimerWheel, Clock]:
    clock = Clock()
    return TimerWheel(get_hub().loop, clock), clock


def advance(wheel: TimerWheel, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    wheel.advance()


def test_ticks_never_fire_early() -> None:
    assert TimerWheel.ticks(0) == NEVER
    assert TimerWheel.ticks(-1) == NEVER
    assert TimerWheel.ticks(0.01) == 2
    assert TimerWheel.ticks(1.0) == 11


def test_entry_is_called_at_its_tick() -> None:
    wheel, clock = make()
    entry = Entry(5)
    wheel.schedule(entry, 5)
    advance(wheel, clock, 0.41)
    assert not entry.seen
    advance(wheel, clock, 0.1)
    assert entry.seen == [5]
    assert entry.scheduled == NEVER
    wheel.close()


def test_deadline_that_moved_later_is_entered_again() -> None:
    wheel, clock = make()
    entry = Entry(5)
    wheel.schedule(entry, 5)
    entry.due = 9
    advance(wheel, clock, 0.61)
    assert (entry.seen, entry.scheduled) == ([5], 9)
    advance(wheel, clock, 1)
    assert entry.seen == [5, 9]
    wheel.close()


def test_deadline_beyond_the_horizon() -> None:
    wheel, clock = make()
    entry = Entry(10_000)
    wheel.schedule(entry, 10_000)
    for _ in range(11):
        advance(wheel, clock, 100)
    assert entry.seen[-1] == 10_000
    assert len(entry.seen) == 5
    wheel.close()


def test_forgotten_entry_is_not_called() -> None:
    wheel, clock = make()
    entry = Entry(3)
    wheel.schedule(entry, 3)
    wheel.forget(entry)
    wheel.forget(entry)
    advance(wheel, clock, 1)
    assert not entry.seen
    wheel.close()


def test_past_deadline_is_looked_at_in_the_next_tick() -> None:
    wheel, clock = make()
    advance(wheel, clock, 1.01)
    entry = Entry(3)
    wheel.schedule(entry, 3)
    advance(wheel, clock, 0.11)
    assert entry.seen == [11]
    wheel.close()


def test_wheel_without_users_stands_still_and_catches_up() -> None:
    wheel, clock = make()
    calls: list[int] = []
    wheel.every_tick(lambda: calls.append(wheel.tick))
    clock.now += 100
    wheel.acquire()
    assert wheel.tick == 1000
    assert calls == [1000]
    wheel.release()
    clock.now += 100
    wheel.acquire()
    assert wheel.tick == 2000
    wheel.release()
    wheel.close()


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0.05, 40))))
def test_nothing_is_early_and_nothing_is_lost(steps: list[tuple[int, float]]) -> None:
    wheel, clock = make()
    entries = []
    for ahead, seconds in steps:
        entry = Entry(wheel.tick + ahead)
        wheel.schedule(entry, entry.due)
        entries.append(entry)
        advance(wheel, clock, seconds)
        for one in entries:
            assert (one.due in one.seen) == (one.due <= wheel.tick)
    wheel.close()


def test_current_wheel_is_one_for_each_hub() -> None:
    assert current_wheel() is current_wheel()


def test_an_entry_that_was_left_while_the_wheel_stood_is_not_passed_over() -> None:
    """A pool keeps its entry when its last connection goes, and with it the wheel's last user."""
    wheel, clock = make()
    wheel.acquire()
    entry = Entry(wheel.tick + 10)
    wheel.schedule(entry, entry.due)
    wheel.release()
    clock.now += 60
    entry.due = 700
    wheel.acquire()
    assert (entry.seen, entry.scheduled) == ([wheel.tick], 700)
    advance(wheel, clock, 11)
    assert entry.seen[1:] == [700]
    wheel.release()
    wheel.close()
