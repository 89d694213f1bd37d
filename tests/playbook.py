"""Scripted exchanges: a proxy, a client that speaks bytes, servers that follow a script, and a clock to move.

A test reads as a conversation:

    with Stage(answering(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        assert client.response().body == b"hi"

Everything runs in the test's own hub; at the end of the block no connection may be left.
"""

from __future__ import annotations

import logging
import socket as plain_socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import gevent
from gevent import get_hub, socket, ssl

from config.control_page import ControlPage
from config.http import IngressSource, LoadBalancer, Server
from config.static import EntryPoint
from tests.upstreams import PATIENCE_SECONDS, Peer, Script, Upstream
from tests.waiting import wait_until
from tls.selection import TLSTable
from workers.entrypoint import EntryPointServer
from workers.exchange import Handler, Request
from workers.proxy import ServiceHandler
from workers.timers import TimerWheel
from workers.tls_engine import TLSEngine
from workers.upstream.candidate import Candidate
from workers.upstream.servers import Servers
from workers.upstream.transport import Transport


@dataclass(frozen=True)
class Response:
    """A response as the client saw it; `body` without chunk frames."""

    status: int
    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]

    def __getitem__(self, lower_name: bytes) -> bytes | None:
        """Value of a header that must not come twice, None if it is absent."""
        values = [value for name, value in self.headers if name.lower() == lower_name]
        assert len(values) < 2, f"{lower_name!r} came {len(values)} times"
        return values[0] if values else None


def split_headers(block: bytes) -> list[tuple[bytes, bytes]]:
    """Pairs of the header lines in `block`."""
    pairs = []
    for line in block.split(b"\r\n"):
        if line:
            name, colon, value = line.partition(b": ")
            assert colon, f"odd header line {line!r}"
            pairs.append((name, value))
    return pairs


class Client(Peer):
    """A client connection that reads responses."""

    def head(self) -> Response:
        """The next response head (interim ones included), without a body."""
        first, _, block = self.read_head()[:-4].partition(b"\r\n")
        return Response(int(first.split(b" ")[1]), first, split_headers(block), b"", [])

    def response(self, to: bytes = b"GET") -> Response:
        """The next final response to a request with the method `to`, with its body."""
        head = self.head()
        assert head.status >= 200, f"interim {head.status}"
        if to == b"HEAD" or head.status in (204, 304):
            return head
        trailers: list[tuple[bytes, bytes]] = []
        if head[b"transfer-encoding"] == b"chunked":
            body, trailers = self.chunks()
        elif (length := head[b"content-length"]) is not None:
            body = self.read_exactly(int(length))
        else:
            body = self.read_to_end()
        return Response(head.status, head.line, head.headers, body, trailers)

    def chunks(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """A chunked body and its trailers."""
        body = b""
        while True:
            size = int(self.read_until(b"\r\n"), 16)
            if not size:
                break
            body += self.read_exactly(size + 2)[:-2]
        lines = b""
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            lines += line
        return body, split_headers(lines)

    def get(self, target: bytes = b"/", *lines: bytes, host: bytes = b"a.example") -> Response:
        """Send a GET and read its response."""
        self.send(b"\r\n".join([b"GET %b HTTP/1.1" % target, b"Host: " + host, *lines, b"", b""]))
        return self.response()

    def is_closed(self) -> bool:
        """Wait for the end of the connection, a reset included; False if bytes come instead."""
        try:
            return self.read_to_end() == b""
        except ConnectionResetError:
            return True


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wheel = TimerWheel(get_hub().loop, lambda: self.now)

    def advance(self, seconds: float) -> None:
        """Let time pass and everything that was due happen."""
        self.now += seconds
        done: list[bool] = []

        def tick() -> None:
            self.wheel.advance()
            done.append(True)

        get_hub().loop.run_callback(tick)
        wait_until(lambda: done, pause=gevent.sleep)


class Rigid(Servers):
    """A balancer of servers that are always there."""

    def __init__(self, urls: Iterable[str]) -> None:
        super().__init__("web@test", LoadBalancer(pass_host_header=True), [Server(url=url) for url in urls])

    @property
    def servers(self) -> list[Candidate]:
        return self.candidates


class Found:
    """A route."""

    name = "web@test"
    service = "web@test"
    source: IngressSource | None = None
    visible = 3

    def __init__(self, handler: Handler) -> None:
        self.handler = handler


class Everything:
    """A table that sends every request the same way, and remembers them."""

    def __init__(self, handler: Handler | None) -> None:
        self.handler = handler
        self.requests: list[Request] = []

    def find(self, request: Request, /) -> Found | None:
        self.requests.append(request)
        return Found(self.handler) if self.handler is not None else None


class Stage:
    """An entry point whose requests all go to one service with one scripted server.

    `script` None: no server at all. `handler`: something else than a service. `options`: of the entry point.
    `tls`, `tls_table`: what TLS connections are made with; requests through them go the same way.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        handler: Handler | None = None,
        options: EntryPoint | None = None,
        transport: Callable[[TimerWheel], Transport] | None = None,
        pass_host_header: bool = True,
        url: str = "",
        tls: TLSEngine | None = None,
        tls_table: TLSTable | None = None,
    ) -> None:
        self.clock = Clock()
        self.upstream = Upstream(script) if script is not None else None
        self.transport = transport(self.clock.wheel) if transport else Transport(wheel=self.clock.wheel)
        url = url or (self.upstream.url if self.upstream else "")
        self.balancer = Rigid([url] if url else [])
        if handler is None and url:
            handler = ServiceHandler("web@test", self.balancer, self.transport, pass_host_header)
        self.table = Everything(handler)
        self.page = ControlPage.create()
        self.slot = self.page.slot(0)
        listener = plain_socket.create_server(("127.0.0.1", 0))
        self.listener = listener
        self.port: int = listener.getsockname()[1]
        self.log: list[str] = []
        self.server = EntryPointServer(
            "web",
            options or EntryPoint(address=":80"),
            listener,
            self.slot,
            _logger(self.log),
            self.clock.wheel,
            tls,
        )
        self.server.table = self.table
        self.server.secure_table = self.table
        self.server.tls_table = tls_table
        self.server.start()
        self._clients: list[Client] = []

    def client(self) -> Client:
        """A new connection to the entry point."""
        return self._kept(socket.create_connection(("127.0.0.1", self.port)))

    def secure_client(self, context: ssl.SSLContext, server_name: str | None = None) -> Client:
        """A new connection through TLS, its handshake done. Raises ssl.SSLError, OSError."""
        plain = socket.create_connection(("127.0.0.1", self.port))
        plain.settimeout(PATIENCE_SECONDS)
        try:
            return self._kept(context.wrap_socket(plain, server_hostname=server_name))
        except BaseException:
            plain.close()
            raise

    def _kept(self, connection: Any) -> Client:
        client = Client(connection)
        self._clients.append(client)
        return client

    @property
    def request(self) -> Request:
        """The last request that reached the table."""
        return self.table.requests[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        self.server.stop_accepting()
        self.server.abort()
        try:
            if error is None:
                wait_until(lambda: not self.server.open_connections, what="no connection left", pause=gevent.sleep)
        finally:
            self.transport.close()
            self.listener.close()
            self.clock.wheel.close()
            if self.upstream is not None:
                self.upstream.__exit__(kind, error, trace)


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


def _logger(lines: list[str]) -> logging.Logger:
    logger = logging.Logger("stage")
    logger.addHandler(_Lines(lines))
    return logger


def respond(status: int = 200, body: bytes = b"ok") -> Handler:
    """A handler that answers by itself."""

    def handler(exchange: Any) -> None:
        exchange.respond(status, (), body)

    return handler
