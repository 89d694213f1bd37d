"""Garbage collection, kept away from configuration.

A configuration of 10,000 routes is half a million objects that live long and form no cycles. The collector finds
nothing among them, and looking takes a quarter of a second in which nobody is served; changes made it look again
and again, since they bring many objects that stay. So what changes have made is frozen now and then: put where
collections do not look. Counting references frees it all the same once it is replaced.

What is frozen by the way (a connection that is open just then) and ends as a cycle is not freed: all is thawed,
looked through and frozen again after a long time of changes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

FREEZE_AFTER: Final = 80
"""Collections of the youngest generation during changes; each stands for a handful of new objects."""
THAW_AFTER: Final = 1024
"""Freezes; some twenty minutes of a storm."""
_NEVER: Final = 1 << 30
_HANDFUL: Final = 250  # objects
_HANDFULS_LEFT: Final = 40  # less is not worth a look in a quiet moment
_HANDFULS_AT_MOST: Final = 400
_MIDDLE: Final = 3
"""Collections of the youngest generation before one of the middle one, which takes as long as it holds objects:
with the usual ten a change would stand still for a millisecond each time, and nothing is saved by fewer."""


class Collector:
    """Wraps changes of one process. Belongs to one thread; changes must not overlap."""

    _middle = _MIDDLE

    def __init__(self) -> None:
        self._made = 0
        self.freezes = 0

    @contextmanager
    def change(self) -> Iterator[None]:
        """While a change is worked on only the young are collected; what it leaves may be frozen at its end."""
        young, middle, old = gc.get_threshold()
        before = _young_collections()
        gc.set_threshold(min(young, _HANDFUL), self._middle, _NEVER)
        try:
            yield
        finally:
            gc.set_threshold(young, middle, old)
            self._made += _young_collections() - before
            if self._made >= FREEZE_AFTER:
                self._freeze()

    def _freeze(self) -> None:
        self._made = 0
        is_first, self.freezes = self.freezes == 0, self.freezes + 1
        if self.freezes % THAW_AFTER == 0:
            gc.unfreeze()
        if is_first or self.freezes % THAW_AFTER == 0:  # the first time there is hardly anybody to be kept waiting
            gc.collect()
        else:
            self._look()
        gc.freeze()

    def _look(self) -> None:
        gc.collect(1)  # cycles among the young must not be frozen


class QuietCollector(Collector):
    """For a process that does nothing but changes, with threads that bring them: it never stands still for long.

    The youngest are looked through by handfuls, in passing. What survives that waits for a quiet moment (call
    `quiet` when there is one) or is frozen as it is, since cycles among it are rare: these wait until all is
    thawed. Where no moment is quiet and nothing is frozen, many handfuls are looked through all the same.
    """

    _middle = _HANDFULS_AT_MOST

    def __init__(self) -> None:
        super().__init__()
        # Full ones go on outside of changes: nothing else finds cycles that outlived a look, for a long time.
        gc.set_threshold(_HANDFUL, self._middle, gc.get_threshold()[2])

    def quiet(self) -> None:
        """Look through what has been left since the last change."""
        if gc.get_count()[1] > _HANDFULS_LEFT:
            gc.collect(1)

    def _look(self) -> None:
        pass


def _young_collections() -> int:
    """How often the youngest generation, alone or with others, has been collected."""
    return sum(one["collections"] for one in gc.get_stats())
