"""Large bodies from socket to socket inside the kernel: no byte of them is copied into this process.

Only between plain streams, and only for a known number of bytes. One pipe lies in between for as long as the body
lasts; what waits in it is all that is held.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

from workers.stream import READ_BYTES, Stream, StreamBroken

LEAST_BYTES: Final = 256 * 1024
"""Less is not worth a pipe."""
_PIPE_BYTES: Final = 512 * 1024
_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
"""Not SPLICE_F_MORE: the kernel would hold the last bytes back, and those of a server that dribbles."""


def can_splice(source: Stream, target: Stream) -> bool:
    """Are both plain sockets, with nothing in between?"""
    return type(source) is Stream and type(target) is Stream


class Splice:
    """`size_bytes` of `source` on their way to `target`; `moved`: how many the kernel has taken for it."""

    __slots__ = ("_left", "_pipe", "_source", "_target", "moved")

    def __init__(self, source: Stream, target: Stream, size_bytes: int) -> None:
        self._source = source
        self._target = target
        self._left = size_bytes
        self._pipe = (-1, -1)
        self.moved = 0

    def run(self) -> None:
        """Until all are moved or the source has ended, in whatever way, under the deadlines of both.

        Without a free descriptor they go through memory. Raises StreamError where the target takes no more or a
        deadline passes.
        """
        try:
            self._pipe = reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._copy()
            return
        try:
            _widen(writing)
            while self._left:
                filled = self._fill()
                if filled == 0:
                    return
                if filled > 0:
                    self._empty(filled)
        finally:
            os.close(reading)
            os.close(writing)

    def _fill(self) -> int:
        """Bytes that went into the empty pipe; 0 at the end of the stream, -1 if there was nothing to be had."""
        try:
            self._source.wait_readable()  # other greenlets have their turn here
            filled = os.splice(self._source.fileno(), self._pipe[1], min(self._left, _PIPE_BYTES), flags=_FLAGS)
        except BlockingIOError:
            return -1
        except (StreamBroken, OSError):
            return 0
        self._left -= filled
        return filled

    def _empty(self, size: int) -> None:
        target = self._target
        while size:
            if target.closed:
                raise StreamBroken("closed")
            try:
                taken = os.splice(self._pipe[0], target.fileno(), size, flags=_FLAGS)
            except BlockingIOError:
                target.wait_writable()
            except OSError as error:
                raise StreamBroken(os.strerror(error.errno or 0)) from error
            else:
                size -= taken
                self.moved += taken

    def _copy(self) -> None:
        while self._left:
            try:
                data = self._source.read(min(self._left, READ_BYTES))
            except StreamBroken:
                return
            if not data:
                return
            self._left -= len(data)
            self._target.write(data)
            self.moved += len(data)

    def __repr__(self) -> str:
        return f"<Splice {self.moved} moved, {self._left} left>"


def _widen(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        return  # the user's share of wide pipes is used up: a narrow one works as well
