"""Shared cells: one sparse mapping for the state that all workers must see as one.

Made by the master beside the control page, before the first fork; the workers inherit descriptor and mapping.
This module knows where things lie, locks stripes and takes a dead worker's counts back; what the cells mean is
in `workers/shared.py`. Nothing grows: the file has its full size from the start, and memory is spent only on
pages that were touched (at most about 12 MiB for words, 64 MiB for gauges with every slot in use, and the
records that breakers really write).

Three tables, each cut into stripes that one lock guards:

- *words*: (tag, stamp, value), one 64-bit value for a key, forgotten when its stamp says so;
- *gauges*: a tag and one 32-bit count for each worker slot, so that counts can die with their worker;
- *records*: (tag, stamp) and a body of RECORD_BYTES that its user lays out.

Locks are POSIX byte-range locks (`fcntl`) on numbers, not on the bytes of the file. The kernel drops them when
their process ends, however it ends, so a killed worker never wedges another. They belong to the process: never
hold one across a greenlet switch, never use them from a second thread, never hold two.

A worker may be killed between any two instructions. Every store is one aligned machine word, and each update is
ordered so that what a killed writer leaves is a state of before, of after, or a free cell; see the users.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import time
import weakref
from typing import Final

from config.control_page import SLOT_COUNT
from config.counters import CounterPage

WORD_STRIPES: Final = 256
WORD_CELLS: Final = 2048
"""Cells of one stripe; 524,288 in all."""
GAUGE_STRIPES: Final = 64
GAUGE_ROWS: Final = 1024
RECORD_STRIPES: Final = 128
RECORD_CELLS: Final = 128
RECORD_BYTES: Final = 112 * 1024

ALL_WORDS: Final = WORD_STRIPES * WORD_CELLS
ALL_ROWS: Final = GAUGE_STRIPES * GAUGE_ROWS
ALL_RECORDS: Final = RECORD_STRIPES * RECORD_CELLS

FIRST_GAUGE_LOCK: Final = WORD_STRIPES
FIRST_RECORD_LOCK: Final = FIRST_GAUGE_LOCK + GAUGE_STRIPES
LONGEST_WAIT_SECONDS: Final = 0.25
"""A stripe is held for microseconds; one held so long belongs to a process that is stopped, not to a busy one."""

_WORD: Final = 8
_COUNT: Final = 4
_SALT_BYTES: Final = 32
_HEAD_BYTES: Final = 4096
_COLUMN_BYTES: Final = ALL_ROWS * _COUNT
_USED_SLOTS: Final = 8
"""Word of the head: one more than the highest slot that a worker has had."""

_WORD_TAGS: Final = _HEAD_BYTES
_WORD_STAMPS: Final = _WORD_TAGS + ALL_WORDS * _WORD
_WORD_VALUES: Final = _WORD_STAMPS + ALL_WORDS * _WORD
_GAUGE_TAGS: Final = _WORD_VALUES + ALL_WORDS * _WORD
_GAUGE_COUNTS: Final = _GAUGE_TAGS + ALL_ROWS * _WORD
_RECORD_TAGS: Final = _GAUGE_COUNTS + SLOT_COUNT * _COLUMN_BYTES
_RECORD_STAMPS: Final = _RECORD_TAGS + ALL_RECORDS * _WORD
_RECORDS: Final = _RECORD_STAMPS + ALL_RECORDS * _WORD
SIZE_BYTES: Final = _RECORDS + ALL_RECORDS * RECORD_BYTES

_YIELDS: Final = 50
_PAUSE_SECONDS: Final = 50e-6
_GIVEN_UP_SECONDS: Final = 1.0
"""So long nobody waits again for a lock that was waited for in vain."""


class CellsBusy(Exception):
    """A stripe stayed locked: its holder is stopped. Whoever asked must refuse what it was asked for."""


class Cells:
    """The mapping and its locks. Make it once, before the fork; use `slots` from the master only."""

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over: it is closed with this object."""
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._given_up: dict[int, float] = {}
        self._map = mmap.mmap(descriptor, SIZE_BYTES)
        # a huge page for each touched cell would be too much; where there are none the kernel refuses the advice
        for advice in (mmap.MADV_DONTDUMP, mmap.MADV_NOHUGEPAGE):
            with contextlib.suppress(OSError):
                self._map.madvise(advice)
        whole = memoryview(self._map)
        self._head = whole[:_HEAD_BYTES].cast("Q")
        self.word_tags = whole[_WORD_TAGS:_WORD_STAMPS].cast("Q")
        self.word_stamps = whole[_WORD_STAMPS:_WORD_VALUES].cast("Q")
        self.word_values = whole[_WORD_VALUES:_GAUGE_TAGS].cast("Q")
        self.gauge_tags = whole[_GAUGE_TAGS:_GAUGE_COUNTS].cast("Q")
        self.gauge_counts = whole[_GAUGE_COUNTS:_RECORD_TAGS].cast("I")
        """Column after column: the count of row r in slot s is at `s * ALL_ROWS + r`."""
        self.record_tags = whole[_RECORD_TAGS:_RECORD_STAMPS].cast("Q")
        self.record_stamps = whole[_RECORD_STAMPS:_RECORDS].cast("Q")
        self.records = whole[_RECORDS:]
        self.salt = bytes(whole[:_SALT_BYTES])
        """Unknown outside, the same in all workers: nobody can aim at a stripe or guess what derives from it."""
        self.counters = CounterPage.create()
        """The metrics' counters: made beside the cells, inherited with them."""

    @classmethod
    def create(cls) -> Cells:
        """Raises OSError where the kernel has no memfd or the address space is limited (`ulimit -v`)."""
        descriptor = os.memfd_create("pointsman-cells", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, SIZE_BYTES)
        os.pwrite(descriptor, os.urandom(_SALT_BYTES), 0)
        return cls(descriptor)

    # Locks

    def lock(self, number: int) -> None:
        """Hold lock `number` until `unlock`. Raises CellsBusy after LONGEST_WAIT_SECONDS."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            self._wait_for(number)

    def _wait_for(self, number: int) -> None:
        """Not F_SETLKW: a holder that was stopped with SIGSTOP would stop every worker with it."""
        now = time.monotonic()
        if now < self._given_up.get(number, 0.0):
            raise CellsBusy(f"lock {number} of the shared cells is held by a stopped process")
        deadline = now + LONGEST_WAIT_SECONDS
        tries = 0
        while True:
            tries += 1
            if tries <= _YIELDS:
                os.sched_yield()
            else:
                time.sleep(_PAUSE_SECONDS)
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    self._given_up[number] = deadline + _GIVEN_UP_SECONDS
                    raise CellsBusy(f"lock {number} of the shared cells is held by a stopped process") from error

    def unlock(self, number: int) -> None:
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, number)

    # Worker slots

    @property
    def used_slots(self) -> int:
        """How many columns of counts are worth a look."""
        return self._head[_USED_SLOTS]

    def open_slot(self, index: int) -> None:
        """Master only, before the fork of the worker that gets this slot: it starts with no counts."""
        if not 0 <= index < SLOT_COUNT:
            raise IndexError(f"slot {index} of {SLOT_COUNT}")
        self.clear_slot(index)
        self._head[_USED_SLOTS] = max(self._head[_USED_SLOTS], index + 1)

    def clear_slot(self, index: int) -> None:
        """Master only, after the worker was reaped: its counts vanish. No lock: nobody else writes them."""
        if index < self.used_slots:
            self._zero(_GAUGE_COUNTS + index * _COLUMN_BYTES, _COLUMN_BYTES)

    def clear_record(self, index: int, start: int = 0, size: int = RECORD_BYTES) -> None:
        """Zero a part of a record, in whole pages. Under its lock."""
        self._zero(_RECORDS + index * RECORD_BYTES + start, size)

    def _zero(self, start: int, size: int) -> None:
        """Give the pages back, which also reads as zero; where the kernel cannot (gVisor), write zeros."""
        try:
            self._map.madvise(mmap.MADV_REMOVE, start, size)
        except OSError:
            for offset in range(start, start + size, _HEAD_BYTES):
                self._map[offset : offset + _HEAD_BYTES] = bytes(_HEAD_BYTES)
