"""One request to an HTTP/1 server on one connection, and its response on the way back.

The common case is one write and one read: the whole response is there, the connection goes back to its pool
before the client gets its bytes. Everything else (bodies in pieces, interim responses, upgrades) leaves that
path. Whatever is not read to its last byte, or written to its last, is closed and never pooled.
"""

from __future__ import annotations

from typing import Final

from workers import errors
from workers.errors import Failure, ProxyError
from workers.exchange import Exchange, ResponseHead
from workers.http1 import grammar
from workers.http1.codec import IncomingHead, parse_response
from workers.http1.framing import ChunkedDecoder, CloseDecoder, Decoder, FramingError, LengthDecoder, chunk
from workers.http1.framing import LAST_CHUNK
from workers.http1.pump import BodyPump
from workers.stream import Stream, StreamBroken, StreamError, StreamTimeout
from workers.timers import NEVER, TimerWheel
from workers.tunnel import Tunnel
from workers.upstream.pool import UpstreamConnection

HEAD_LIMIT_BYTES: Final = 10 << 20
EXPECT_TICKS: Final = TimerWheel.ticks(1.0)
"""So long a body waits for the server's 100 before it is sent anyway."""
MOST_INTERIM: Final = 64


def forward(exchange: Exchange, connection: UpstreamConnection, head: bytes, header_ticks: int) -> None:
    """Send the request whose head is `head` and relay the response. Takes care of `connection`.

    `header_ticks` limit the wait for the response head once the request is written. Raises ProxyError as long as
    nothing of the response has been sent, StreamError if the client is to blame for the rest.
    """
    request = exchange.request
    stream = connection.stream
    pump: BodyPump | None = None
    kept = False
    exchange.watch(stream)
    try:
        if request.content_length:
            pump = _send_with_body(exchange, stream, head, header_ticks)
        else:
            _write(stream, head)
        if header_ticks < NEVER and pump is None:
            stream.set_read_deadline(stream.wheel.tick + header_ticks)
        try:
            data = stream.read()
        except StreamError:
            data = b""
        response = parse_response(data) if data else None
        if response.__class__ is not IncomingHead or response.status < 200:
            response, data = _late_head(exchange, stream, response, data, pump)
        if header_ticks < NEVER:
            stream.set_read_deadline(NEVER)
        body = data[response.consumed :]
        status, length = response.status, response.content_length
        if status < 200:
            _switch_protocols(exchange, stream, response, body)
        elif length == len(body) and pump is None and request.method != b"HEAD" and status not in _BODILESS:
            exchange.watch(None)
            if response.keep_alive:
                kept = True
                connection.release()
            exchange.send(response, body, True)
        else:
            kept = _relay(exchange, connection, response, body, pump)
    finally:
        if not kept:
            if pump is not None:
                pump.stop()
            connection.close()


_BODILESS: Final = (204, 304)


def _write(stream: Stream, data: bytes) -> None:
    """The first bytes of a request."""
    try:
        stream.write(data)
    except StreamBroken as error:
        raise ProxyError(errors.CLOSED_EARLY if error.written else errors.STALE, str(error)) from error


def _send_with_body(exchange: Exchange, stream: Stream, head: bytes, header_ticks: int) -> BodyPump | None:
    """Send the head with what is here of the body; a pump for the rest if there is any (started, or waiting)."""
    request = exchange.request
    piece = exchange.take_body()
    chunked = request.content_length < 0
    data = chunk(piece) if chunked and piece else piece
    if exchange.body_complete:
        _write(stream, head + data + LAST_CHUNK if chunked else head + data)
        return None
    pump = BodyPump(exchange, stream, header_ticks)
    _write(stream, head + data)
    if request.expect_continue and not piece:
        stream.set_read_deadline(stream.wheel.tick + EXPECT_TICKS)
    else:
        pump.start()
    return pump


def _late_head(
    exchange: Exchange, stream: Stream, response: IncomingHead | Failure | None, data: bytes, pump: BodyPump | None
) -> tuple[IncomingHead, bytes]:
    """The final head where the first read did not bring it: interim responses, pieces, silence, nonsense."""
    interim = 0
    partial: grammar.PartialHead | None = None
    while True:
        if isinstance(response, Failure):
            raise ProxyError(response)
        if response is not None:
            if response.status >= 200 or response.status == 101:
                return response, data
            interim += 1
            if interim > MOST_INTERIM:
                raise ProxyError(errors.MALFORMED_RESPONSE, "too many interim responses")
            exchange.inform(response.status, response.headers)
            if response.status == 100:
                _go_on(stream, pump)
            data, partial = data[response.consumed :], None
            response = parse_response(data) if data else None
            continue
        more = _read_head_bytes(exchange, stream, data, pump)
        if partial is None:
            partial = grammar.PartialHead(data, grammar.early_response_refusal)
        if len(partial) > HEAD_LIMIT_BYTES:
            raise ProxyError(errors.MALFORMED_RESPONSE, "response head too large")
        whole = partial.feed(more)
        if isinstance(whole, Failure):
            raise ProxyError(whole)
        data = whole if whole is not None else (data or more)
        response = parse_response(whole) if whole is not None else None
