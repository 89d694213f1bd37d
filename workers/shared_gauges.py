"""How many are in progress, by source, over all workers: limits that hold exactly whatever dies.

A source has a row: a tag and one count for each worker slot. A worker writes only its own count. It adds under
the stripe's lock, so "the sum is below the limit, one more" is one step for all of them; taking away needs no
lock, because a row in use keeps its place and a sum read a moment too early is merely too large. A row whose sum
is zero is free, whatever its tag says, and keeps the tag for the next request of the same source.

When a worker is gone the master zeroes its whole column and its share of every sum vanishes; until then it
counts, which is the safe side. What a killed writer leaves: a row with a tag and no counts (free), or a count in
its own column (cleared).
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from config.cells import ALL_ROWS, FIRST_GAUGE_LOCK, GAUGE_ROWS, GAUGE_STRIPES, Cells

WINDOW: Final = 32
"""Rows that are looked at for one source, at most."""

_HOMES: Final = GAUGE_ROWS - WINDOW + 1
_halves = struct.Struct("=QQ").unpack
_DIGEST_BYTES: Final = 16


class Gauge:
    """Counts of one instance's sources. From the worker's own thread only."""

    __slots__ = ("_cells", "_column", "_counts", "_hash", "_tags")

    def __init__(self, cells: Cells, identity: bytes, slot_index: int) -> None:
        self._cells = cells
        self._tags, self._counts = cells.gauge_tags, cells.gauge_counts
        self._column = slot_index * ALL_ROWS
        self._hash = hashlib.blake2b(cells.salt + identity, digest_size=_DIGEST_BYTES)

    def enter(self, source: bytes, limit: int) -> bool:
        """One more of this source, unless `limit` are there already.

        Also False where more sources are in progress at once than there are rows for (about 50,000).
        """
        if limit <= 0:
            return False
        tag, home, lock = self._place(source)
        self._cells.lock(lock)
        try:
            row = self._find(tag, home)
            if row < 0:
                row = self._claim(tag, home)
                if row < 0:
                    return False
            elif self._sum(row) >= limit:
                return False
            self._counts[self._column + row] += 1
            return True
        finally:
            self._cells.unlock(lock)

    def leave(self, source: bytes) -> None:
        """One less: exactly once for each `enter` that returned True. Never waits, so it cannot fail to happen."""
        tag, home, _lock = self._place(source)
        row = self._find(tag, home)
        if row < 0 or not self._counts[self._column + row]:
            raise ValueError("left without having entered")
        self._counts[self._column + row] -= 1

    def count(self, source: bytes) -> int:
        """How many there are, in all workers."""
        tag, home, _lock = self._place(source)
        row = self._find(tag, home)
        return 0 if row < 0 else self._sum(row)

    def _place(self, source: bytes) -> tuple[int, int, int]:
        """(tag, first row of the window, number of the lock)."""
        digest = self._hash.copy()
        digest.update(source)
        tag, place = _halves(digest.digest())
        stripe = place % GAUGE_STRIPES
        return tag | 1, stripe * GAUGE_ROWS + (place >> 16) % _HOMES, FIRST_GAUGE_LOCK + stripe

    def _sum(self, row: int) -> int:
        return sum(self._counts[row : row + self._cells.used_slots * ALL_ROWS : ALL_ROWS])

    def _find(self, tag: int, home: int) -> int:
        if self._tags[home] == tag:
            return home
        try:
            return home + self._tags[home : home + WINDOW].tolist().index(tag)
        except ValueError:
            return -1

    def _claim(self, tag: int, home: int) -> int:
        """A row for this source, -1 if all of its window are in use."""
        tags = self._tags[home : home + WINDOW].tolist()
        rows = [home + tags.index(0)] if 0 in tags else range(home, home + WINDOW)
        for row in rows:
            if not self._sum(row):
                self._tags[row] = tag
                return row
        return -1
