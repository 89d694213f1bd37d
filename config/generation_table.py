"""The table of a generation: which sections there are, where they lie, and what differs from another one.

A reader that knows an earlier table looks at the rows that are new, or at none but those of META and DELTA if
these say all that it wants to know. See `generation_layout` for the bytes.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from config.generation_layout import (
    FILE,
    HEADER,
    LARGEST_ROWS,
    ROW,
    SECTIONS,
    SHARD_COUNT,
    File,
    GenerationRefused,
    SectionKey,
    header_of,
    read_headers,
)

META: Final = SectionKey("meta", 0)
DELTA: Final = SectionKey("delta", 0)
_UNREAD_ROW: Final = struct.Struct(f"{ROW.size}s")
_ROW_START: Final = struct.Struct("<12sI")  # section, shard
_ROWS_AT_ONCE: Final = 64
_READ_FIRST: Final = {key: _ROW_START.pack(key.section.encode(), key.shard) for key in (META, DELTA)}


class Section(NamedTuple):
    """A row of the table. `file`: number of the generation in whose file the bytes are."""

    key: SectionKey
    file: int
    offset: int
    length: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Rows:
    """Those of a table, each looked at. Nobody changes what is in here."""

    files: tuple[File, ...]
    packed: dict[bytes, Section]
    """By their bytes."""
    sections: dict[SectionKey, Section]
    by_file: Counter[int]


NO_ROWS: Final = Rows((), {}, {}, Counter())


class Comparison(NamedTuple):
    """Sections that were not there `before`, or had another digest; and those that there were."""

    changed: list[SectionKey]
    gone: list[SectionKey]


class Table:
    """What a generation consists of. META and DELTA can be read at once; the rest when somebody asks for `rows`.

    Until then it has the packed rows, and the nearest table before it that was looked at; not the ones in between.
    """

    __slots__ = ("_nearest", "_packed", "_ready", "files")

    def __init__(self, files: tuple[File, ...], packed: bytes, before: Table | None) -> None:
        """`files` are verified, and `packed` are the rows that belong to them. Raises GenerationRefused."""
        self.files = files
        self._packed: bytes | None = packed
        self._nearest: Rows = before._nearest if before is not None else NO_ROWS
        """Its own, when they have been looked at."""
        self._ready = _found_first(packed, files)
        if META not in self._ready:
            raise GenerationRefused("has no meta section")

    def rows(self, pause: Callable[[], None], before: Table | None = None) -> Rows:
        """All rows, looked at when this is called first. `before`: a table that was, with many of the same rows.

        Raises GenerationRefused, every time, if they do not hold.
        """
        packed = self._packed
        if packed is None:
            return self._nearest
        nearest = before._nearest if before is not None else self._nearest
        rows = _looked_at(self.files, packed, nearest, pause)
        self._nearest, self._packed = rows, None
        return rows

    def find(self, key: SectionKey) -> Section | None:
        """Raises GenerationRefused as `rows` does, but not for META and DELTA."""
        if key in _READ_FIRST:
            return self._ready.get(key)
        return self.rows(lambda: None).sections.get(key)


def compare(before: Rows, now: Rows) -> Comparison:
    """In the order of the tables. Rows that are equal stand for equal sections, in whatever file these are."""
    was = before.sections
    fresh = [one for row, one in now.packed.items() if row not in before.packed]
    changed = [one.key for one in fresh if one.key not in was or was[one.key].digest != one.digest]
    lost = [one.key for row, one in before.packed.items() if row not in now.packed]
    return Comparison(changed, [key for key in lost if key not in now.sections])


def read_table(descriptors: Sequence[int], before: Table | None, pause: Callable[[], None]) -> Table:
    """Verify files, header digest, and the rows of META and DELTA; see Table for the other rows.

    `before`: rows that are there, too, are not looked at again. Raises GenerationRefused.
    """
    files = read_headers(descriptors)
    packed = _packed_rows(descriptors[0], files)
    pause()
    return Table(files, packed, before)


def _packed_rows(descriptor: int, files: Sequence[File]) -> bytes:
    """Rows of the first file's table, once it is certain that `files` are the ones that it names."""
    own = files[0]
    table = os.pread(descriptor, own.start - HEADER.size, HEADER.size)
    if header_of(own.number, own.file_count, table, own.row_count, own.size)[-16:] != own.digest:
        raise GenerationRefused("header digest does not match")
    numbers_end = own.file_count * FILE.size
    listed = [number for (number,) in FILE.iter_unpack(table[:numbers_end])]
    given = [file.number for file in files]
    if listed != given:
        raise GenerationRefused(f"came with the files of generations {given} where it names {listed}")
    if len({*given}) != len(given) or max(given) != own.number:
        raise GenerationRefused(f"cannot consist of the files of generations {given}")
    return table[numbers_end:]


def _found_first(packed: bytes, files: Sequence[File]) -> dict[SectionKey, Section]:
    """Those rows that can be read before the others, without a look at these."""
    initials = packed[:: ROW.size]
    found: dict[SectionKey, Section] = {}
    for key, start in _READ_FIRST.items():
        index = initials.find(start[:1])
        while index >= 0:
            place = index * ROW.size
            if packed.startswith(start, place):
                if key in found:
                    raise GenerationRefused(f"section {key.section}/{key.shard} appears twice")
                row = packed[place : place + ROW.size]
                found[key] = _checked(row, {file.number: file for file in files})
            index = initials.find(start[:1], index + 1)
    return found


def _looked_at(files: tuple[File, ...], table: bytes, before: Rows, pause: Callable[[], None]) -> Rows:
    packed = [row for (row,) in _UNREAD_ROW.iter_unpack(table)]
    now = {*packed}
    if len(now) != len(packed):
        raise GenerationRefused("a section appears twice")
    was = {file.number: file for file in before.files}
    is_known = all(was.get(file.number, file) == file for file in files)
    known = before if is_known else NO_ROWS  # else a file of that number is another one now
    rows, sections, by_file = known.packed.copy(), known.sections.copy(), known.by_file.copy()
    for row in known.packed.keys() - now:
        section = rows.pop(row)
        del sections[section.key]
        by_file[section.file] -= 1
    by_number = {file.number: file for file in files}
    for index, row in enumerate([row for row in packed if row not in rows]):
        if index % _ROWS_AT_ONCE == 0:
            pause()
        section = _checked(row, by_number)
        if section.key in sections:
            raise GenerationRefused(f"section {section.key.section}/{section.key.shard} appears twice")
        rows[row] = sections[section.key] = section
        by_file[section.file] += 1
    if not (+by_file).keys() <= by_number.keys():
        raise GenerationRefused("a section lies in a file that is not listed")
    return Rows(files, rows, sections, +by_file)


def _checked(row: bytes, files: Mapping[int, File]) -> Section:
    """What the row says, if it can be."""
    name, shard, number, offset, length, digest = ROW.unpack(row)
    key, file = _key_of(name, shard), files.get(number)
    if file is None:
        raise GenerationRefused(f"section {key.section}/{key.shard} lies in a file that is not listed")
    if offset < file.start or offset + length > file.size:
        raise GenerationRefused(f"section {key.section}/{key.shard} lies outside its file")
    return Section(key, number, offset, length, digest)


@lru_cache(LARGEST_ROWS)
def _key_of(name: bytes, shard: int) -> SectionKey:
    """As the row of a table says it; remembered, since all generations have about the same rows."""
    section = name.rstrip(b"\0").decode("ascii", "replace")
    if section not in SECTIONS or shard >= SHARD_COUNT:
        raise GenerationRefused(f"unknown section {section!r}/{shard}")
    return SectionKey(section, shard)
