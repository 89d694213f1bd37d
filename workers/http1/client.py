"""One request to an HTTP/1 server on one connection, and its response on the way back.

The common case is one write and one read: the whole response is there, the connection goes back to its pool
before the client gets its bytes. Everything else (bodies in pieces, interim responses, upgrades) leaves that
path. A connection whose response was not read to its last byte, whose request was not written to its last, or
that brought more than it was asked for, is closed and never pooled.
"""

from __future__ import annotations

from typing import Final

from workers import errors
from workers.errors import ProxyError
from workers.exchange import Exchange, ResponseHead, received_lines
from workers.http1.framing import (
    LAST_CHUNK,
    ChunkedDecoder,
    CloseDecoder,
    Decoder,
    FramingError,
    LengthDecoder,
    chunk,
)
from workers.http1.late_head import final_head, read_after
from workers.http1.pump import BodyPump
from workers.http1.responses import ChallengeHead, IncomingHead, parse_response
from workers.splicing import LEAST_BYTES
from workers.stream import READ_BYTES, Stream, StreamBroken, StreamError
from workers.timers import NEVER, TimerWheel
from workers.tunnel import Tunnel
from workers.unzipping import unzipped
from workers.upstream.own import keep_for_client
from workers.upstream.pool import UpstreamConnection

EXPECT_TICKS: Final = TimerWheel.ticks(1.0)
"""So long a body waits for the server's 100 before it is sent anyway."""
_WITHOUT_BODY: Final = frozenset({204, 304})


def forward(  # noqa: PLR0912, PLR0915 - the common path, in one frame on purpose
    exchange: Exchange, connection: UpstreamConnection, head: bytes, header_ticks: int
) -> None:
    """Send the request whose head is `head` and relay the response; `connection` is pooled or closed afterwards.

    `header_ticks` limit the wait for the response head once the request is written. Raises ProxyError as long as
    nothing of the response has been sent, StreamError when the client takes no more of it.
    """
    request, stream = exchange.request, connection.stream
    pump: BodyPump | None = None
    turn = connection.turn
    try:
        if request.content_length:
            pump = _send_with_body(exchange, stream, head, header_ticks)
        else:
            try:
                stream.write(head)
            except StreamBroken as error:
                raise _refused(error) from error
        if header_ticks < NEVER and pump is None:
            stream.set_read_deadline(stream.wheel.tick + header_ticks)
        try:
            data = stream.read()
        except StreamError as error:
            data = read_after(error, stream, pump)
        response = parse_response(data) if data else None
        if not isinstance(response, IncomingHead) or response.status < 200:
            response, data = final_head(response, data, exchange, stream, pump)
        if header_ticks < NEVER or pump is not None:
            stream.set_read_deadline(NEVER)
        body = data[response.consumed :]
        status = response.status
        note = exchange.note
        if note is not None:
            note.origin_status = status
            if note.keeps_headers:
                note.origin_headers = received_lines(response)
        if request.asked_gzip:
            exchange = unzipped(exchange, response)
        if status == 101:
            _switch_protocols(exchange, stream, response, body, pump)
        elif (
            response.content_length == len(body)
            and pump is None
            and request.method != b"HEAD"
            and status not in _WITHOUT_BODY
            and len(data) < READ_BYTES  # a full read may have left more behind
        ):
            exchange.upstream = None
            if response.keep_alive:
                connection.pool.put(connection)
            elif type(response) is ChallengeHead:
                keep_for_client(request, connection)
            if note is not None:
                note.origin_bytes += len(body)
            exchange.send(response, body, True)
        else:
            _relay(exchange, connection, response, body, pump)
    finally:
        if connection.turn == turn:  # not handed back: it may serve somebody else by now
            if pump is not None:
                pump.stop()
            connection.close()


# The request


def _refused(error: StreamBroken) -> ProxyError:
    """The first write failed: a connection that takes not a byte of a request had been closed before."""
    return ProxyError(errors.CLOSED_EARLY if error.written else errors.STALE, str(error))


def _send_with_body(exchange: Exchange, stream: Stream, head: bytes, header_ticks: int) -> BodyPump | None:
    """Send the head with what has arrived of the body; a pump for the rest, if there is any."""
    request = exchange.request
    chunked = request.content_length < 0
    piece = exchange.take_body()
    data = head + (chunk(piece) if chunked and piece else piece)
    pump = None if exchange.body_complete else BodyPump(exchange, stream, header_ticks)
    if pump is None and chunked:
        data += LAST_CHUNK
    try:
        stream.write(data)
    except StreamBroken as error:
        raise _refused(error) from error
    if pump is None:
        return None
    if request.expect_continue and not piece:
        stream.set_read_deadline(stream.wheel.tick + EXPECT_TICKS)
    else:
        pump.start()
    return pump


# The response body


def _relay(
    exchange: Exchange, connection: UpstreamConnection, response: IncomingHead, body: bytes, pump: BodyPump | None
) -> None:
    """Pass the response on as it comes; the connection goes back to its pool before the last piece goes out."""
    if pump is not None:
        pump.answered = True
    decoder = _decoder(exchange, response)
    try:
        piece = decoder.feed(body) if body else b""
    except FramingError as error:
        raise ProxyError(errors.MALFORMED_RESPONSE, str(error)) from error
    note = exchange.note
    if note is not None:
        note.origin_bytes += len(piece)
    if decoder.done:
        _keep(exchange, connection, response, decoder, pump)
        trailers = decoder.trailers()
        exchange.send(response, piece, not trailers)
        if trailers:
            exchange.finish(b"", trailers)
        return
    exchange.send(response, piece, False)
    last = _pipe(exchange, connection.stream, decoder)
    if last is not None:
        _keep(exchange, connection, response, decoder, pump)
        exchange.finish(last, decoder.trailers())


def _pipe(exchange: Exchange, stream: Stream, decoder: Decoder) -> bytes | None:
    """Pass on all but the last piece of a body, and return that; None if the connection is over with the body."""
    note, is_tried = exchange.note, False
    while True:
        data, broken = _read_body(stream)
        if not data:
            if isinstance(decoder, CloseDecoder) and not broken and not exchange.client_gone:
                exchange.finish()
            else:
                exchange.abort()
            return None
        try:
            piece = decoder.feed(data)
        except FramingError:
            exchange.abort()
            return None
        if note is not None:
            note.origin_bytes += len(piece)
        if decoder.done:
            return piece
        exchange.write(piece)
        if isinstance(decoder, LengthDecoder) and decoder.left >= LEAST_BYTES and not is_tried:
            is_tried = True
            moved = exchange.splice_response(stream, decoder.left)
            if note is not None:
                note.origin_bytes += moved
            if decoder.skip(moved):
                return b""


def _decoder(exchange: Exchange, response: IncomingHead) -> Decoder:
    if exchange.request.method == b"HEAD" or response.status in _WITHOUT_BODY:
        return LengthDecoder(0)
    if not response.length_given:
        return CloseDecoder()
    return LengthDecoder(response.content_length) if response.content_length >= 0 else ChunkedDecoder()


def _keep(
    exchange: Exchange,
    connection: UpstreamConnection,
    response: IncomingHead,
    decoder: Decoder,
    pump: BodyPump | None,
) -> None:
    """Return the connection to its pool if nothing is left on it in either direction."""
    if decoder.rest or (pump is not None and not pump.done):
        return
    if not response.keep_alive and type(response) is not ChallengeHead:
        return
    if response.status == 204 and response.length_given and response.content_length:
        return  # a body that must not be: who knows whether it is still to come
    if connection.stream.is_quiet():
        exchange.upstream = None
        if response.keep_alive:
            connection.pool.put(connection)
        else:
            keep_for_client(exchange.request, connection)


def _read_body(stream: Stream) -> tuple[bytes, bool]:
    """More of a body and whether the connection broke."""
    try:
        return stream.read(), False
    except StreamError:
        return b"", True


def _switch_protocols(
    exchange: Exchange, stream: Stream, response: IncomingHead, first: bytes, pump: BodyPump | None
) -> None:
    """A tunnel from here on, if it is what the client asked for and its request is over."""
    token = exchange.request.upgrade
    if not token or response.upgrade.lower() != token.lower():
        raise ProxyError(errors.WRONG_UPGRADE, f"the server switched to {response.upgrade!r}")
    if pump is not None and not pump.done:
        raise ProxyError(errors.WRONG_UPGRADE, "the server switched in the middle of the request body")
    exchange.upstream = None
    headers = [*response.headers, (b"Connection", b"Upgrade"), (b"Upgrade", response.upgrade)]
    client, unread = exchange.upgrade(ResponseHead(101, headers), first)
    tunnel = Tunnel(client, stream)
    if unread:
        stream.write(unread)
    tunnel.run()
