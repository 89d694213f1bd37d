"""A body kept for later: in memory up to a size, the rest in a file without a name.

The file is written and read in the hub's threads, in large pieces, so that a slow disk stops one request and not
the worker. It vanishes with the spool, whatever happens to the process.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO, Final

from gevent import get_hub

PIECE_BYTES: Final = 65536
_WRITE_BYTES: Final = 256 * 1024


class Spool:
    """Append first, then read with any number of cursors, then `close`. Raises OSError where the disk does."""

    __slots__ = ("_file", "_memory", "_memory_bytes", "_tail", "size")

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._memory = bytearray()
        self._tail = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def append(self, data: bytes) -> None:
        self.size += len(data)
        room = self._memory_bytes - len(self._memory)
        if room > 0:
            self._memory += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            if len(self._tail) >= _WRITE_BYTES:
                self._write()

    def _write(self) -> None:
        data, self._tail = self._tail, bytearray()
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0, prefix="pointsman-")  # noqa: SIM115 - see close
        get_hub().threadpool.apply(_write_all, (self._file.fileno(), data))

    def read_at(self, position: int) -> bytes:
        """Up to PIECE_BYTES from there; b"" at the end."""
        kept = len(self._memory)
        if position < kept:
            return bytes(memoryview(self._memory)[position : position + PIECE_BYTES])
        on_disk = self.size - kept - len(self._tail)
        position -= kept
        if position < on_disk:
            assert self._file is not None
            piece = min(PIECE_BYTES, on_disk - position)
            data = get_hub().threadpool.apply(os.pread, (self._file.fileno(), piece, position))
            assert isinstance(data, bytes)
            return data
        position -= on_disk
        return bytes(memoryview(self._tail)[position : position + PIECE_BYTES])

    def content(self) -> bytes:
        """All of it, in memory."""
        cursor = Cursor(self)
        return b"".join(iter(cursor.read, b""))

    def close(self) -> None:
        """Give memory and disk back. May be called again."""
        self._memory, self._tail, self.size = bytearray(), bytearray(), 0
        if self._file is not None:
            self._file.close()
            self._file = None


def _write_all(descriptor: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Cursor:
    """One reading of a spool from its start."""

    __slots__ = ("_position", "_spool")

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def read(self) -> bytes:
        """The next piece; b"" at the end."""
        data = self._spool.read_at(self._position)
        self._position += len(data)
        return data

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self._spool.size - self._position
