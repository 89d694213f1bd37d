"""One client connection of a TCP router, from the first look at it to the end of its tunnel.

The order is the original's: middlewares, then a server is dialled, then the client's TLS handshake is made (where
it is ours), then bytes go both ways. Until bytes have gone both ways nothing is sent to a client that is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from OpenSSL import SSL

from tls.alerts import HandshakeRefused
from tls.hello import POSTGRES_SSL_ACCEPTED, POSTGRES_SSL_REQUEST
from tls.server import Selection
from workers.errors import ProxyError
from workers.handshake import refuse, secure
from workers.proxy_protocol import Endpoint
from workers.sniff import local_address
from workers.stream import Stream, StreamBroken, StreamError
from workers.tcp.middlewares import Guards
from workers.tcp.services import Target
from workers.timers import TimerWheel
from workers.tunnel import Tunnel
from workers.upstream.balancer import Nested

if TYPE_CHECKING:
    from workers.tcp.table import TCPRoute
    from workers.tls_engine import TLSEngine


SETTLE_SECONDS: Final = 1.0
"""How long a client that is refused may take to hear of it."""


class TCPSite(Protocol):
    """The entry point as its TCP connections see it."""

    name: str
    active: int
    draining: bool


class TCPHandler(NamedTuple):
    """What a route does with a connection: who may come, and where it leads."""

    guards: Guards
    balancer: Nested[Target]


class Ending(NamedTuple):
    """TLS with the client that is ended here.

    `select` decides over option and certificate, or raises HandshakeRefused. `ticks`: how long the handshake may
    take.
    """

    engine: TLSEngine
    select: Callable[[], Selection]
    ticks: int


class TCPConnection:
    """A routed connection. `run` returns when it is over and everything closed.

    `ending` None: bytes go on as they came, TLS or not. `is_postgres`: the client was promised TLS after an
    SSLRequest that has been read; a server that ends TLS itself is sent one.
    """

    __slots__ = (
        "_aborted",
        "_ending",
        "_handler",
        "_is_postgres",
        "_local",
        "_log",
        "_peer",
        "_route",
        "_site",
        "_stream",
        "_upstream",
        "may_end",
    )

    def __init__(
        self,
        stream: Stream,
        peer: Endpoint,
        local: Endpoint | None,
        route: TCPRoute,
        site: TCPSite,
        log: logging.Logger,
        *,
        ending: Ending | None = None,
        is_postgres: bool = False,
    ) -> None:
        """`local`: the address that the client connected to, None for the socket's own."""
        self._stream = stream
        self._peer = peer
        self._local = local
        self._route = route
        assert route.handler is not None
        self._handler: TCPHandler = route.handler
        self._site = site
        self._log = log
        self._ending = ending
        self._is_postgres = is_postgres
        self._upstream: Stream | None = None
        self._aborted = False
        self.may_end = False

    def run(self) -> None:
        """Until the end."""
        site, guards, ip = self._site, self._handler.guards, self._peer.ip
        site.active += 1
        try:
            if guards.enter(ip):
                try:
                    self._serve()
                finally:
                    guards.leave(ip)
            else:
                self._note("refused by a middleware")
        except (ProxyError, StreamError) as error:
            self._note(str(error))
        finally:
            site.active -= 1
            self._stream.close()
            if self._upstream is not None:
                self._upstream.close()

    def _serve(self) -> None:
        target = self._handler.balancer.pick()
        if target is None:
            self._note("no server")
            return
        dialling, sock = target.dialling, self._stream.sock
        local = (self._local or local_address(sock)) if dialling.version else None
        upstream = dialling.dial(target.server, self._stream.wheel, self._peer, local)
        self._upstream = upstream
        if self._is_postgres and self._route.passthrough:
            _ask_for_tls(upstream)
        if self._ending is not None and not self._secure(self._ending):
            return
        if not self._aborted:
            Tunnel(self._stream, upstream, dialling.delay_seconds).run()

    def _secure(self, ending: Ending) -> bool:
        """Shake hands with the client; False if that failed and it has been told. Raises StreamError."""
        wheel = self._stream.wheel
        try:
            secure(self._stream, ending.select(), ending.engine, wheel.tick + ending.ticks, self._replace)
        except (HandshakeRefused, SSL.Error) as error:
            record = error.record if isinstance(error, HandshakeRefused) else b""
            self._note(error.reason if isinstance(error, HandshakeRefused) else f"TLS handshake: {error!r}")
            refuse(self._stream, record, wheel.tick + TimerWheel.ticks(SETTLE_SECONDS), self._replace)
            return False
        return True

    def _replace(self, stream: Stream) -> None:
        self._stream = stream

    def _note(self, what: str) -> None:
        self._log.debug(
            "entry point %s: %s: TCP router %s: %s", self._site.name, self._peer.ip, self._route.name, what
        )

    @property
    def is_fresh(self) -> bool:
        """It counts as active."""
        return False

    def close_if_idle(self) -> None:
        """Nobody knows whether a tunnel is idle: it may go on for the grace period."""

    def abort(self) -> None:
        """Any greenlet: cut it."""
        self._aborted = True
        self._stream.shutdown()
        if self._upstream is not None:
            self._upstream.shutdown()

    def __repr__(self) -> str:
        return f"<TCPConnection {self._peer.ip}:{self._peer.port} {self._route.name}>"


def _ask_for_tls(upstream: Stream) -> None:
    """Do with the server what the client did with us; its answer is not passed on. Raises StreamError."""
    upstream.write(POSTGRES_SSL_REQUEST)
    if upstream.read(1) != POSTGRES_SSL_ACCEPTED:
        raise StreamBroken("the server refuses TLS")
