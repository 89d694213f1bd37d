"""Idle connections to one server under one transport: who may be used again, and for how long.

The last one returned is the first one taken, so that a pool shrinks when traffic does. An idle connection is
watched: the first byte or the end from the server while nobody asked for anything discards it at once, so that
what the server believes to be an answer never meets the next request.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from workers.stream import Stream
from workers.timers import NEVER, TimerWheel


class UpstreamConnection:
    """One connection to a server. In use by one exchange, or idle in its pool, or closed."""

    __slots__ = ("expires", "is_idle", "is_reused", "pool", "stream")

    def __init__(self, stream: Stream, pool: Pool) -> None:
        self.stream = stream
        self.pool = pool
        self.is_idle = False
        self.is_reused = False
        """Has it served a request before the present one?"""
        self.expires = NEVER
        stream.on_unexpected = self._stirred

    def _stirred(self) -> None:
        if self.is_idle:
            self.pool.discard(self)

    def close(self) -> None:
        self.stream.close()

    def __repr__(self) -> str:
        state = "idle" if self.is_idle else "in use"
        return f"<UpstreamConnection {self.pool.key} {state}{', reused' if self.is_reused else ''}>"


class Pool:
    """Connections that could serve any request to this server through this transport; `idle`, last back on top."""

    __slots__ = ("_idle_ticks", "_limit", "_wheel", "closed", "idle", "key", "scheduled")

    def __init__(self, key: tuple[Any, ...], wheel: TimerWheel, idle_seconds: float, limit: int) -> None:
        self.key = key
        self._wheel = wheel
        self._idle_ticks = TimerWheel.ticks(idle_seconds)
        self._limit = limit
        self.idle: deque[UpstreamConnection] = deque()
        self.closed = False
        self.scheduled = NEVER

    def put(self, connection: UpstreamConnection) -> None:
        """Keep `connection` for later: the response was read to its last byte, the request sent to its last.

        It is closed where there are enough, or where something came that nobody asked for.
        """
        if self.closed or connection.stream.ready or len(self.idle) >= self._limit:
            connection.close()
            return
        connection.is_idle = connection.is_reused = True
        connection.expires = self._wheel.tick + self._idle_ticks
        self.idle.append(connection)
        if connection.expires < self.scheduled:
            self._wheel.schedule(self, connection.expires)

    def discard(self, connection: UpstreamConnection) -> None:
        """Close an idle connection."""
        self.idle.remove(connection)
        connection.is_idle = False
        connection.close()

    def on_tick(self, tick: int) -> int:
        """For the wheel: close what has been idle too long; the oldest stand in front."""
        while self.idle and self.idle[0].expires <= tick:
            self.discard(self.idle[0])
        return self.idle[0].expires if self.idle else NEVER

    def close(self) -> None:
        """Close the idle ones; those in use close when they come back."""
        self.closed = True
        self._wheel.forget(self)
        while self.idle:
            self.discard(self.idle[-1])

    def __len__(self) -> int:
        return len(self.idle)

    def __repr__(self) -> str:
        return f"<Pool {self.key}, {len(self.idle)} idle>"
