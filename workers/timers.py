"""A coarse timer wheel: deadlines of streams at about 100 ms, one hub timer for a whole worker.

A deadline is a tick number that its owner stores in itself; setting it costs an assignment and a comparison.
An entry sits in one bucket and is looked at when that bucket's time comes; a deadline that moved later in the
meantime (nearly all do) is simply entered again there, so a connection costs one bucket entry a minute, not
two timers a request. Deadlines never fire early; they fire up to two ticks late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from gevent import get_hub

NEVER: Final = 1 << 60
"""A tick that never comes."""

GRANULARITY_SECONDS: Final = 0.1
_BUCKETS: Final = 2048
_MASK: Final = _BUCKETS - 1


class Entry(Protocol):
    """`scheduled` belongs to the wheel: the tick of the bucket that holds the entry, NEVER if none does."""

    scheduled: int

    def on_tick(self, tick: int) -> int:
        """Called in the hub when the bucket's time has come; returns the next tick of interest or NEVER."""
        ...


class TimerWheel:
    """Runs in the hub. It ticks only while it has users, so that an idle worker sleeps."""

    __slots__ = ("_buckets", "_clock", "_entered", "_hooks", "_origin", "_timer", "_users", "tick")

    def __init__(self, loop: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets: list[set[Entry]] = [set() for _ in range(_BUCKETS)]
        self._clock = clock
        self._entered = 0
        """How many entries the buckets hold."""
        self._origin = clock()
        self._hooks: list[Callable[[], None]] = []
        self._timer = loop.timer(GRANULARITY_SECONDS, GRANULARITY_SECONDS, ref=False)
        self._users = 0
        self.tick = 0

    @staticmethod
    def ticks(seconds: float) -> int:
        """How many ticks to add to `tick` for a deadline `seconds` away; no limit for zero or less."""
        return math.ceil(seconds / GRANULARITY_SECONDS) + 1 if seconds > 0 else NEVER

    def every_tick(self, hook: Callable[[], None]) -> None:
        """Call `hook` in the hub at each tick, for as long as the wheel has users."""
        self._hooks.append(hook)

    def forget_hook(self, hook: Callable[[], None]) -> None:
        self._hooks.remove(hook)

    def acquire(self) -> None:
        """One more user: `tick` is true from now on."""
        self._users += 1
        if self._users == 1:
            self._skip_to_now()
            self._timer.start(self.advance)

    def release(self) -> None:
        """One user less."""
        self._users -= 1
        if not self._users:
            self._run_hooks()
            self._timer.stop()

    def schedule(self, entry: Entry, tick: int) -> None:
        """Look at `entry` at `tick`, or at the horizon if that lies beyond it. Only ever moves it earlier."""
        self.forget(entry)
        tick = min(max(tick, self.tick + 1), self.tick + _MASK)
        entry.scheduled = tick
        self._buckets[tick & _MASK].add(entry)
        self._entered += 1

    def forget(self, entry: Entry) -> None:
        """Take `entry` out; no effect if it is not in."""
        if entry.scheduled != NEVER:
            self._buckets[entry.scheduled & _MASK].discard(entry)
            self._entered -= 1
            entry.scheduled = NEVER

    def advance(self) -> None:
        """Catch up with the clock: called by the hub's timer (and by tests that own the clock)."""
        now = self._now()
        while self.tick < now:
            self.tick += 1
            index = self.tick & _MASK
            bucket = self._buckets[index]
            if bucket:
                self._buckets[index] = set()
                self._look_at(bucket)
        self._run_hooks()

    def _look_at(self, bucket: set[Entry]) -> None:
        """All of a bucket that has been taken out; those of it that are forgotten meanwhile are not in any."""
        self._entered -= len(bucket)
        for entry in bucket:
            entry.scheduled = NEVER
        for entry in bucket:
            due = entry.on_tick(self.tick)
            if due < entry.scheduled:
                self.schedule(entry, due)

    def _skip_to_now(self) -> None:
        """The wheel stood still: entries left in it would be passed over for a whole turn."""
        self.tick = self._now()
        self._run_hooks()
        if self._entered:
            left = set().union(*self._buckets)
            self._buckets = [set() for _ in range(_BUCKETS)]
            self._look_at(left)

    def _run_hooks(self) -> None:
        for hook in self._hooks:
            hook()

    def _now(self) -> int:
        return int((self._clock() - self._origin) / GRANULARITY_SECONDS)

    def close(self) -> None:
        """Stop for good."""
        self._timer.stop()
        self._timer.close()

    def __repr__(self) -> str:
        return f"<TimerWheel tick {self.tick}, {self._users} users>"


_WHEELS: WeakKeyDictionary[Any, TimerWheel] = WeakKeyDictionary()


def current_wheel() -> TimerWheel:
    """The wheel of the current hub; made at the first call. After the fork only."""
    hub = get_hub()
    wheel = _WHEELS.get(hub)
    if wheel is None:
        wheel = _WHEELS[hub] = TimerWheel(hub.loop)
    return wheel
