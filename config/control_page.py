"""The control page: one small shared mapping that master, provider and all workers see.

Made by the master before the first fork. Every cell is an aligned 64-bit integer with exactly one writer, so
no lock is needed: the page's head is the master's (but for the provider's cells), a slot is its worker's. The
master zeroes a slot when its worker is gone, so sums over the slots never count the dead.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

SLOT_COUNT: Final = 256
_WORD: Final = 8
_HEAD_WORDS: Final = 32
_SLOT_WORDS: Final = 32
_SIZE: Final = (_HEAD_WORDS + SLOT_COUNT * _SLOT_WORDS) * _WORD


class Head(IntEnum):
    """Cells of the whole process tree."""

    MASTER_PID = 0
    GENERATION = 1  # number of the newest generation the master holds
    TERMINATING = 2  # 1 from the first moment of a graceful stop: ping turns red, traffic goes on
    WORKERS_WANTED = 3
    PROVIDER_PID = 4
    FIRST_COMPLETE = 5  # number of the first generation built from a complete view, 0 until then
    LOG_EPOCH = 6  # grows with each request to reopen the logs
    READY = 7  # 1 from the moment every wanted worker serves a complete configuration
    PROVIDER_HEARTBEAT_NS = 16  # written by the provider (monotonic clock)
    PROVIDER_SYNCED = 17  # written by the provider: 1 while every watched kind is listed and watched
    KINDS_LISTED = 18  # written by the provider: bit n says that kind n of its table has been listed, see Feeds


class Cell(IntEnum):
    """Cells of one worker's slot."""

    PID = 0  # written by the master
    GENERATION = 1  # number applied last
    HEARTBEAT_NS = 2
    OPEN_CONNECTIONS = 3
    ACTIVE_REQUESTS = 4
    REQUESTS_TOTAL = 5
    REFUSED_GENERATIONS = 6
    DRAINING = 7


class ControlPage:
    """Typed access to the mapping. `create` in the master; `attach` where the descriptor was inherited."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _SIZE)
        self._words = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls) -> ControlPage:
        descriptor = os.memfd_create("pointsman-control-page", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _SIZE)
        return cls(descriptor)

    @classmethod
    def attach(cls, descriptor: int) -> ControlPage:
        if os.fstat(descriptor).st_size != _SIZE:
            raise ValueError("the descriptor does not hold a control page of this release")
        return cls(descriptor)

    def __getitem__(self, cell: Head) -> int:
        return self._words[cell]

    def __setitem__(self, cell: Head, value: int) -> None:
        self._words[cell] = value

    def slot(self, index: int) -> Slot:
        if not 0 <= index < SLOT_COUNT:
            raise IndexError(f"slot {index} of {SLOT_COUNT}")
        start = _HEAD_WORDS + index * _SLOT_WORDS
        return Slot(index, self._words[start : start + _SLOT_WORDS])

    def live_slots(self) -> Iterator[Slot]:
        """Slots that a worker holds now, by index."""
        for index in range(SLOT_COUNT):
            if self._words[_HEAD_WORDS + index * _SLOT_WORDS + Cell.PID]:
                yield self.slot(index)

    def close(self) -> None:
        """Only where no slot view is in use any more."""
        self._words.release()
        self._map.close()
        os.close(self.descriptor)


class Slot:
    """One worker's cells. Plain attribute-free access: `slot[Cell.PID]`."""

    __slots__ = ("_words", "index")

    def __init__(self, index: int, words: memoryview) -> None:
        self.index = index
        self._words = words

    def __getitem__(self, cell: Cell) -> int:
        value: int = self._words[cell]
        return value

    def __setitem__(self, cell: Cell, value: int) -> None:
        self._words[cell] = value

    def clear(self) -> None:
        """Master only, after the worker was reaped."""
        for cell in range(_SLOT_WORDS):
            self._words[cell] = 0

    def beat(self) -> None:
        self._words[Cell.HEARTBEAT_NS] = time.monotonic_ns()
