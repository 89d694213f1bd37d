"""A circuit breaker as all workers see it: its state, its condition, and who may pass.

    standby --condition holds--> tripped --fallback time over, next request--> recovering --time over--> standby
                                    ^----------------condition holds---------------'

State and the moment it lasts to are one word of the shared record. What a transition prepares (metrics cleared,
shares reset) is written before that word, so a worker killed in between leaves the former state, which the next
response or request leaves again in the same way.
"""

from __future__ import annotations

import time
from enum import IntEnum
from typing import Final, NamedTuple

from workers.middlewares.breaker_windows import Windows
from workers.middlewares.conditions import Condition, Function
from workers.shared import SharedState

_STATE: Final = 0
"""Moment << 2 | state; in ns of the monotonic clock."""
_NEXT_CHECK: Final = 1
_ALLOWED: Final = 2
_DENIED: Final = 3
_NETWORK_ERRORS: Final = (502, 504)
_KEPT_SECONDS: Final = 3600
_NS: Final = 1_000_000_000
_FARTHEST_NS: Final = 1 << 60


class State(IntEnum):
    STANDBY = 0
    TRIPPED = 1
    RECOVERING = 2


class Times(NamedTuple):
    """Durations in nanoseconds, all positive."""

    check_ns: int
    fallback_ns: int
    recovery_ns: int


class Metrics:
    """What a condition may ask; looked up when it asks. Inside of the record's lock only."""

    __slots__ = ("_now_ns", "_responses", "_windows", "_words")

    def __init__(self, windows: Windows, words: memoryview, now_ns: int) -> None:
        self._windows, self._words, self._now_ns = windows, words, now_ns
        self._responses: dict[int, int] | None = None

    @property
    def responses(self) -> dict[int, int]:
        if self._responses is None:
            self._responses = self._windows.responses(self._words, self._now_ns)
        return self._responses

    def total(self) -> int:
        return sum(self.responses.values())

    def network_error_ratio(self) -> float:
        return _ratio(sum(self.responses.get(status, 0) for status in _NETWORK_ERRORS), self.total())

    def code_ratio(self, first: int, before: int, of_first: int, of_before: int) -> float:
        return _ratio(self._between(first, before), self._between(of_first, of_before))

    def latency_ms(self, percentile: float) -> int:
        return self._windows.latency_at(self._words, percentile) // 1000

    def _between(self, first: int, before: int) -> int:
        return sum(count for status, count in self.responses.items() if first <= status < before)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


FUNCTIONS: Final[dict[str, Function[Metrics]]] = {
    "NetworkErrorRatio": Function((), float, Metrics.network_error_ratio),
    "ResponseCodeRatio": Function((int, int, int, int), float, Metrics.code_ratio),
    "LatencyAtQuantileMS": Function((float,), int, Metrics.latency_ms),
    "RequestThreshold": Function((), int, Metrics.total),
}


class Breaker:
    """One worker's view of one breaker. Its methods are quick, never switch, and may raise CellsBusy."""

    __slots__ = ("_condition", "_record", "_times", "_windows")

    def __init__(self, shared: SharedState, identity: bytes, condition: Condition[Metrics], times: Times) -> None:
        self._condition = condition
        self._times = Times(*(min(duration, _FARTHEST_NS) for duration in times))
        longest_seconds = max(self._times) // _NS
        self._record = shared.record(identity, ttl_seconds=longest_seconds + _KEPT_SECONDS)
        self._windows = Windows(self._record)

    def lets_pass(self) -> bool:
        """May a request go on now? Moves on from states that are over."""
        peeked = self._record.peek(_STATE)
        if peeked is not None and peeked & 3 == State.STANDBY:
            return True
        with self._record as words:
            now_ns = time.monotonic_ns()
            state, until_ns = words[_STATE] & 3, words[_STATE] >> 2
            if state == State.STANDBY:
                return True
            if state == State.TRIPPED:
                if now_ns < until_ns:
                    return False
                words[_ALLOWED] = words[_DENIED] = 0
                until_ns = now_ns + self._times.recovery_ns
                words[_STATE] = until_ns << 2 | State.RECOVERING
            if now_ns > until_ns:
                words[_STATE] = State.STANDBY
                return True
            return self._gets_a_share(words, until_ns - now_ns)

    def _gets_a_share(self, words: memoryview, left_ns: int) -> bool:
        """The share of those let in climbs from nothing to one half while the recovery lasts."""
        allowed, denied = words[_ALLOWED], words[_DENIED]
        target = 0.5 * (1 - left_ns / self._times.recovery_ns)
        if (allowed + 1) / (allowed + denied + 1) < target:
            words[_ALLOWED] = allowed + 1
            return True
        words[_DENIED] = denied + 1
        return False

    def record(self, status: int, latency_ns: int) -> bool:
        """A response is over. True if the breaker tripped on it."""
        with self._record as words:
            now_ns = time.monotonic_ns()
            self._windows.add(words, status, latency_ns // 1000, now_ns)
            if now_ns <= words[_NEXT_CHECK]:
                return False
            words[_NEXT_CHECK] = now_ns + self._times.check_ns
            if words[_STATE] & 3 == State.TRIPPED:
                return False
            if not self._condition(Metrics(self._windows, words, now_ns)):
                return False
            self._windows.clear(words)
            words[_STATE] = (now_ns + self._times.fallback_ns) << 2 | State.TRIPPED
            return True

    @property
    def state(self) -> State:
        """As of now, for logs and tests."""
        with self._record as words:
            return State(words[_STATE] & 3)
