"""A servers transport: how servers are reached, and one pool of connections for each server under it.

Two upstreams share a connection only if everything that distinguishes them is equal: the transport (an object
made once per configuration of one) and the pool's key. A field that is missing in the key is a security bug.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from workers.timers import TimerWheel, current_wheel
from workers.upstream.dial import Address, Resolver, connect, numeric_address
from workers.upstream.pool import Pool, UpstreamConnection

_DEFAULT_IDLE_PER_HOST: Final = 2
_FEWEST_POOLS: Final = 64
"""So many pools are never looked through for those of servers that are gone."""
_NOT_YET: Final = ("https", "h2c")


class NotServedByThisVersion(ValueError):
    """The configuration asks for something that this version cannot do; the message says what."""


class UpstreamServer:
    """One server of a load balancer, parsed from its URL. Path and query of the URL are ignored.

    Raises ValueError for a URL without a host, NotServedByThisVersion for schemes that are not there yet.
    `name` is the URL as configured: the server's identity for sticky sessions and health.
    """

    __slots__ = ("address", "host", "host_header", "key", "name", "port", "scheme")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        if scheme in _NOT_YET:
            raise NotServedByThisVersion(f"{scheme} servers are not served by this version; use http")
        if scheme != "http":
            raise ValueError(f"unsupported protocol scheme {parts.scheme!r}; write http://host:port")
        if not parts.hostname:
            raise ValueError("no host in the URL; write http://host:port")
        self.name = url
        self.scheme = scheme
        self.host: str = parts.hostname
        self.port: int = parts.port or 80
        self.host_header = parts.netloc.rpartition("@")[2].encode(
            "idna" if not parts.netloc.isascii() else "ascii"
        )
        self.key = (scheme, self.host, self.port)
        self.address: Address | None = numeric_address(self.host, self.port)

    def __repr__(self) -> str:
        return f"<UpstreamServer {self.name}>"


class Transport:
    """Options of one servers transport and its pools. Made in the worker; lives as long as its configuration.

    `max_idle_per_host`: 0 is the original's default of 2, a negative number switches reuse off. Timeouts of
    zero are no limit.
    """

    def __init__(
        self,
        *,
        dial_timeout_seconds: float = 30.0,
        response_header_timeout_seconds: float = 0.0,
        idle_conn_timeout_seconds: float = 90.0,
        max_idle_per_host: int = 200,
        wheel: TimerWheel | None = None,
    ) -> None:
        self.wheel = wheel or current_wheel()
        self.response_header_ticks = TimerWheel.ticks(response_header_timeout_seconds)
        self._dial_seconds = dial_timeout_seconds
        self._dial_ticks = TimerWheel.ticks(dial_timeout_seconds)
        self._idle_seconds = idle_conn_timeout_seconds
        self._limit = max(max_idle_per_host, 0) if max_idle_per_host else _DEFAULT_IDLE_PER_HOST
        self._pools: dict[tuple[str, str, int], Pool] = {}
        self._prune_at = _FEWEST_POOLS
        self._resolver = Resolver(self.wheel)
        self._closed = False

    def pool(self, server: UpstreamServer) -> Pool:
        """The pool of connections to `server`; made at the first call."""
        pool = self._pools.get(server.key)
        if pool is None:
            if len(self._pools) >= self._prune_at:
                self._prune()
            pool = self._pools[server.key] = Pool(server.key, self.wheel, self._idle_seconds, self._limit)
            if self._closed:
                pool.close()
        return pool

    def _prune(self) -> None:
        """Forget servers to which nothing is kept open: pods come and go, the transport stays.

        Their connections in use, if any, are closed afterwards. Called at each doubling, so the cost of looking
        through all pools is spread over as many new ones.
        """
        for key, pool in list(self._pools.items()):
            if not pool.idle:
                del self._pools[key]
                pool.close()
        self._prune_at = max(_FEWEST_POOLS, 2 * len(self._pools))

    def acquire(self, server: UpstreamServer) -> UpstreamConnection:
        """An idle connection to `server`, or a new one. Raises ProxyError."""
        pool = self._pools.get(server.key)
        if pool is None:
            pool = self.pool(server)
        if pool.idle:
            connection = pool.idle.pop()
            connection.is_idle = False
            return connection
        return self.dial(server, pool)

    def dial(self, server: UpstreamServer, pool: Pool) -> UpstreamConnection:
        """A new connection, for `pool` to keep. Raises ProxyError."""
        self.wheel.acquire()  # a deadline needs a ticking wheel
        try:
            deadline = self.wheel.tick + self._dial_ticks
            if server.address is not None:
                addresses = [server.address]
            else:
                addresses = self._resolver.resolve(server.host, server.port, self._dial_seconds)
            return UpstreamConnection(connect(addresses, deadline, self.wheel), pool)
        finally:
            self.wheel.release()

    def close(self) -> None:
        """Close idle connections now and all others when their exchange is over."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()

    def __repr__(self) -> str:
        return f"<Transport {list(self._pools.values())}>"
