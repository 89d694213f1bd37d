"""What a circuit breaker remembers of the last seconds, in one shared record: responses by status, latencies.

Responses are counted in one-second cells, each a word of its second and its count; the window is this second and
the nine before, so an old cell is no count without anybody clearing it.

Latencies go into six histograms in turn, a new one from the first sample that comes ten seconds after the last
turn; idle time alone expires nothing. A histogram has the cells of an HDR histogram with two significant digits
for 1 microsecond to 1 hour (hdrhistogram.org): 128 linear steps in each power of two, 3,328 cells, at most 1 % of
error, read at the top of the cell.

Every change is one or two single words, and each by itself makes sense: what a killed writer leaves is a sample
that was counted here and not there. All functions want the record's lock held.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import Final

from config.cells import RECORD_BYTES
from workers.shared import Record

WINDOW_SECONDS: Final = 10
HISTOGRAMS: Final = 6
HISTOGRAM_SECONDS: Final = 10
CELLS: Final = 3328

_NS: Final = 1_000_000_000
_PAGE: Final = 4096
_WORD: Final = 8
# Of the head's page: words that are cleared by hand.
_CURRENT: Final = 8
_TURNED: Final = 9
"""Monotonic nanoseconds of the last turn; 0 means never."""
_EDGES: Final = 16
"""For each histogram one word: lowest used cell << 32 | one more than the highest; 0 for an empty one."""
# Pages of their own.
_CODES: Final = _PAGE // _WORD
"""CODE_SLOTS times SLOT_WORDS words: the status, then its ten cells."""
_SLOT_WORDS: Final = 12
_CODE_SLOTS: Final = 128
_HISTOGRAM: Final = 4 * _PAGE
"""Bytes from the record's start to the first one, and from each to the next."""
_LOW: Final = 0xFFFF_FFFF
assert _CODES + _CODE_SLOTS * _SLOT_WORDS <= _HISTOGRAM // _WORD
assert _HISTOGRAM * (1 + HISTOGRAMS) <= RECORD_BYTES


def cell_of(microseconds: int) -> int:
    """Index of the cell that counts this latency; CELLS or more for one that is too long.

    >>> cell_of(0), cell_of(255), cell_of(256), cell_of(258)
    (0, 255, 256, 257)
    """
    power = max(0, microseconds.bit_length() - 8)
    return (power << 7) + (microseconds >> power)


def top_of(cell: int) -> int:
    """The longest latency, in microseconds, that the cell counts.

    >>> top_of(255), top_of(256), top_of(cell_of(100_000))
    (255, 257, 100351)
    """
    power = max(0, (cell >> 7) - 1)
    return ((cell - (power << 7) + 1) << power) - 1


class Windows:
    """One worker's view of a breaker's windows. `words` is what entering the record gave."""

    __slots__ = ("_places", "_record")

    def __init__(self, record: Record) -> None:
        self._record = record
        self._places: dict[int, int] = {}

    def add(self, words: memoryview, status: int, microseconds: int, now_ns: int) -> None:
        """Count one response."""
        second = now_ns // _NS
        place = self._places.get(status, _CODES)
        if words[place] != status:
            place = self._places[status] = _place_of(words, status, second)
        cell = place + 1 + second % WINDOW_SECONDS
        kept = words[cell]
        words[cell] = kept + 1 if kept >> 32 == second else second << 32 | 1
        self._add_latency(words, cell_of(microseconds), now_ns)

    def _add_latency(self, words: memoryview, cell: int, now_ns: int) -> None:
        turned = words[_TURNED]
        current = words[_CURRENT]
        if not turned:
            words[_TURNED] = now_ns
        elif now_ns - turned >= HISTOGRAM_SECONDS * _NS:
            current = (current + 1) % HISTOGRAMS
            words[_EDGES + current] = 0
            self._record.clear(_HISTOGRAM * (1 + current), _HISTOGRAM)
            words[_CURRENT] = current
            words[_TURNED] = now_ns
        if cell >= CELLS:
            return
        edges = words[_EDGES + current]
        lowest, end = (edges >> 32, edges & _LOW) if edges else (cell, cell + 1)
        words[_EDGES + current] = min(lowest, cell) << 32 | max(end, cell + 1)
        self._record.counts[(_HISTOGRAM * (1 + current) >> 2) + cell] += 1

    def clear(self, words: memoryview) -> None:
        """Forget everything."""
        for word in range(_CURRENT, _EDGES + HISTOGRAMS):
            words[word] = 0
        self._record.clear(_PAGE, RECORD_BYTES - _PAGE)

    def responses(self, words: memoryview, now_ns: int) -> dict[int, int]:
        """How many responses the window holds, by status."""
        second = now_ns // _NS
        counted: dict[int, int] = {}
        for place in range(_CODES, _CODES + _CODE_SLOTS * _SLOT_WORDS, _SLOT_WORDS):
            status = words[place]
            if not status:
                break
            cells = words[place + 1 : place + 1 + WINDOW_SECONDS].tolist()
            counted[status] = sum(cell & _LOW for cell in cells if second - (cell >> 32) < WINDOW_SECONDS)
        return counted

    def latency_at(self, words: memoryview, percentile: float) -> int:
        """Microseconds that so many percent of the responses took at most; 0 without responses."""
        edges = [words[_EDGES + number] for number in range(HISTOGRAMS)]
        used = [number for number in range(HISTOGRAMS) if edges[number]]
        if not used:
            return 0
        lowest = min(edges[number] >> 32 for number in used)
        length = max(edges[number] & _LOW for number in used) - lowest
        counts = self._record.counts
        merged = 0  # cells are added as the lanes of one large number: none of them comes near 32 bits
        for number in used:
            start = (_HISTOGRAM * (1 + number) >> 2) + lowest
            merged += int.from_bytes(counts[start : start + length], "little")
        sums = list(accumulate(struct.unpack(f"<{length}I", merged.to_bytes(4 * length, "little"))))
        wanted = max(1, int(min(percentile, 100.0) / 100 * sums[-1] + 0.5))
        return top_of(lowest + next((cell for cell, total in enumerate(sums) if total >= wanted), 0))


def _place_of(words: memoryview, status: int, second: int) -> int:
    """Where the cells of this status begin: its own place, a free one, or one whose cells are all too old.

    Should more statuses than there are places be seen within ten seconds, the last place counts them all.
    """
    end = _CODES + _CODE_SLOTS * _SLOT_WORDS
    statuses = words[_CODES:end:_SLOT_WORDS].tolist()
    for wanted in (status, 0):
        if wanted in statuses:
            place: int = _CODES + statuses.index(wanted) * _SLOT_WORDS
            words[place] = status
            return place
    for place in range(_CODES, end, _SLOT_WORDS):
        cells = words[place + 1 : place + _SLOT_WORDS - 1].tolist()
        if all(second - (cell >> 32) >= WINDOW_SECONDS for cell in cells):
            words[place] = status
            return place
    return end - _SLOT_WORDS
