"""From a server to a connection that its pool can use: directly or through another proxy, with TLS or without."""

from __future__ import annotations

from tls.client import ClientContext
from workers.stream import Stream
from workers.timers import GRANULARITY_SECONDS, NEVER, TimerWheel
from workers.upstream.dial import Resolver, connect
from workers.upstream.outgoing import OutgoingProxy
from workers.upstream.pool import Pool, UpstreamConnection
from workers.upstream.secure import secure
from workers.upstream.server import UpstreamServer
from workers.upstream.through import ProxiedConnection, bridged, pass_through


class Dialer:
    """Makes connections for one servers transport; knows names, keeps no connection."""

    __slots__ = ("_proxy_context", "_resolver", "_ticks", "_wheel")

    def __init__(self, wheel: TimerWheel, timeout_seconds: float, proxy_context: ClientContext) -> None:
        """`timeout_seconds` to connect, 0 for no limit; `proxy_context`: TLS to proxies that want it."""
        self._wheel = wheel
        self._ticks = TimerWheel.ticks(timeout_seconds)
        self._proxy_context = proxy_context
        self._resolver = Resolver(wheel)

    def dial(self, server: UpstreamServer, pool: Pool, until: int) -> Stream:
        """Connected, TLS done if the pool is for that. `until`: a tick that ends it early. Raises ProxyError."""
        self._wheel.acquire()  # a deadline needs a ticking wheel
        try:
            deadline = min(self._wheel.tick + self._ticks, until)
            if pool.proxy is None:
                stream = self._reach(server, deadline)
            else:
                stream = self._pass(server, pool, pool.proxy, deadline)
            if pool.context is None:
                return stream
            return secure(stream, pool.context, server.host, pool.session, until)
        finally:
            self._wheel.release()

    def connection(self, server: UpstreamServer, pool: Pool, until: int) -> UpstreamConnection:
        """A new one for HTTP/1 in `pool`. Raises ProxyError."""
        stream = self.dial(server, pool, until)
        if pool.proxy is not None and pool.speaks_to_proxy:
            return ProxiedConnection(stream, pool, pool.proxy)
        return UpstreamConnection(stream, pool)

    def _reach(self, place: UpstreamServer | OutgoingProxy, deadline: int) -> Stream:
        if place.address is not None:
            addresses = [place.address]
        else:
            addresses = self._resolver.resolve(place.host, place.port, self._seconds_to(deadline))
        return connect(addresses, deadline, self._wheel)

    def _pass(self, server: UpstreamServer, pool: Pool, proxy: OutgoingProxy, deadline: int) -> Stream:
        """To the server, or to the proxy that is asked for it."""
        stream = self._reach(proxy, deadline)
        if proxy.scheme == "https":
            stream = bridged(stream, self._proxy_context, proxy.host, deadline)
        tunnels = not pool.speaks_to_proxy
        pass_through(stream, proxy, server.host, server.port, tunnels=tunnels, until=deadline)
        return stream

    def _seconds_to(self, tick: int) -> float:
        """For the resolver: 0 is no limit."""
        return max((tick - self._wheel.tick) * GRANULARITY_SECONDS, GRANULARITY_SECONDS) if tick < NEVER else 0.0
