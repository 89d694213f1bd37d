"""Middlewares on the wire: an entry point, one middleware, a scripted server behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from config.static import StaticConfiguration
from tests.playbook import Rigid, Stage
from tests.upstreams import Script
from workers.building import BuildError
from workers.exchange import Exchange, Handler
from workers.middlewares.base import Builder, Context, Surroundings
from workers.proxy import ServiceHandler
from workers.shared import SharedState
from workers.upstream.transport import Transport


def context(
    transport: Transport | None = None,
    shared: SharedState | None = None,
    services: Mapping[str, Handler] | None = None,
) -> Context:
    """Around an instance at the first place of a router."""

    def service(name: str) -> Handler:
        if services is None or name not in services:
            raise BuildError(f'the service "{name}" does not exist')
        return services[name]

    around = Surroundings(StaticConfiguration(), logging.getLogger("tests"), shared, transport or Transport())
    return Context("mw@test", "router@test", (0,), around, service)


def behind(
    builder: Builder,
    options: Any,
    script: Script | None = None,
    *,
    handler: Handler | None = None,
    shared: SharedState | None = None,
    services: Callable[[Transport], Mapping[str, Handler]] | None = None,
) -> Stage:
    """A stage whose server (or `handler`) is behind the middleware."""
    stage = Stage(script, handler=handler)
    given = services(stage.transport) if services is not None else None
    assert stage.table.handler is not None
    stage.table.handler = builder(options, context(stage.transport, shared, given))(stage.table.handler)
    return stage


def noted(stage: Stage) -> list[Exchange]:
    """All exchanges from here on, as the entry point made them."""
    seen: list[Exchange] = []
    handler = stage.table.handler
    assert handler is not None

    def note(exchange: Exchange) -> None:
        seen.append(exchange)
        handler(exchange)

    stage.table.handler = note
    return seen


def service(url: str, transport: Transport) -> Handler:
    """A load balancer with one server."""
    return ServiceHandler("page@test", Rigid([url]), transport)


def post(
    body: bytes, *lines: bytes, chunked: bool = False, target: bytes = b"/", method: bytes = b"POST"
) -> bytes:
    """A request with a body."""
    if chunked:
        framing = b"Transfer-Encoding: chunked"
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        framing = b"Content-Length: %d" % len(body)
    head = [method + b" " + target + b" HTTP/1.1", b"Host: a.example", framing, *lines, b"", b""]
    return b"\r\n".join(head) + body


def ok(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with its length."""
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines, b"", b""]) + body
