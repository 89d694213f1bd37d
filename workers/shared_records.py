"""A body of bytes for one instance: state that is larger than a word, such as a breaker's windows.

    with breaker_record as words: ...   # locked; 64-bit words

The user lays the body out and orders its stores so that a death between two of them is harmless; all zero must
be its first state. A record is found again by its identity; one that nobody used for its ttl is zeroed and its
memory given back as soon as another one of the same stripe is made. Should all of a stripe be in use, the one
nearest its expiry is dropped.

What a killed writer leaves: a new record gets its tag last, a dropped one loses it first.
"""

from __future__ import annotations

import hashlib
import struct
import time
from types import TracebackType
from typing import Final

from config.cells import FIRST_RECORD_LOCK, RECORD_BYTES, RECORD_CELLS, RECORD_STRIPES, Cells

_halves = struct.Struct("=QQ").unpack


class Record:
    """A context manager that holds the record's lock: quick work only, no switch inside.

    Entering gives the body as 64-bit words; `counts` are the same bytes as 32-bit ones.
    """

    __slots__ = ("_cells", "_first", "_index", "_lock", "_tag", "_ttl", "_words", "counts")

    _NONE: Final = -1

    def __init__(self, cells: Cells, identity: bytes, *, ttl_seconds: int) -> None:
        self._cells = cells
        tag, place = _halves(hashlib.blake2b(cells.salt + identity, digest_size=16).digest())
        stripe = place % RECORD_STRIPES
        self._tag = tag | 1
        self._first: int = stripe * RECORD_CELLS
        self._lock = FIRST_RECORD_LOCK + stripe
        self._ttl = ttl_seconds
        self._index = self._NONE

    def __enter__(self) -> memoryview:
        self._cells.lock(self._lock)
        try:
            self._locate(int(time.monotonic()))
        except BaseException:
            self._cells.unlock(self._lock)
            raise
        return self._words

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._cells.unlock(self._lock)

    def peek(self, word: int) -> int | None:
        """One word as it is now, without the lock; None if the record has to be looked up first."""
        index = self._index
        if index < 0 or self._cells.record_tags[index] != self._tag:
            return None
        value: int = self._words[word]
        return value

    def clear(self, start: int, size: int) -> None:
        """Zero these bytes (whole pages). Inside the `with` only."""
        self._cells.clear_record(self._index, start, size)

    def _locate(self, now: int) -> None:
        tags, stamps = self._cells.record_tags, self._cells.record_stamps
        index = self._index
        if index < 0 or tags[index] != self._tag or stamps[index] <= now:
            index = self._look_up(now)
            body = self._cells.records[index * RECORD_BYTES : (index + 1) * RECORD_BYTES]
            self._words, self.counts = body.cast("Q"), body.cast("I")
            self._index = index
        if stamps[index] != now + self._ttl:
            stamps[index] = now + self._ttl

    def _look_up(self, now: int) -> int:
        stripe = range(self._first, self._first + RECORD_CELLS)
        tags: list[int] = self._cells.record_tags[stripe.start : stripe.stop].tolist()
        stamps: list[int] = self._cells.record_stamps[stripe.start : stripe.stop].tolist()
        if self._tag in tags:
            found: int = tags.index(self._tag)
            if stamps[found] > now:
                return self._first + found
        for place, (tag, stamp) in enumerate(zip(tags, stamps, strict=True)):
            if tag and stamp <= now:
                self._drop(self._first + place)
                tags[place] = 0
        index: int = self._first + (tags.index(0) if 0 in tags else stamps.index(min(stamps)))
        self._drop(index)
        self._cells.record_stamps[index] = now + self._ttl
        self._cells.record_tags[index] = self._tag
        return index

    def _drop(self, index: int) -> None:
        self._cells.record_tags[index] = 0
        self._cells.clear_record(index)
