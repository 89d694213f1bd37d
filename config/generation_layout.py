"""Byte layout of a configuration generation: its files and their headers.

A generation is one or more immutable, sealed memfds. The first was written for it and holds the table; the others
were written for generations before it, and hold sections that have not changed since:

    header | numbers of the generations whose files these are, own first | table | sections (msgpack)

Each row of the table names a section, its shard, its place (whose file, where in it) and the digest of its bytes.
So a row stays the same, byte by byte, for as long as nobody writes the section anew. The header carries a digest
over itself, the numbers and the table: torn, truncated and foreign files are refused before a single row is looked
at. All integers are little-endian.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Sequence
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
LARGEST_ROWS: Final = len(SECTIONS) * SHARD_COUNT


class GenerationRefused(Exception):
    """The descriptors do not hold a generation that can be trusted; the message says why."""


class SectionKey(NamedTuple):
    section: str
    shard: int


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


def digest_of(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def header_of(number: int, files: int, table: bytes, rows: int, total_bytes: int) -> bytes:
    """`table` with the numbers of the files before it."""
    unsigned = HEADER.pack(MAGIC, LAYOUT, files, rows, number, total_bytes, bytes(16))
    return HEADER.pack(MAGIC, LAYOUT, files, rows, number, total_bytes, digest_of(unsigned + table))


def read_headers(descriptors: Sequence[int]) -> tuple[File, ...]:
    """What the files of a generation say of themselves, each of them verified. Raises GenerationRefused."""
    if not 0 < len(descriptors) <= MOST_FILES:
        raise GenerationRefused(f"{len(descriptors)} files where 1 to {MOST_FILES} make a generation")
    files = tuple(map(_read_header, descriptors))
    if sum(file.size for file in files) > LARGEST_BYTES:
        raise GenerationRefused("its files are larger than a generation may be")
    return files


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
    if rows > LARGEST_ROWS or not 0 < files <= MOST_FILES or file.start > size:
        raise GenerationRefused(f"a table of {rows} rows over {files} files does not fit")
    return file
