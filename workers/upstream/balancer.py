"""Weighted round robin, earliest deadline first.

Every entry has a deadline; the smallest is picked and moved on by 1/weight. Weights 3 and 1 give exactly three and
one of each four picks, spread out rather than in runs. State is the object's own: each worker has its rotation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")
# (deadline, place that settles equal deadlines, 1 / weight, entry)
_Slot = tuple[float, int, float, T]


class WeightedRoundRobin(Generic[T]):
    """Picks among `entries`, pairs of a thing and its weight; those with a weight of 0 or less are left out.

    With `rng` the entries are shuffled first, so that workers and reloads do not all begin with the same server;
    without it equal entries come in the given order.
    """

    __slots__ = ("_heap",)

    def __init__(self, entries: Sequence[tuple[T, int]], rng: Random | None = None) -> None:
        usable = [(entry, weight) for entry, weight in entries if weight > 0]
        if rng is not None:
            rng.shuffle(usable)
        self._heap: list[_Slot[T]] = [
            (1 / weight, place, 1 / weight, entry) for place, (entry, weight) in enumerate(usable)
        ]
        heapify(self._heap)

    def __len__(self) -> int:
        """Entries that can be picked at all."""
        return len(self._heap)

    def __repr__(self) -> str:
        return f"<WeightedRoundRobin of {len(self)}>"

    def pick(self, is_usable: Callable[[T], bool] | None = None) -> T | None:
        """The next entry for which `is_usable` holds, None if there is none. O(log n) if the first one is usable.

        Must not be called by `is_usable` itself; any greenlet may call it, as it never switches on its own.
        """
        heap = self._heap
        if not heap:
            return None
        deadline, place, step, entry = heap[0]
        if is_usable is not None and not is_usable(entry):
            return self._pick_behind_first(is_usable)
        if len(heap) > 1:
            heapreplace(heap, (deadline + step, place, step, entry))
        return entry

    def _pick_behind_first(self, is_usable: Callable[[T], bool]) -> T | None:
        heap = self._heap
        skipped = [heappop(heap)]
        try:
            while heap and not is_usable(heap[0][3]):
                skipped.append(heappop(heap))
            if not heap:
                return None
            deadline, place, step, entry = heap[0]
            heapreplace(heap, (deadline + step, place, step, entry))
            skipped = [_moved_on(slot, deadline) for slot in skipped]
            return entry
        finally:
            for slot in skipped:
                heappush(heap, slot)


def _moved_on(slot: _Slot[T], deadline: float) -> _Slot[T]:
    """`slot` after the turns it would have had, and lost, before `deadline`: it must not catch up later."""
    own, place, step, entry = slot
    return own + max(1, ceil((deadline - own) / step)) * step, place, step, entry


class Nested(Generic[T]):
    """Chooses among things, or among what stands for several of them. Never switches greenlets."""

    __slots__ = ("_rotation",)

    def __init__(self, entries: Sequence[tuple[T | Nested[T], int]], rng: Random | None = None) -> None:
        """Pairs of a choice and its weight; `rng` shuffles them, so that workers do not march in step."""
        self._rotation: WeightedRoundRobin[T | Nested[T]] = WeightedRoundRobin(entries, rng)

    def pick(self) -> T | None:
        """The one whose turn it is; None if there is none. No second choice is tried."""
        choice = self._rotation.pick()
        return choice.pick() if isinstance(choice, Nested) else choice

    def __len__(self) -> int:
        return len(self._rotation)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"
