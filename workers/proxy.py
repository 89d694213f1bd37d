"""The end of a handler chain: choose a server, send the request there, relay the answer.

A reused connection may have been closed by its server a moment ago. Such a failure is repaired here on another
connection to the same server, if that is safe; any other failure is the answer (no other server is tried).
"""

from __future__ import annotations

from typing import Final, Protocol

from workers import errors
from workers.errors import Failure, ProxyError, Retry
from workers.exchange import Exchange, Request
from workers.headers import upstream_head
from workers.http1.client import forward
from workers.upstream.transport import Transport, UpstreamServer

_REPLAYABLE_METHODS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
_REPLAY_KEYS: Final = frozenset({b"idempotency-key", b"x-idempotency-key"})


class Balancer(Protocol):
    """Chooses a server for each request."""

    def pick(self) -> UpstreamServer | None:
        """None if there is no server to choose."""
        ...


class ServiceHandler:
    """A load balancer's servers as a handler. `balancer` may be replaced at any time.

    `flush_interval_seconds` is accepted for the configuration's sake: bytes are always passed on at once.
    """

    __slots__ = ("_pass_host_header", "_transport", "balancer", "name")

    def __init__(
        self,
        name: str,
        balancer: Balancer,
        transport: Transport,
        pass_host_header: bool = True,
        flush_interval_seconds: float = 0.1,
    ) -> None:
        self.name = name
        self.balancer = balancer
        self._transport = transport
        self._pass_host_header = pass_host_header

    def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.method == b"CONNECT":
            exchange.respond_error(errors.CONNECT_REFUSED)
            return
        if request.upgrade and not _is_printable(request.upgrade):
            exchange.respond_error(errors.MALFORMED_UPGRADE)
            return
        server = self.balancer.pick()
        if server is None:
            exchange.respond_error(errors.NO_SERVER)
            return
        host = request.host_header if self._pass_host_header and request.host_header else server.host_header
        head = upstream_head(request, host)
        transport = self._transport
        while True:
            connection = transport.acquire(server)
            exchange.upstream = connection.stream
            if exchange.client_gone:
                connection.close()
                raise ProxyError(errors.CLIENT_GONE)
            try:
                forward(exchange, connection, head, transport.response_header_ticks)
                return
            except ProxyError as error:
                if not (connection.is_reused and _may_retry(error.failure, request)):
                    raise

    def __repr__(self) -> str:
        return f"<ServiceHandler {self.name}>"


def _is_printable(token: bytes) -> bool:
    return all(32 <= byte < 127 for byte in token)


def _may_retry(failure: Failure, request: Request) -> bool:
    if failure.retry is Retry.REUSED:
        return _is_replayable(request)
    return failure.retry is Retry.ALWAYS and request.content_length == 0


def _is_replayable(request: Request) -> bool:
    if request.content_length != 0:
        return False
    if request.method in _REPLAYABLE_METHODS:
        return True
    return any(name.lower() in _REPLAY_KEYS for name, _ in request.headers)
