"""A body kept for later: in memory up to a size, the rest in a file without a name.

The file is written and read in the hub's threads, in large pieces, so that a slow disk stops one request and not
the worker. It vanishes with the spool, whatever happens to the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import IO, Any, Final

from gevent import get_hub

from workers.errors import Answer, Failure, ProxyError, Side

PIECE_BYTES: Final = 65536
_WRITE_BYTES: Final = 256 * 1024


DISK_FAILED: Final = Failure("disk_failed", Side.PROXY, 500, Answer.PLAIN, b"Internal Server Error")


class Spool:
    """Append first, then read with any number of cursors, then `close`. Raises ProxyError where the disk fails."""

    __slots__ = ("_busy", "_closed", "_file", "_memory", "_memory_bytes", "_tail", "size")

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._memory = bytearray()
        self._tail = bytearray()
        self._file: IO[bytes] | None = None
        self._busy = 0
        self._closed = False
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
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0, prefix="pointsman-")  # noqa: SIM115 - see close
        except OSError as error:
            raise ProxyError(DISK_FAILED, str(error)) from error
        self._in_thread(_write_all, self._file.fileno(), data)

    def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The file stays open meanwhile, whoever closes the spool."""
        self._busy += 1
        try:
            result = get_hub().threadpool.apply(_outcome, (work, arguments))
        finally:
            self._busy -= 1
            self._close_file()
        if isinstance(result, OSError):
            raise ProxyError(DISK_FAILED, str(result)) from result
        return result

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
            data = self._in_thread(os.pread, self._file.fileno(), piece, position)
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
        self._closed = True
        self._close_file()

    def _close_file(self) -> None:
        if self._closed and not self._busy and self._file is not None:
            self._file.close()
            self._file = None


def _outcome(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """An error as a result: the pool would write it to standard error as well."""
    try:
        return work(*arguments)
    except OSError as error:
        return error


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
