"""The writer of generations: whole ones, and ones that refer to files written before for what has not changed.

Owned by one thread at a time. The layout is that of `generation_layout`.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from config.generation_layout import (
    FILE,
    HEADER,
    LARGEST_BYTES,
    MOST_FILES,
    REQUIRED_SEALS,
    ROW,
    SectionKey,
    header_of,
)

Encoded = tuple[bytes, bytes]
"""Bytes of a section and their digest."""

_WRITE_BYTES: Final = 64 << 10  # in one call, which nothing interrupts: pages come at 2 GB/s
_WRITE_PIECES: Final = 1024  # IOV_MAX
_LARGEST_KEPT_BYTES: Final = LARGEST_BYTES // 2
_NOT_LEFT_BEHIND: Final = ("tls",)
"""Private keys that are used no longer should not stay in memory that workers can read."""


def write_generation(number: int, sections: Iterable[tuple[SectionKey, bytes, bytes]]) -> int:
    """Make a generation of one file from (key, bytes, digest of bytes); the returned descriptor is the caller's.

    Any thread. The order of the sections does not matter.
    """
    listed = sorted(sections)
    start = HEADER.size + FILE.size + ROW.size * len(listed)
    rows = _rows(number, start, listed)
    return _written(number, [number], rows, [body for _, body, _ in listed])[0]


class _File(NamedTuple):
    descriptor: int
    size: int
    section_bytes: int


class GenerationWriter:
    """Writes generation after generation, of each only the sections that differ from the one before.

    A file of which less than half is still in use is given up, and what is used of it is written anew; so
    the files hold about twice as much as the generation at most. Of more than MOST_FILES the emptiest are given
    up, and so are those with secrets that are in use no longer.

    Its descriptors are for whoever is sent them by the next call; they are closed when nothing refers to the file
    any more. A call that fails changes nothing.
    """

    def __init__(self) -> None:
        self.digest = b""
        """Of the header of the generation written last."""
        self._files: dict[int, _File] = {}
        self._live: Counter[int] = Counter()
        """Bytes in use, by file."""
        self._sections: dict[SectionKey, Encoded] = {}
        """As they were written last."""
        self._homes: dict[SectionKey, int] = {}
        """Number of the file in which each of them is, and below its row of the table."""
        self._rows: dict[SectionKey, bytes] = {}

    def differing(self, sections: Mapping[SectionKey, Encoded]) -> set[SectionKey]:
        """Those that are not as they were written last: new, with another digest, or gone."""
        known = self._sections
        others = [key for key, one in sections.items() if known.get(key) is not one]
        new = {key for key in others if key not in known}
        differing = new | {key for key in others if key not in new and known[key][1] != sections[key][1]}
        if len(known) > len(sections) - len(new):
            differing |= known.keys() - sections.keys()
        return differing

    def write(
        self, number: int, sections: Mapping[SectionKey, Encoded], differing: Iterable[SectionKey] | None = None
    ) -> tuple[int, ...]:
        """Descriptors of a sealed generation of exactly these sections, its own file first.

        They stay the writer's, and are good until the next call. `number` is above all before. `differing`: what
        that said of them, if it was asked already, and what else is to be written anew. Raises OSError.
        """
        if self._files and number <= max(self._files):
            raise ValueError(f"generation {number} after {max(self._files)}")
        stale = {*(self.differing(sections) if differing is None else differing)}
        homes, rows, live = self._homes.copy(), self._rows.copy(), self._live.copy()
        spoilt: set[int] = set()
        for key in stale & homes.keys():
            file = homes.pop(key)
            live[file] -= len(self._sections[key][0])
            if key.section in _NOT_LEFT_BEHIND:
                spoilt.add(file)
            if key not in sections:
                del rows[key]
        staying = self._staying({file: length for file, length in live.items() if file not in spoilt})
        if given_up := self._files.keys() - staying:
            stale.update(key for key, file in homes.items() if file in given_up)
        listed = [(key, *sections[key]) for key in sorted(stale) if key in sections]
        start = HEADER.size + FILE.size * (1 + len(staying)) + ROW.size * len(sections)
        for (key, _, _), row in zip(listed, _rows(number, start, listed), strict=True):
            homes[key], rows[key] = number, row
        bodies = [body for _, body, _ in listed]
        descriptor, self.digest = _written(number, [number, *staying], rows.values(), bodies)
        section_bytes = sum(map(len, bodies))
        files = {number: _File(descriptor, start + section_bytes, section_bytes)}
        files.update((file, self._files[file]) for file in staying)
        for file in given_up:
            os.close(self._files[file].descriptor)
        self._files, self._sections, self._homes, self._rows = files, dict(sections), homes, rows
        self._live = Counter({number: section_bytes} | {file: live[file] for file in staying})
        return tuple(one.descriptor for one in files.values())

    def _staying(self, live: Mapping[int, int]) -> list[int]:
        """Numbers of the files that the next generation refers to, when so much of each is in use."""
        useful = [one for one, used in live.items() if used and 2 * used >= self._files[one].section_bytes]
        useful.sort(key=lambda one: (-live[one], one))
        staying = useful[: MOST_FILES - 1]
        if sum(self._files[one].size for one in staying) > _LARGEST_KEPT_BYTES:
            return []
        return sorted(staying, reverse=True)

    def close(self) -> None:
        """Close all descriptors. What is written next is whole."""
        files, self._files = self._files, {}
        for file in files.values():
            os.close(file.descriptor)
        self._live, self._sections, self._homes, self._rows = Counter(), {}, {}, {}

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<GenerationWriter of {len(self._sections)} sections in {len(self._files)} files>"


def _rows(number: int, start: int, listed: Sequence[tuple[SectionKey, bytes, bytes]]) -> list[bytes]:
    """Rows of the table for sections that lie in the file of this number from `start` on."""
    rows = []
    for key, body, digest in listed:
        rows.append(ROW.pack(key.section.encode(), key.shard, number, start, len(body), digest))
        start += len(body)
    return rows


def _written(
    number: int, files: Sequence[int], rows: Iterable[bytes], bodies: Sequence[bytes]
) -> tuple[int, bytes]:
    """Its descriptor, and the digest in its header."""
    numbers = b"".join(map(FILE.pack, files))
    packed = b"".join(rows)
    total = HEADER.size + len(numbers) + len(packed) + sum(map(len, bodies))
    header = header_of(number, len(files), numbers + packed, len(packed) // ROW.size, total)
    return _sealed_memfd(f"pointsman-generation-{number}", [header, numbers, packed, *bodies]), header[-16:]


def _sealed_memfd(name: str, pieces: list[bytes]) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for some in _gathered(pieces):
            _write_all(descriptor, some)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, REQUIRED_SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _gathered(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many pieces as one write takes; a large one alone."""
    some: list[bytes] = []
    length = 0
    for piece in pieces:
        if some and (length + len(piece) > _WRITE_BYTES or len(some) == _WRITE_PIECES):
            yield some
            some, length = [], 0
        some.append(piece)
        length += len(piece)
    if some:
        yield some


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    """Gathered, without joining the pieces first; one write takes less than asked for only past 2 GiB."""
    written, total = os.writev(descriptor, pieces), sum(map(len, pieces))
    if written < total:
        raise OSError(f"the memory file took {written} of {total} bytes")
