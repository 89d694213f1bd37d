"""Work on a change in small units, between which requests get the processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import gevent

T = TypeVar("T")

Pause = Callable[[], None]
"""Called between units of work, so that requests never wait long for a change."""

SHORT_RUN_SECONDS: Final = 0.00015
"""Work on a change goes on this long before requests get the processor again. Each of them may meet it twice: on
its way to the server and on its way back."""
LONG_RUN_SECONDS: Final = 0.0005
"""Once the change has proved to be a large one, which must come to its end as well."""
LARGE_SECONDS: Final = 0.03
"""A change that takes longer than this is large."""
LONGEST_BUSY_RUN_SECONDS: Final = 0.004
SHARE: Final = 0.25
"""On a busy worker it goes on for this part of the time for which it gave way."""
ITEMS_AT_ONCE: Final = 32
"""So many steps of a few hundred nanoseconds are one unit: asking what time it is costs as much as one of them."""


class Pacer:
    """Lets the event loop run whenever the current greenlet has worked for SHORT_RUN_SECONDS.

    For LONG_RUN_SECONDS once the change has proved to be a large one. Where requests keep the processor for long
    in between, this works longer, too: else a large change would never end on a worker that is busy all the time.
    """

    __slots__ = ("_longest_seconds", "_since", "_worked_seconds")

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._longest_seconds = SHORT_RUN_SECONDS
        self._worked_seconds = 0.0

    def __call__(self) -> None:
        ended = time.monotonic()
        run = ended - self._since
        if run >= self._longest_seconds:
            # A timer, not sleep(0): that would come back in the same round of callbacks, before any I/O.
            gevent.sleep(0.0001)
            self._since = time.monotonic()
            self._worked_seconds += run
            usual = SHORT_RUN_SECONDS if self._worked_seconds < LARGE_SECONDS else LONG_RUN_SECONDS
            wanted = (self._since - ended) * SHARE
            self._longest_seconds = min(max(wanted, usual), LONGEST_BUSY_RUN_SECONDS)


def paced(items: Iterable[T], pause: Pause) -> Iterator[T]:
    """`items`, with a pause after every few of them; only for steps that are as good as nothing each.

    What is iterated must not be changed by others meanwhile.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % ITEMS_AT_ONCE == 0:
            pause()
