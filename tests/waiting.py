"""Waiting for conditions instead of sleeping for luck.

A test says what must become true and how long that may take at worst; it goes on the moment it is true, so
the deadline can be generous without making the suite slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

DEADLINE_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.01


def wait_until(
    predicate: Callable[[], T],
    deadline_seconds: float = DEADLINE_SECONDS,
    *,
    what: str = "",
    pause: Callable[[float], object] = time.sleep,
) -> T:
    """Call `predicate` until it returns something true, and return that.

    Raises AssertionError, naming `what` and the last value, once `deadline_seconds` have gone by. An
    exception of the predicate ends the wait. Inside a greenlet pass `pause=gevent.sleep`.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            wanted = what or getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"not within {deadline_seconds:g} s: {wanted} (last value: {value!r})")
        pause(LOOK_SECONDS)
