"""One 64-bit value for each source of an instance: token buckets, and whatever else fits a word.

A cell is found by a digest of instance and source: the stripe and a window of WINDOW cells in it come from one
half, the tag that must match from the other. A source without a cell takes a free one, an expired one, or, in
a window full of living cells, the one nearest its expiry among those of the instance that holds most of them:
a flood of sources at one limiter pushes out its own, not those of other routers.

What a killed writer leaves: value and stamp are one word each and mean something in every combination (a value
without a fresh stamp is merely forgotten earlier). A new cell gets its tag last and a victim loses its tag
first, so a cell half made is a free cell.
"""

from __future__ import annotations

import hashlib
import math
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from config.cells import WORD_CELLS, WORD_STRIPES, Cells

WINDOW: Final = 16
"""Cells that are looked at for one source, at most."""
REFUSED: Final = -1

_HOMES: Final = WORD_CELLS - WINDOW + 1
_DIGEST_BYTES: Final = 16
_halves = struct.Struct("=QQ").unpack
_NS: Final = 1_000_000_000
_FRACTION_BITS: Final = 4
"""Buckets count in sixteenths of a nanosecond: intervals are off by less than 1e-4 up to 3 million a second."""
_OWNER_MASK: Final = 0xFFFF_FFFF
_LARGEST: Final = (1 << 63) - 1


class Words:
    """Values of one instance's sources. From the worker's own thread only."""

    __slots__ = ("_cells", "_hash", "_owner", "_stamps", "_tags", "_ttl", "_values")

    def __init__(self, cells: Cells, identity: bytes, *, ttl_seconds: int) -> None:
        self._cells = cells
        self._tags, self._stamps, self._values = cells.word_tags, cells.word_stamps, cells.word_values
        self._hash = hashlib.blake2b(cells.salt + identity, digest_size=_DIGEST_BYTES)
        self._owner = int.from_bytes(identity[:4], "little")
        self._ttl = min(ttl_seconds, _OWNER_MASK >> 1)

    def update(self, source: bytes, change: Callable[[int | None], int | None]) -> int | None:
        """Replace the value by `change(value)` in one step; None stands for no value, and as result for no change.

        `change` must be quick and must not fail or switch. Returns what it returned.
        """
        tag, home, stripe = self._place(source)
        self._cells.lock(stripe)
        try:
            seconds = time.monotonic_ns() // _NS
            index = self._find(tag, home, seconds)
            new = change(None if index < 0 else self._values[index])
            if new is not None:
                if index < 0:
                    index = self._claim(tag, home, seconds)
                self._values[index] = new
                self._stamps[index] = (seconds + self._ttl) << 32 | self._owner
            return new
        finally:
            self._cells.unlock(stripe)

    def _place(self, source: bytes) -> tuple[int, int, int]:
        """(tag, first cell of the window, stripe)."""
        digest = self._hash.copy()
        digest.update(source)
        tag, place = _halves(digest.digest())
        stripe = place % WORD_STRIPES
        return tag | 1, stripe * WORD_CELLS + (place >> 16) % _HOMES, stripe

    def _find(self, tag: int, home: int, seconds: int) -> int:
        """The cell with this tag, -1 if there is none or it has expired. Under the stripe's lock."""
        if self._tags[home] == tag:
            index = home
        else:
            try:
                index = home + self._tags[home : home + WINDOW].tolist().index(tag)
            except ValueError:
                return -1
        return index if self._stamps[index] >> 32 > seconds else -1

    def _claim(self, tag: int, home: int, seconds: int) -> int:
        """A cell with this tag and value 0. The caller stamps it. Under the stripe's lock."""
        index = home + self._victim(tag, home, seconds)
        self._tags[index] = 0
        self._values[index] = 0
        self._stamps[index] = (seconds + self._ttl) << 32 | self._owner
        self._tags[index] = tag
        return index

    def _victim(self, tag: int, home: int, seconds: int) -> int:
        tags = self._tags[home : home + WINDOW].tolist()
        for wanted in (tag, 0):
            if wanted in tags:
                return tags.index(wanted)
        stamps = self._stamps[home : home + WINDOW].tolist()
        stalest = min(stamps)
        if stalest >> 32 > seconds:
            held = Counter(stamp & _OWNER_MASK for stamp in stamps)
            held[self._owner] += 1
            most = max(held.values())
            owner = self._owner if held[self._owner] == most > 1 else held.most_common(1)[0][0]
            stalest = min((stamp for stamp in stamps if stamp & _OWNER_MASK == owner), default=stalest)
        return stamps.index(stalest)


class TokenBuckets(Words):
    """A bucket a source: full at first, one token each `interval_ns`, never more than `burst`.

    Kept is the one moment at which the bucket will be full again (the "theoretical arrival time" of the
    generic cell rate algorithm, ITU-T I.371), which says the same as a balance and its time, in one word: a take
    is one store. The clock is CLOCK_MONOTONIC, common to all processes.

    A source that did not ask for `ttl_seconds` (whole seconds, so up to one less) starts full again.
    """

    __slots__ = ("_allowance", "_interval", "_longest_wait")

    def __init__(
        self,
        cells: Cells,
        identity: bytes,
        *,
        interval_ns: float,
        burst: int,
        longest_wait_ns: int,
        ttl_seconds: int,
    ) -> None:
        """`longest_wait_ns`: who would have to wait longer is refused."""
        super().__init__(cells, identity, ttl_seconds=ttl_seconds)
        self._interval = max(1, round(interval_ns * (1 << _FRACTION_BITS)))
        self._allowance = self._interval * burst
        self._longest_wait = longest_wait_ns << _FRACTION_BITS

    def take(self, source: bytes) -> tuple[bool, int]:
        """Take one token if it is there in time: (taken, nanoseconds to wait until it is there).

        A token that is not taken costs nothing; the wait says when it would have been there.
        """
        digest = self._hash.copy()
        digest.update(source)
        tag, place = _halves(digest.digest())
        tag |= 1
        stripe = place % WORD_STRIPES
        home = stripe * WORD_CELLS + (place >> 16) % _HOMES
        self._cells.lock(stripe)
        try:
            now = time.monotonic_ns()
            seconds = now // _NS
            now <<= _FRACTION_BITS
            index = self._find(tag, home, seconds)
            full_at = now
            if index < 0:
                index = self._claim(tag, home, seconds)
            else:
                full_at = max(full_at, self._values[index])
                self._stamps[index] = (seconds + self._ttl) << 32 | self._owner
            full_at += self._interval
            wait = full_at - now - self._allowance
            taken = wait <= self._longest_wait
            if taken:
                self._values[index] = min(full_at, _LARGEST)
        finally:
            self._cells.unlock(stripe)
        return taken, max(0, math.ceil(wait / (1 << _FRACTION_BITS)))
