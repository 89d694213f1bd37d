"""One request to one server: take a connection, send, relay; and once more where nobody could notice.

A reused connection may have been closed by its server a moment ago. Such a failure is repaired here on another
connection to the same server, if that is safe; any other failure is the answer (no other server is tried).
"""

from __future__ import annotations

from typing import Final

from workers import errors
from workers.errors import Failure, ProxyError, Retry
from workers.exchange import Exchange, Request
from workers.headers import CREDENTIALS
from workers.http1.client import forward
from workers.http2.client_call import ClientCall
from workers.timers import NEVER
from workers.upstream.own import transport_for
from workers.upstream.pool import UpstreamConnection
from workers.upstream.server import UpstreamServer
from workers.upstream.through import ProxiedConnection
from workers.upstream.transport import Transport

_REPLAYABLE_METHODS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
MOST_REFUSALS: Final = 5
"""So often an HTTP/2 server may say that it has not processed a request."""
_REPLAY_KEYS: Final = frozenset({b"idempotency-key", b"x-idempotency-key"})


def attempt(
    exchange: Exchange, transport: Transport, server: UpstreamServer, head: bytes, until: int = NEVER
) -> None:
    """Send the exchange's request with the head `head` to `server` and relay the response.

    `until`: a tick at which dialling ends early. Raises ProxyError as long as nothing of the response has been
    sent, StreamError when the client takes no more of it.
    """
    request, refusals = exchange.request, 0
    if transport.has_copies or request.marks & CREDENTIALS or request.headers_touched:
        transport = transport_for(request, transport)
    while True:
        connection = transport.acquire(server, bool(request.upgrade), until)
        exchange.upstream = connection if isinstance(connection, ClientCall) else connection.stream
        if exchange.client_gone:
            connection.close()
            raise ProxyError(errors.CLIENT_GONE)
        try:
            if type(connection) is UpstreamConnection:
                forward(exchange, connection, head, transport.response_header_ticks)
            elif isinstance(connection, ProxiedConnection):
                forward(exchange, connection, connection.absolute(head, server), transport.response_header_ticks)
            else:
                assert isinstance(connection, ClientCall)
                connection.forward(exchange, head, server.wire_scheme, transport.response_header_ticks)
            return
        except ProxyError as error:
            refusals += error.failure is errors.STREAM_REFUSED
            if refusals > MOST_REFUSALS or not _may_retry(error.failure, request, connection.is_reused):
                raise


def _may_retry(failure: Failure, request: Request, is_reused: bool) -> bool:
    if failure is errors.STREAM_REFUSED:
        return request.content_length == 0
    if not is_reused:
        return False
    if failure.retry is Retry.REUSED:
        return _is_replayable(request)
    return failure.retry is Retry.ALWAYS and request.content_length == 0


def _is_replayable(request: Request) -> bool:
    if request.content_length != 0:
        return False
    if request.method in _REPLAYABLE_METHODS:
        return True
    return any(name.lower() in _REPLAY_KEYS for name, _ in request.headers)
