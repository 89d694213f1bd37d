"""Frames on their way to the socket: what many streams say in one turn of the loop leaves in one write.

Anybody may `put`; a greenlet of its own writes when the turn is over, and exists only as long as there is
something to write. What is queued is bounded by those who put: data only while there is room, frames that answer
the peer's only up to a limit that ends the connection (link.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from gevent import get_hub
from greenlet import getcurrent, greenlet

from workers.stream import Stream, StreamError
from workers.timers import NEVER

ROOM_BYTES: Final = 65536
"""Data waits in its stream's greenlet while so much is queued."""


class Outbox:
    """`on_room` is called in the writing greenlet whenever the kernel has taken what was queued; it must not wait.

    A write that cannot go on for `stall_ticks` fails. After a failure (`broken`) everything is dropped and the
    stream is shut down, which its reader will notice.
    """

    __slots__ = (
        "_hub",
        "_is_writing",
        "_pieces",
        "_stall_ticks",
        "_stream",
        "_waiting",
        "broken",
        "on_room",
        "size",
    )

    def __init__(self, stream: Stream, stall_ticks: int, on_room: Callable[[], None]) -> None:
        self._stream = stream
        self._hub: Any = get_hub()
        self._pieces: list[bytes] = []
        self._is_writing = False
        self._waiting: greenlet | None = None
        self._stall_ticks = stall_ticks
        self.on_room = on_room
        self.size = 0
        """Bytes queued, without those of the write under way."""
        self.broken = False

    def put(self, data: bytes) -> None:
        """Queue one or more whole frames."""
        if self.broken:
            return
        self._pieces.append(data)
        self.size += len(data)
        if not self._is_writing:
            self._is_writing = True
            self._hub.loop.run_callback(greenlet(self._write, self._hub).switch)

    def put_all(self, pieces: Sequence[bytes], size: int) -> None:
        """Queue frames that come in pieces of `size` bytes together."""
        if self.broken:
            return
        self._pieces += pieces
        self.size += size
        if not self._is_writing:
            self._is_writing = True
            self._hub.loop.run_callback(greenlet(self._write, self._hub).switch)

    def _write(self) -> None:
        stream, pieces = self._stream, self._pieces
        try:
            while pieces and not self.broken:
                if self._stall_ticks < NEVER:
                    stream.set_write_deadline(stream.wheel.tick + self._stall_ticks)
                data = b"".join(pieces)
                pieces.clear()
                self.size = 0
                stream.write(data)
                self.on_room()
        except StreamError:
            self.broken = True
            stream.shutdown()
        finally:
            pieces.clear()
            self.size = 0
            self._is_writing = False
            stream.write_deadline = NEVER
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                self._hub.loop.run_callback(waiting.switch)

    def hurry(self, ticks: int) -> None:
        """From now on no write may take longer than this."""
        self._stall_ticks = min(self._stall_ticks, ticks)
        if self._is_writing:
            self._stream.set_write_deadline(self._stream.wheel.tick + ticks)

    def drain(self) -> None:
        """Wait until everything is written, or cannot be. One greenlet at a time."""
        if self._is_writing:
            self._waiting = getcurrent()
            self._hub.switch()

    def __repr__(self) -> str:
        return f"<Outbox {self.size} bytes{', broken' if self.broken else ''}>"
