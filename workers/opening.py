"""From an accepted socket to a protocol: look at the first bytes, shake hands where they are TLS.

TLS, plaintext, TCP routers and HTTP share every entry point. Who gets a connection is decided from its first bytes
alone, in this order: a PROXY header is taken off; TCP routers that need no byte; PostgreSQL clients that ask for
TLS; then TLS (`TCPTable.for_tls` says who) or plaintext, which a TCP router takes before HTTP does. A connection
that cannot be served ends here, with the alert that is due.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from OpenSSL import SSL

from tls.alerts import DECODE_ERROR, INTERNAL_ERROR, HandshakeRefused
from tls.hello import POSTGRES_SSL_ACCEPTED, ClientHello, Malformed
from tls.server import ServerConnection as TLSConnection
from workers.forwarded import Client, ForwardedPolicy
from workers.handshake import refuse, secure
from workers.http1.options import ConnectionOptions
from workers.http1.server import SETTLE_SECONDS, ServerConnection
from workers.http2.server import Http2Connection
from workers.proxied import ProxyPolicy, take_header
from workers.proxy_protocol import Endpoint
from workers.sniff import REQUEST_BYTES, Postgres, local_address, sniff
from workers.stream import Stream, StreamBroken, StreamError
from workers.tcp.matchers import Caller
from workers.tcp.serving import Ending, TCPConnection
from workers.tcp.table import TCPRoute
from workers.timers import TimerWheel
from workers.tls_engine import TLSEngine

if TYPE_CHECKING:
    from workers.entrypoint import EntryPointServer

_POSTGRES_REFUSED = b"N"
_HTTP: Final = (b"", b"http/1.1", b"h2", b"http/1.0")
"""What may come of ALPN where HTTP is served; nothing is HTTP/1."""


class Connection(Protocol):
    """One that an entry point serves."""

    may_end: bool

    @property
    def is_fresh(self) -> bool:
        """Is its client about to ask for something?"""
        ...

    def close_if_idle(self) -> None:
        """End it if nothing is under way; any greenlet."""
        ...

    def abort(self) -> None:
        """Cut it; any greenlet."""
        ...


class Served(Connection, Protocol):
    """A connection whose protocol is known."""

    def run(self) -> Served | None:
        """Until it is over and closed; what comes back takes over (HTTP/1 may turn out to be HTTP/2)."""
        ...


class Opening:
    """One connection until its protocol is known; `run` in its own greenlet makes it what it is to be."""

    __slots__ = (
        "_born",
        "_ip",
        "_local",
        "_log",
        "_options",
        "_policy",
        "_port",
        "_proxied",
        "_server",
        "is_secure",
        "may_end",
        "stream",
    )

    def __init__(
        self,
        stream: Stream,
        ip: str,
        port: int,
        server: EntryPointServer,
        policy: ForwardedPolicy,
        options: ConnectionOptions,
        log: logging.Logger,
        proxied: ProxyPolicy | None = None,
    ) -> None:
        """`proxied`: whose PROXY headers are believed; None: they are not understood."""
        self.stream = stream
        self.is_secure = False
        """It turned out to speak TLS."""
        self.may_end = False
        self._ip = ip
        self._port = port
        self._server = server
        self._policy = policy
        self._options = options
        self._log = log
        self._proxied = proxied
        self._local: Endpoint | None = None
        """Where the client connected to, if a PROXY header said so."""
        self._born = stream.wheel.tick

    def run(self) -> Served | None:
        """The connection ready to be run, or None: it is over and closed."""
        try:
            return self._open()
        except HandshakeRefused as refused:
            self._log.debug("entry point %s: %s: %s", self._server.name, self._ip, refused.reason)
            self._refuse(refused.record)
        except SSL.Error as error:
            self._log.debug("entry point %s: %s: TLS handshake: %r", self._server.name, self._ip, error)
            self._refuse(b"")
        except StreamError:
            pass
        except BaseException:
            self.stream.close()
            raise
        self.stream.close()
        return None

    def _open(self) -> Served:
        stream, server = self.stream, self._server
        stream.set_read_deadline(self._until(self._born, self._options.read_ticks))
        if self._proxied is not None:
            self._take_header(self._proxied)
        route = server.tcp_table.unasked(Caller(self._ip), server.tls_table)
        if route is not None:
            return self._routed(route)
        connection = None
        if server.tls is not None or server.tcp_table:
            first = self._sniffed(stream)
            if isinstance(first, TCPConnection):
                return first
            if first is not None:
                self.is_secure = True
                connection = self._secure(stream, first, server.tls)
        client = Client(self._ip, self._port, connection is not None, self._server.name, self._policy, connection)
        born = None if connection else self._born
        protocol = connection.get_alpn_proto_negotiated() if connection is not None else b""
        if protocol not in _HTTP:
            raise StreamBroken("a protocol that is not HTTP was agreed upon, and no TCP router speaks it")
        if protocol == b"h2":
            return Http2Connection(self.stream, client, self._options, self._server)
        return ServerConnection(self.stream, client, self._options, self._server, born)

    def _take_header(self, policy: ProxyPolicy) -> None:
        is_trusted = policy.trusts(self._ip)
        header = take_header(self.stream)
        if header is not None and header.source is not None and is_trusted:
            self._ip, self._port = header.source
            self._local = header.destination

    def _sniffed(self, stream: Stream) -> TCPConnection | ClientHello | Malformed | None:
        """A TCP router's connection, or for HTTP its TLS beginning, None where it is plaintext."""
        first = sniff(stream)
        if first is Postgres.GSSAPI and self._refuses_gssapi():
            stream.read(REQUEST_BYTES)
            stream.write(_POSTGRES_REFUSED)
            first = sniff(stream)
        table = self._server.tcp_table
        if isinstance(first, Malformed):
            return first
        if isinstance(first, ClientHello):
            route = table.for_tls(self._caller(first), self._server.tls_table)
            return first if route is None else self._routed(route, first)
        if first is Postgres.TLS:
            return self._postgres(stream)
        route = table.plain.find(Caller(self._ip))
        return None if route is None else self._routed(route)

    def _refuses_gssapi(self) -> bool:
        """Nobody here speaks it; a plaintext router's server may."""
        table = self._server.tcp_table
        return bool(table.secure) and table.plain.find(Caller(self._ip)) is None

    def _postgres(self, stream: Stream) -> TCPConnection:
        """The client asks for TLS before it begins with it. It is never HTTP."""
        stream.read(REQUEST_BYTES)
        stream.write(POSTGRES_SSL_ACCEPTED)
        hello = sniff(stream)
        if not isinstance(hello, ClientHello):
            raise StreamBroken("no TLS after an SSLRequest")
        route = self._server.tcp_table.secure.find(self._caller(hello))
        if route is None:
            raise StreamBroken("no TCP router")
        return self._routed(route, hello, is_postgres=True)

    def _caller(self, hello: ClientHello) -> Caller:
        return Caller(self._ip, hello.server_name, hello.alpn)

    def _routed(
        self, route: TCPRoute, hello: ClientHello | None = None, *, is_postgres: bool = False
    ) -> TCPConnection:
        """`hello`: how TLS began. Raises StreamBroken for a router whose TLS option is broken."""
        server, stream = self._server, self.stream
        self.is_secure = hello is not None
        ending = None
        if route.option and hello is not None:
            if route.handler is None or server.tls is None or server.tls_table is None:
                raise StreamBroken("its TLS option is broken")
            select = partial(server.tls_table.select, hello, self._local_ip(hello), route.option)
            ending = Ending(server.tls, select, min(self._options.read_ticks, self._options.write_ticks))
        return TCPConnection(
            stream,
            Endpoint(self._ip, self._port),
            self._local,
            route,
            server,
            self._log,
            ending=ending,
            is_postgres=is_postgres,
        )

    def _secure(self, stream: Stream, hello: ClientHello | Malformed, engine: TLSEngine | None) -> TLSConnection:
        """Shake hands; `self.stream` is the secured one afterwards. Raises HandshakeRefused, SSL.Error."""
        table = self._server.tls_table
        if isinstance(hello, Malformed):
            raise HandshakeRefused(hello.reason, DECODE_ERROR)
        if table is None or engine is None:
            raise HandshakeRefused("TLS is not configured yet", INTERNAL_ERROR)
        selection = table.select(hello, self._local_ip(hello))
        until = self._until(stream.wheel.tick, min(self._options.read_ticks, self._options.write_ticks))
        return secure(stream, selection, engine, until, self._replace)

    def _local_ip(self, hello: ClientHello) -> str:
        """What the client connected to, in place of the server name that it did not send."""
        if hello.server_name:
            return ""
        return self._local.ip if self._local is not None else local_address(self.stream.sock).ip

    def _replace(self, stream: Stream) -> None:
        self.stream = stream

    def _until(self, since: int, ticks: int) -> int:
        """The tick of a deadline; a draining entry point has no patience."""
        until = since + ticks
        return min(until, self._settled()) if self._server.draining else until

    def _settled(self) -> int:
        return self.stream.wheel.tick + TimerWheel.ticks(SETTLE_SECONDS)

    def _refuse(self, record: bytes) -> None:
        refuse(self.stream, record, self._settled(), self._replace)

    @property
    def is_fresh(self) -> bool:
        """Its client has just come and is about to ask for something."""
        return True

    def close_if_idle(self) -> None:
        """Any greenlet: give it a moment. What was accepted is not turned away if that can be helped."""
        until = self._settled()
        self.stream.set_read_deadline(min(self.stream.read_deadline, until))
        self.stream.set_write_deadline(min(self.stream.write_deadline, until))

    def abort(self) -> None:
        """Any greenlet: cut it."""
        self.stream.shutdown()

    def __repr__(self) -> str:
        return f"<Opening {self._ip}:{self._port}{' TLS' if self.is_secure else ''}>"
