"""A servers transport: how servers are reached, and one pool of connections for each server under it.

Two upstreams share a connection only if everything that distinguishes them is equal: the transport (an object
made once per configuration of one) and the pool's key. A field that is missing in the key is a security bug.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Final
from weakref import WeakSet

from tls.client import ClientContext, ClientSettings, client_settings, with_alpn
from workers import errors
from workers.errors import ProxyError
from workers.http2.client import ClientOptions
from workers.http2.client_call import ClientCall
from workers.timers import NEVER, TimerWheel, current_wheel
from workers.tls_stream import TLSStream
from workers.upstream.dialer import Dialer
from workers.upstream.options import TransportOptions
from workers.upstream.outgoing import Outgoing, outgoing
from workers.upstream.pool import Pool, UpstreamConnection
from workers.upstream.server import UpstreamServer as UpstreamServer  # noqa: PLC0414 - others have it from here
from workers.upstream.sessions import Dialling, Sessions

_DEFAULT_IDLE_PER_HOST: Final = 2
_FEWEST_POOLS: Final = 64
"""So many pools are never looked through for those of servers that are gone."""
_HTTP1: Final = ("http/1.1",)
_BOTH: Final = ("h2", "http/1.1")


class Transport:
    """Options of one servers transport and its pools. Made in the worker; lives as long as its configuration.

    `max_idle_per_host`: 0 is the original's default of 2, a negative number switches reuse off. Timeouts of
    zero are no limit. `tls` None: the system's authorities, Go's defaults.
    """

    def __init__(
        self,
        *,
        dial_timeout_seconds: float = 30.0,
        response_header_timeout_seconds: float = 0.0,
        idle_conn_timeout_seconds: float = 90.0,
        max_idle_per_host: int = 200,
        tls: ClientSettings | None = None,
        disable_http2: bool = False,
        read_idle_timeout_seconds: float = 0.0,
        ping_timeout_seconds: float = 15.0,
        wheel: TimerWheel | None = None,
        outgoing: Outgoing | None = None,
    ) -> None:
        self.wheel = wheel or current_wheel()
        self.response_header_ticks = TimerWheel.ticks(response_header_timeout_seconds)
        self._idle_seconds = idle_conn_timeout_seconds
        self._limit = max(max_idle_per_host, 0) if max_idle_per_host else _DEFAULT_IDLE_PER_HOST
        self._http2: ClientOptions | None = None
        if not disable_http2:
            self._http2 = ClientOptions(
                idle=TimerWheel.ticks(idle_conn_timeout_seconds) if self._limit else 0,
                read_idle=TimerWheel.ticks(read_idle_timeout_seconds),
                ping=TimerWheel.ticks(ping_timeout_seconds),
            )
        settings = tls or client_settings()
        self._alone = ClientContext(with_alpn(settings, _HTTP1))
        """For requests that HTTP/2 cannot carry."""
        self._usual = self._alone if disable_http2 else ClientContext(with_alpn(settings, _BOTH))
        self._pools: dict[tuple[Any, ...], Pool] = {}
        self._prune_at = _FEWEST_POOLS
        self._dialer = Dialer(self.wheel, dial_timeout_seconds, self._alone)
        self._outgoing = outgoing
        self._closed = False
        self.has_copies = False
        """Have clients server connections of their own under it? See upstream/own.py."""
        self._copies: WeakSet[Transport] = WeakSet()

    @classmethod
    def of(cls, options: TransportOptions, wheel: TimerWheel | None = None) -> Transport:
        """One with these options."""
        return cls(
            dial_timeout_seconds=options.dial_seconds,
            response_header_timeout_seconds=options.response_header_seconds,
            idle_conn_timeout_seconds=options.idle_seconds,
            max_idle_per_host=options.max_idle_per_host,
            tls=options.tls,
            disable_http2=options.disable_http2,
            read_idle_timeout_seconds=options.read_idle_seconds,
            ping_timeout_seconds=options.ping_seconds,
            wheel=wheel,
            outgoing=outgoing(),
        )

    @property
    def is_closed(self) -> bool:
        return self._closed

    def copied(self, *, keeps_connections: bool = True) -> Transport:
        """Another one with the same options and no connections, closed with this one.

        `keeps_connections`: may they be used for more than one request?
        """
        new = copy(self)
        if not keeps_connections:
            new._limit = 0
            new._http2 = self._http2._replace(idle=0) if self._http2 is not None else None
        new._pools = {}
        new._prune_at = _FEWEST_POOLS
        new._copies = WeakSet()
        self.has_copies = True
        self._copies.add(new)
        return new

    # Pools

    def pool(self, server: UpstreamServer, upgrade: bool = False) -> Pool:
        """The pool of connections to `server`; made at the first call.

        `upgrade`: for requests that must go by HTTP/1.1 whatever the server could do.
        """
        context: ClientContext | None = None
        key: tuple[Any, ...] = server.key
        if server.is_secure:
            context = self._alone if upgrade else self._usual
            key = (*key, context.settings.identity)
        elif upgrade:
            key = ("http", *key[1:])
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= self._prune_at:
                self._prune()
            sessions = Sessions(self._http2) if self._http2 and server.scheme != "http" and not upgrade else None
            proxy = self._outgoing.find(*server.key[1:], is_secure=server.is_secure) if self._outgoing else None
            pool = self._add(Pool(key, self.wheel, self._idle_seconds, self._limit, context, sessions, proxy))
        return pool

    def _add(self, pool: Pool) -> Pool:
        self._pools[pool.key] = pool
        pool.transport = self
        if self._closed:
            pool.close()
        return pool

    def pool_like(self, other: Pool) -> Pool:
        """The pool under the key of `other`, which belongs to a transport with the same options."""
        pool = self._pools.get(other.key)
        if pool is None:
            sessions = Sessions(self._http2) if other.sessions is not None and self._http2 else None
            new = Pool(
                other.key, self.wheel, self._idle_seconds, self._limit, other.context, sessions, other.proxy
            )
            pool = self._add(new)
        return pool

    def _prune(self) -> None:
        """Forget servers to which nothing is kept open: pods come and go, the transport stays.

        Their connections in use, if any, are closed afterwards. Called at each doubling, so the cost of looking
        through all pools is spread over as many new ones.
        """
        for key, pool in list(self._pools.items()):
            if not pool.is_needed:
                del self._pools[key]
                pool.close()
        self._prune_at = max(_FEWEST_POOLS, 2 * len(self._pools))

    # Connections

    def acquire(
        self, server: UpstreamServer, upgrade: bool = False, until: int = NEVER
    ) -> UpstreamConnection | ClientCall:
        """An idle connection to `server` or a place on a shared one, or a new one of either kind.

        The caller closes it, or hands it back to its pool.

        `upgrade`: the request wants to leave HTTP. `until`: a tick at which dialling ends early. Raises
        ProxyError.
        """
        pool = None if upgrade or server.is_secure else self._pools.get(server.key)
        if pool is None:
            pool = self.pool(server, upgrade)
        if pool.idle:
            connection = pool.idle.pop()
            connection.is_idle = False
            return connection
        if pool.sessions is not None:
            return self._share(server, pool, pool.sessions, until)
        if server.scheme == "h2c" and not upgrade:
            raise ProxyError(errors.PROTOCOL_UNAVAILABLE, "h2c, and HTTP/2 is switched off")
        return self._dialer.connection(server, pool, until)

    def _share(
        self, server: UpstreamServer, pool: Pool, sessions: Sessions, until: int
    ) -> UpstreamConnection | ClientCall:
        """Where HTTP/2 is possible. Raises ProxyError."""
        while not sessions.speaks_http1:
            call = sessions.begin()
            if call is not None:
                return call
            if sessions.dialling is None:
                return self._dial_for_all(server, pool, sessions, until)
            sessions.wait(self.wheel, until)
        return self._connected(server, pool, sessions, Dialling(), until)

    def _dial_for_all(
        self, server: UpstreamServer, pool: Pool, sessions: Sessions, until: int
    ) -> UpstreamConnection | ClientCall:
        dialling = sessions.dialling = Dialling()
        try:
            return self._connected(server, pool, sessions, dialling, until)
        except ProxyError as error:
            dialling.failure = error
            raise
        finally:
            if dialling.link is None:
                sessions.dialling = None
            dialling.is_over()

    def _connected(
        self, server: UpstreamServer, pool: Pool, sessions: Sessions, dialling: Dialling, until: int
    ) -> UpstreamConnection | ClientCall:
        """A new connection, in the protocol that it turns out to speak."""
        stream = self._dialer.dial(server, pool, until)
        if isinstance(stream, TLSStream):
            sessions.speaks_http1 = stream.connection.get_alpn_proto_negotiated() != b"h2"
            if sessions.speaks_http1:
                return UpstreamConnection(stream, pool)
        return sessions.add(stream, dialling)

    def close(self) -> None:
        """Close idle connections now and all others when their exchange is over."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        for one in list(self._copies):
            one.close()

    def __repr__(self) -> str:
        return f"<Transport {list(self._pools.values())}>"
