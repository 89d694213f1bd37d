"""One request through one middleware, without a connection: what the server would get, what the client gets.

Requests are parsed and admitted as on a connection; the server's head is made as the proxy step makes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.static import EntryPoint
from config.static_entrypoint import ForwardedHeaders
from tests.playbook import split_headers
from tests.workers.fakes import surroundings
from workers.errors import Answer, Failure
from workers.exchange import TEXT_HEADERS, Exchange, Handler, Header, Request, ResponseHead
from workers.forwarded import Client, ForwardedPolicy
from workers.headers import upstream_head
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.target import TargetPolicy
from workers.middlewares.base import Builder, Context, Surroundings, Wrap

PEER = "192.0.2.1"


def context(log: logging.Logger | None = None) -> Context:
    given = surroundings()

    def no_service(reference: str) -> Handler:
        raise AssertionError(reference)

    around = Surroundings(given.static, log or given.log, None, given.transport)
    return Context("m@test", "r@test", (0,), around, no_service)


@dataclass
class Answered:
    """`served`: request line and header lines that the server got, None if it was not asked."""

    status: int = 0
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    served: list[bytes] | None = None
    interim: list[int] = field(default_factory=list)
    ended: bool = False

    def values(self, lower_name: bytes) -> list[bytes]:
        return [value for name, value in self.headers if name.lower() == lower_name]

    @property
    def target(self) -> bytes | None:
        """The target in the server's request line."""
        return self.served[0].split(b" ")[1] if self.served else None

    def sent(self, lower_name: bytes) -> list[bytes]:
        """Values of a header that the server got."""
        assert self.served is not None, "the server was not asked"
        pairs = split_headers(b"\r\n".join(self.served[1:]))
        return [value for name, value in pairs if name.lower() == lower_name]


class Recorder(Exchange):
    """Keeps what it is told; the hooks run as on a connection."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.seen = Answered()

    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        self.run_hooks(head)
        self.status = self.seen.status = head.status
        self.seen.headers = list(head.headers)
        self.seen.body += body

    def respond_error(self, failure: Failure) -> None:
        self.respond(failure.status, TEXT_HEADERS if failure.answer is Answer.TEXT else (), failure.body)

    def write(self, data: bytes) -> None:
        self.seen.body += data

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self.seen.body += data

    def inform(self, status: int, headers: Any) -> None:
        self.seen.interim.append(status)

    def end_connection(self) -> None:
        self.seen.ended = True

    def abort(self) -> None:
        raise AssertionError("aborted")

    def read_body(self) -> bytes:
        return b""

    def take_body(self) -> bytes:
        return b""

    def cancel_read(self) -> None:
        pass

    def upgrade(self, head: ResponseHead, first: bytes) -> Any:
        raise AssertionError("upgraded")

    body_complete = True


def client(trusted: bool = False, is_tls: bool = False, ip: str = PEER, tls: Any = None) -> Client:
    policy = ForwardedPolicy(EntryPoint(forwarded_headers=ForwardedHeaders(insecure=trusted)), "proxy")
    made = Client(ip, 1000, is_tls, "web", policy)
    made.tls = tls
    return made


def request(
    target: str = "/", *lines: str, method: str = "GET", host: str = "h", peer: Client | None = None
) -> IncomingRequest:
    raw = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")
    parsed = parse_request(raw, peer or client(), TargetPolicy())
    assert isinstance(parsed, IncomingRequest), parsed
    return parsed


def server(status: int = 200, *headers: Header, body: bytes = b"ok") -> Callable[[Answered], Handler]:
    """A service that answers so, and notes what it was sent."""

    def handler_for(seen: Answered) -> Handler:
        def handler(exchange: Exchange) -> None:
            sent = exchange.request
            seen.served = upstream_head(sent, sent.host_header).removesuffix(b"\r\n\r\n").split(b"\r\n")
            exchange.send(ResponseHead(status, list(headers), len(body)), body, True)

        return handler

    return handler_for


def call(wrap: Wrap, sent: Request, service: Callable[[Answered], Handler] = server()) -> Answered:  # noqa: B008
    """The request through the wrap to the service."""
    exchange = Recorder(sent)
    wrap(service(exchange.seen))(exchange)
    return exchange.seen


def made(builder: Builder, options: Any) -> Wrap:
    return builder(options, context())
