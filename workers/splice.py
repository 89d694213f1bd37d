"""Bytes from one plain socket to another without passing through Python: splice(2) by way of a pipe.

Worth it for bulk alone: small messages cost less as a read and a write. Pipes are kept for the next one who needs
them; there are at most LARGEST_POOL of them in use and in store, whoever comes later goes on reading and writing.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

from workers.stream import Stream, StreamBroken

PIPE_BYTES: Final = 256 * 1024
LARGEST_POOL: Final = 64
_LARGEST_STORE: Final = 16
_LEAST_BYTES: Final = 65536
"""A pipe of less is not used: the kernel gives only so little to who has many."""
_SMALL_BYTES: Final = 16384
_PATIENCE: Final = 4
"""After so many small pieces in a row it was no bulk."""
_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_REFUSED: Final = (errno.EINVAL, errno.ENOSYS, errno.EPERM)


class SpliceRefused(Exception):
    """The kernel does not splice these two (nothing was moved); do not ask again."""


class _Pipe:
    __slots__ = ("reader", "size_bytes", "writer")

    def __init__(self) -> None:
        """Raises OSError."""
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.size_bytes = fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:  # above what this user may have
            self.size_bytes = fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ)

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


class _Pool:
    """The pipes of this process."""

    __slots__ = ("_idle", "_in_use")

    def __init__(self) -> None:
        self._idle: list[_Pipe] = []
        self._in_use = 0

    def take(self) -> _Pipe | None:
        """An empty pipe, None if there is none to be had."""
        if self._in_use >= LARGEST_POOL:
            return None
        try:
            pipe = self._idle.pop() if self._idle else _Pipe()
        except OSError:
            return None
        if pipe.size_bytes < _LEAST_BYTES:
            pipe.close()
            return None
        self._in_use += 1
        return pipe

    def give_back(self, pipe: _Pipe, *, is_empty: bool) -> None:
        self._in_use -= 1
        if is_empty and len(self._idle) < _LARGEST_STORE:
            self._idle.append(pipe)
        else:
            pipe.close()

    def close(self) -> None:
        """Close those in store."""
        while self._idle:
            self._idle.pop().close()


POOL: Final = _Pool()


def move_bulk(source: Stream, target: Stream) -> None:
    """Carry bytes for as long as many come, then return; the end of `source` is left for its next read.

    Both must be plain streams that nobody else reads or writes in this direction. Returns at once where there is
    no pipe to be had. Raises StreamError, and SpliceRefused.
    """
    pipe = POOL.take()
    if pipe is None:
        return
    held = small = 0
    try:
        while small < _PATIENCE:
            source.wait_readable()
            held = _fill(pipe, source)
            if not held:
                return
            small = small + 1 if held < _SMALL_BYTES else 0
            while held:
                held -= _empty(pipe, target, held)
    finally:
        POOL.give_back(pipe, is_empty=not held)


def _fill(pipe: _Pipe, source: Stream) -> int:
    """Bytes moved into the empty pipe; 0 if there is nothing, or the end."""
    try:
        return os.splice(source.fileno(), pipe.writer, pipe.size_bytes, flags=_FLAGS)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno in _REFUSED:
            raise SpliceRefused from error
        raise StreamBroken(os.strerror(error.errno or 0)) from error


def _empty(pipe: _Pipe, target: Stream, size_bytes: int) -> int:
    try:
        return os.splice(pipe.reader, target.fileno(), size_bytes, flags=_FLAGS)
    except BlockingIOError:
        target.wait_writable()
        return 0
    except OSError as error:
        raise StreamBroken(os.strerror(error.errno or 0)) from error
