"""Idle connections to one server under one transport: who may be used again, and for how long.

The last one returned is the first one taken, so that a pool shrinks when traffic does. An idle connection is
watched: the first byte or the end from the server while nobody asked for anything discards it at once, so that
what the server believes to be an answer never meets the next request.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from tls.client import ClientContext
from workers.stream import Stream
from workers.timers import NEVER, TimerWheel
from workers.tls_stream import TLSStream
from workers.upstream.sessions import Sessions

if TYPE_CHECKING:
    from workers.upstream.outgoing import OutgoingProxy
    from workers.upstream.transport import Transport


class UpstreamConnection:
    """One connection to a server. In use by one exchange, or idle in its pool, or closed."""

    __slots__ = ("expires", "is_idle", "is_reused", "pool", "stream", "turn")

    def __init__(self, stream: Stream, pool: Pool) -> None:
        self.stream = stream
        self.pool = pool
        self.is_idle = False
        self.is_reused = False
        """Has it served a request before the present one?"""
        self.turn = 0
        """How often it has been handed back: an exchange may close it only as long as this is what it was."""
        self.expires = NEVER
        stream.on_unexpected = self._stirred

    def _stirred(self) -> None:
        """Hub: bytes or the end came. What TLS sends for itself, a new session say, is no reason to part."""
        if self.is_idle and (self.pool.context is None or self.stream.at_end() or self.stream.ready):
            self.pool.discard(self)

    def close(self) -> None:
        self.stream.close()

    def __repr__(self) -> str:
        state = "idle" if self.is_idle else "in use"
        return f"<UpstreamConnection {self.pool.key} {state}{', reused' if self.is_reused else ''}>"


class Pool:
    """Connections that could serve any request to this server through this transport; `idle`, last back on top.

    `context`: what they are secured with, None for plain ones. `session`: the last one earned there, so that the
    next connection needs no full handshake.
    """

    __slots__ = (
        "_idle_ticks",
        "_limit",
        "_wheel",
        "closed",
        "context",
        "idle",
        "key",
        "proxy",
        "scheduled",
        "session",
        "sessions",
        "transport",
    )

    def __init__(
        self,
        key: tuple[Any, ...],
        wheel: TimerWheel,
        idle_seconds: float,
        limit: int,
        context: ClientContext | None = None,
        sessions: Sessions | None = None,
        proxy: OutgoingProxy | None = None,
    ) -> None:
        self.key = key
        self.proxy = proxy
        """Through whom the server is reached; None for directly."""
        self.transport: Transport | None = None
        """Whose pool it is."""
        self.context = context
        self.session: SSL.Session | None = None
        self.sessions = sessions
        """Connections that many requests share; None where the protocol has none."""
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
        connection.turn += 1
        if self.context is not None:
            self._keep_session(connection)
        if self.closed or connection.stream.closed or connection.stream.ready or len(self.idle) >= self._limit:
            connection.close()
            return
        connection.is_idle = connection.is_reused = True
        connection.expires = self._wheel.tick + self._idle_ticks
        self.idle.append(connection)
        if connection.expires < self.scheduled:
            self._wheel.schedule(self, connection.expires)

    def _keep_session(self, connection: UpstreamConnection) -> None:
        """The ticket came with the first response at the latest; and one read of TLS says little of the next."""
        stream = connection.stream
        assert isinstance(stream, TLSStream)
        if not stream.is_quiet():
            connection.close()
        elif not connection.is_reused:
            self.session = stream.connection.get_session()

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

    @property
    def speaks_to_proxy(self) -> bool:
        """Are requests made to the proxy, not to the server behind it?"""
        proxy = self.proxy
        return proxy is not None and not proxy.is_socks and self.context is None and self.sessions is None

    @property
    def is_needed(self) -> bool:
        """Is anything kept open?"""
        sessions = self.sessions
        return bool(self.idle) or (sessions is not None and (len(sessions) > 0 or sessions.dialling is not None))

    def close(self) -> None:
        """Close the idle ones; those in use close when they come back."""
        self.closed = True
        if self.sessions is not None:
            self.sessions.close()
        self._wheel.forget(self)
        while self.idle:
            self.discard(self.idle[-1])

    def __len__(self) -> int:
        return len(self.idle)

    def __repr__(self) -> str:
        return f"<Pool {self.key}, {len(self.idle)} idle>"
