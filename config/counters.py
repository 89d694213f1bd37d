"""Counters that outlive their worker: one region of shared memory for each worker slot.

A region belongs to whoever holds the slot; its successor finds what was counted and goes on from there, so that
sums over all regions never fall. Whoever is asked for metrics reads them all. A record is a key (bytes) and some
64-bit floating point values that only its owner changes, in place:

    used bytes | sequence | ... | (key length, value count, key, padding, values) ...

A record is written whole before `used` moves over it. The owner makes `sequence` odd while it writes a region
anew to get rid of keys; a reader that met that tries again. Values are read while they change: each is one
aligned word, and that one of a histogram may be an observation ahead of its sum is what Prometheus expects.

Behind the regions lies the tally: one page of words, one for each slot and a few for all (see Tally).
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import Final

from config.control_page import SLOT_COUNT

REGION_BYTES: Final = 16 << 20
"""Of address space; memory is spent only on pages that were written."""
LONGEST_KEY_BYTES: Final = 4096
MOST_VALUES: Final = 256

_REGIONS_BYTES: Final = SLOT_COUNT * REGION_BYTES
_TALLY_BYTES: Final = 4096
_HEAD_BYTES: Final = 64
_WORD: Final = 8
_RECORD: Final = struct.Struct("=II")
_HEAD: Final = struct.Struct("=QQ")
_TRIES: Final = 100


class Tally(IntEnum):
    """Words of the tally page behind the first SLOT_COUNT, which count the access log's requests slot by slot.

    Whoever gets there first writes these; that two do so at once harms nothing.
    """

    SCRAPES = SLOT_COUNT
    """How often the metrics were asked for."""
    GENERATION = SLOT_COUNT + 1
    """Highest number of a generation that was put in force."""
    APPLIED_AT = SLOT_COUNT + 2
    """When that was, in Unix seconds."""


class CounterPage:
    """All regions. Made by the master before the first fork; mapped where it is used, a region at a time."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def create(cls) -> CounterPage:
        descriptor = os.memfd_create("pointsman-counters", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _REGIONS_BYTES + _TALLY_BYTES)
        page = cls(descriptor)
        weakref.finalize(page, os.close, descriptor)
        return page

    def region(self, slot_index: int) -> Region:
        """To count in; by the slot's holder only."""
        return Region(_map(self.descriptor, slot_index))

    def tally(self) -> memoryview:
        """The tally page as 64-bit words, mapped for good; see Tally."""
        return memoryview(mmap.mmap(self.descriptor, _TALLY_BYTES, offset=_REGIONS_BYTES)).cast("Q")

    def read(self, slot_indexes: Iterable[int]) -> list[tuple[bytes, tuple[float, ...]]]:
        """All records of these slots, one slot after the other."""
        found: list[tuple[bytes, tuple[float, ...]]] = []
        for index in slot_indexes:
            mapping = _map(self.descriptor, index)
            try:
                found += _records(_copy(mapping))
            finally:
                mapping.close()
        return found


def _map(descriptor: int, slot_index: int) -> mmap.mmap:
    if not 0 <= slot_index < SLOT_COUNT:
        raise IndexError(f"slot {slot_index} of {SLOT_COUNT}")
    return mmap.mmap(descriptor, REGION_BYTES, offset=slot_index * REGION_BYTES)


def _copy(mapping: mmap.mmap) -> bytes:
    """The used part, as it was at one moment between two rewritings; b"" if none was to be had."""
    for _ in range(_TRIES):
        used, before = _HEAD.unpack_from(mapping)
        if before % 2 or used > REGION_BYTES:
            continue
        data = mapping[_HEAD_BYTES : max(used, _HEAD_BYTES)]
        if _HEAD.unpack_from(mapping)[1] == before:
            return data
    return b""


def _records(data: bytes) -> list[tuple[bytes, tuple[float, ...]]]:
    found, position = [], 0
    while position < len(data):
        key_bytes, count = _RECORD.unpack_from(data, position)
        start = position + _RECORD.size
        values = start + _padded(key_bytes)
        found.append((data[start : start + key_bytes], struct.unpack_from(f"={count}d", data, values)))
        position = values + count * _WORD
    return found


def _padded(size: int) -> int:
    return -(-size // _WORD) * _WORD


class RegionFull(Exception):
    """There is no place for another key: `keep` fewer."""


class Region:
    """One worker's counters. `values` is all of the region as 64-bit floats; `place` says which are a key's."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self._map = mapping
        self._places: dict[bytes, int] = {}
        self._used = _HEAD_BYTES
        self.values = memoryview(mapping).cast("d")
        self._adopt()

    def _adopt(self) -> None:
        """Find the records that the slot's last holder left."""
        used, sequence = _HEAD.unpack_from(self._map)
        if sequence % 2:  # it died while it wrote the region anew: what is there cannot be trusted
            used = 0
        self._used = max(int(used), _HEAD_BYTES)
        _HEAD.pack_into(self._map, 0, self._used, sequence + sequence % 2)
        position = _HEAD_BYTES
        while position < self._used:
            key_bytes, count = _RECORD.unpack_from(self._map, position)
            start = position + _RECORD.size
            place = start + _padded(key_bytes)
            self._places[self._map[start : start + key_bytes]] = place // _WORD
            position = place + count * _WORD

    def place(self, key: bytes, count: int) -> int:
        """Index in `values` of the first of the key's `count` values; new ones are zero. Raises RegionFull."""
        found = self._places.get(key)
        return found if found is not None else self._append(key, [0.0] * count)

    def _append(self, key: bytes, values: Iterable[float]) -> int:
        values = list(values)
        if len(key) > LONGEST_KEY_BYTES or len(values) > MOST_VALUES:
            raise RegionFull
        start: int = self._used + _RECORD.size
        place = start + _padded(len(key))
        end = place + len(values) * _WORD
        if end > REGION_BYTES:
            raise RegionFull
        _RECORD.pack_into(self._map, self._used, len(key), len(values))
        self._map[start : start + len(key)] = key
        struct.pack_into(f"={len(values)}d", self._map, place, *values)
        self._used = end
        _HEAD.pack_into(self._map, 0, end, _HEAD.unpack_from(self._map)[1])
        self._places[key] = place // _WORD
        return place // _WORD

    def keys(self) -> Collection[bytes]:
        return self._places.keys()

    def keep(self, keys: Collection[bytes]) -> None:
        """Forget all others. Every place is another one afterwards."""
        kept = [row for row in _records(self._map[_HEAD_BYTES : self._used]) if row[0] in keys]
        sequence = _HEAD.unpack_from(self._map)[1]
        _HEAD.pack_into(self._map, 0, _HEAD_BYTES, sequence + 1)
        self._used = _HEAD_BYTES
        self._places.clear()
        for key, values in kept:
            self._append(key, values)
        _HEAD.pack_into(self._map, 0, self._used, sequence + 2)

    def close(self) -> None:
        self.values.release()
        self._map.close()
