"""Byte layout of a configuration generation: its files, their headers and the table; and how these are read.

A generation is one or more immutable, sealed memfds. The first was written for it and holds the table; the others
were written for generations before it, and hold sections that have not changed since:

    header | numbers of the generations whose files these are, own first | table | sections (msgpack)

Each row of the table names a section, its shard, its place (whose file, where in it) and the digest of its bytes.
So a row stays the same, byte by byte, for as long as nobody writes the section anew, and a reader that knows the
table before this one looks at new rows only. The header carries a digest over itself, the numbers and the table:
torn, truncated and foreign files are refused before a single section is looked at. All integers are little-endian.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

MAGIC: Final = b"PNTSMAN\0"
LAYOUT: Final = 2
SHARD_COUNT: Final = 256
SECTIONS: Final = ("meta", "routing", "endpoints", "tls", "findings", "delta")
REQUIRED_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
LARGEST_BYTES: Final = 1 << 30
"""A generation above this is refused: no honest cluster needs it and a worker must not be starved by it."""
MOST_FILES: Final = 8
"""Of one generation, and so descriptors in one message."""

HEADER: Final = struct.Struct("<8sHHIQQ16s")  # magic, layout, files, rows, number, total bytes, digest
FILE: Final = struct.Struct("<Q")  # number
ROW: Final = struct.Struct("<12sIQII16s")  # section, shard, number of the file, offset, length, digest
_UNREAD_ROW: Final = struct.Struct(f"{ROW.size}s")
_ROWS_AT_ONCE: Final = 64
_LARGEST_ROWS: Final = len(SECTIONS) * SHARD_COUNT


class GenerationRefused(Exception):
    """The descriptors do not hold a generation that can be trusted; the message says why."""


class SectionKey(NamedTuple):
    section: str
    shard: int


class Section(NamedTuple):
    """A row of the table. `file`: number of the generation in whose file the bytes are."""

    key: SectionKey
    file: int
    offset: int
    length: int
    digest: bytes


class File(NamedTuple):
    """What the header of a file says. Sections may lie from `start` on."""

    number: int
    size: int
    file_count: int
    row_count: int
    digest: bytes

    @property
    def start(self) -> int:
        return HEADER.size + self.file_count * FILE.size + self.row_count * ROW.size


@dataclass(frozen=True, slots=True)
class Table:
    """What a generation consists of. `changed` and `gone` compare it with the table it was read after."""

    files: tuple[File, ...]
    rows: dict[bytes, Section]
    sections: dict[SectionKey, Section]
    rows_by_file: Counter[int]
    changed: list[SectionKey]
    gone: list[SectionKey]


_NOTHING: Final = Table((), {}, {}, Counter(), [], [])


def digest_of(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def header_of(number: int, files: int, table: bytes, rows: int, total_bytes: int) -> bytes:
    """`table` with the numbers of the files before it."""
    unsigned = HEADER.pack(MAGIC, LAYOUT, files, rows, number, total_bytes, bytes(16))
    return HEADER.pack(MAGIC, LAYOUT, files, rows, number, total_bytes, digest_of(unsigned + table))


def read_table(descriptors: Sequence[int], before: Table | None, pause: Callable[[], None]) -> Table:
    """Verify files and table. `before`: rows that are there, too, are not looked at again.

    Raises GenerationRefused.
    """
    if not 0 < len(descriptors) <= MOST_FILES:
        raise GenerationRefused(f"{len(descriptors)} files where 1 to {MOST_FILES} make a generation")
    files = tuple(map(_read_header, descriptors))
    if sum(file.size for file in files) > LARGEST_BYTES:
        raise GenerationRefused("its files are larger than a generation may be")
    packed = _packed_rows(descriptors[0], files)
    pause()
    return _compared(files, packed, before or _NOTHING, pause)


def _read_header(descriptor: int) -> File:
    """What the file says of itself, held against what the kernel says of it."""
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as error:
        raise GenerationRefused(f"not a memfd: {error.strerror}") from error
    if seals & REQUIRED_SEALS != REQUIRED_SEALS:
        raise GenerationRefused("not sealed against write, shrink, grow and further seals")
    size = os.fstat(descriptor).st_size
    if not HEADER.size <= size <= LARGEST_BYTES:
        raise GenerationRefused(f"{size} bytes cannot be a generation")
    magic, layout, files, rows, number, total, digest = HEADER.unpack(os.pread(descriptor, HEADER.size, 0))
    if magic != MAGIC:
        raise GenerationRefused("wrong magic number")
    if layout != LAYOUT:
        raise GenerationRefused(f"layout {layout} where {LAYOUT} is understood")
    if total != size:
        raise GenerationRefused(f"holds {size} bytes where its header says {total}")
    file = File(number, size, files, rows, digest)
    if rows > _LARGEST_ROWS or not 0 < files <= MOST_FILES or file.start > size:
        raise GenerationRefused(f"a table of {rows} rows over {files} files does not fit")
    return file


def _packed_rows(descriptor: int, files: Sequence[File]) -> list[bytes]:
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
    return [row for (row,) in _UNREAD_ROW.iter_unpack(table[numbers_end:])]


def _compared(files: tuple[File, ...], packed: list[bytes], before: Table, pause: Callable[[], None]) -> Table:
    was = {file.number: file for file in before.files}
    is_known = all(was.get(file.number, file) == file for file in files)
    known = before if is_known else _NOTHING  # else a file of that number is another one now
    now = {*packed}
    if len(now) != len(packed):
        raise GenerationRefused("a section appears twice")
    rows, sections, by_file = known.rows.copy(), known.sections.copy(), known.rows_by_file.copy()
    lost = [rows.pop(row) for row in known.rows.keys() - now]
    for section in lost:
        del sections[section.key]
        by_file[section.file] -= 1
    by_number = {file.number: file for file in files}
    fresh: list[Section] = []
    for index, row in enumerate([row for row in packed if row not in rows]):
        if index % _ROWS_AT_ONCE == 0:
            pause()
        section = _checked(row, by_number)
        if section.key in sections:
            raise GenerationRefused(f"section {section.key.section}/{section.key.shard} appears twice")
        rows[row] = sections[section.key] = section
        by_file[section.file] += 1
        fresh.append(section)
    if not (+by_file).keys() <= by_number.keys():
        raise GenerationRefused("a section lies in a file that is not listed")
    if SectionKey("meta", 0) not in sections:
        raise GenerationRefused("has no meta section")
    former = before.sections
    changed = [one.key for one in fresh if one.key not in former or former[one.key].digest != one.digest]
    candidates = (one.key for one in lost) if is_known else former
    return Table(files, rows, sections, +by_file, changed, [key for key in candidates if key not in sections])


def _checked(row: bytes, files: dict[int, File]) -> Section:
    """What the row says, if it can be."""
    name, shard, number, offset, length, digest = ROW.unpack(row)
    key, file = _key_of(name, shard), files.get(number)
    if file is None:
        raise GenerationRefused(f"section {key.section}/{key.shard} lies in a file that is not listed")
    if offset < file.start or offset + length > file.size:
        raise GenerationRefused(f"section {key.section}/{key.shard} lies outside its file")
    return Section(key, number, offset, length, digest)


@lru_cache(_LARGEST_ROWS)
def _key_of(name: bytes, shard: int) -> SectionKey:
    """As the row of a table says it; remembered, since all generations have about the same rows."""
    section = name.rstrip(b"\0").decode("ascii", "replace")
    if section not in SECTIONS or shard >= SHARD_COUNT:
        raise GenerationRefused(f"unknown section {section!r}/{shard}")
    return SectionKey(section, shard)
