"""One request on a connection to an HTTP/2 server, and its response on the way back.

The exchange's greenlet sends the head and waits for the response; a body that has not arrived with its head goes
out from a greenlet of its own (client_pump.py), as the response may come before it is over. The connection's
reader only stores and wakes (client_response.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from workers import errors
from workers.errors import Failure, ProxyError
from workers.exchange import Exchange, ResponseHead, received_lines
from workers.http2.channel import Channel
from workers.http2.client_pump import StreamPump
from workers.http2.client_response import NO_BODY_YET, StreamResponse
from workers.http2.codes import ErrorCode
from workers.http2.hpack import Field
from workers.http2.responses import request_fields
from workers.stream import StreamBroken, StreamError
from workers.timers import TimerWheel
from workers.unzipping import unzipped

if TYPE_CHECKING:
    from workers.http2.client import ClientLink

EXPECT_TICKS: Final = TimerWheel.ticks(1.0)
"""So long a body waits for the server's 100 before it is sent anyway."""
_AT_ONCE_BYTES: Final = 16384
"""A complete body of this size goes with its head."""


def _fits(link: ClientLink, channel: Channel, size: int) -> bool:
    """May a complete body of this size go with its head, without waiting?"""
    if size > _AT_ONCE_BYTES:
        return False
    return not size or (size <= channel.send_window and size <= link.send_window and link.has_room())


def _is_over(channel: Channel) -> bool:
    """Has the whole body been read?"""
    return channel.is_read


class ClientCall:
    """Made by ClientLink.begin; `forward` it once, or `close` it."""

    __slots__ = ("_is_closed", "_link", "_pump", "_response", "channel", "is_reused")

    def __init__(self, link: ClientLink, is_reused: bool) -> None:
        self._link = link
        self.channel: Channel | None = None
        self.is_reused = is_reused
        """Has the connection served a request before this one?"""
        self._response = StreamResponse(link)
        self._pump: StreamPump | None = None
        self._is_closed = False

    # The exchange's greenlet

    def forward(self, exchange: Exchange, head: bytes, scheme: bytes, header_ticks: int) -> None:
        """Send the request whose HTTP/1 head is `head` and relay the response; the call is closed afterwards.

        Raises ProxyError as long as nothing of the response has been sent, StreamError when the client takes no
        more of it.
        """
        try:
            channel = self._start(exchange, head, scheme, header_ticks)
            response = self._final_head(exchange)
            if exchange.note is not None:
                exchange.note.origin_status = response.status
                if exchange.note.keeps_headers:
                    exchange.note.origin_headers = received_lines(response)
            if exchange.request.asked_gzip:
                exchange = unzipped(exchange, response)
            self._relay(exchange, channel, response)
        finally:
            exchange.upstream = None
            self.close()

    def _start(self, exchange: Exchange, head: bytes, scheme: bytes, header_ticks: int) -> Channel:
        request, link, response = exchange.request, self._link, self._response
        response.method = request.method
        piece = exchange.take_body() if request.content_length else b""
        is_whole = exchange.body_complete or not request.content_length
        try:
            self.channel = channel = link.start(self)
        except StreamBroken as error:
            raise ProxyError(errors.STREAM_REFUSED, str(error)) from error
        channel.expected_bytes = NO_BODY_YET
        fields = request_fields(head, scheme)
        pump = None
        try:
            if is_whole and _fits(link, channel, len(piece)):
                channel.send_head(fields, True, piece)
            else:
                channel.send_head(fields, False)
                self._pump = pump = StreamPump(response, exchange, channel, piece, header_ticks)
        except StreamError as error:
            raise ProxyError(response.failure or errors.CLOSED_EARLY, response.reason or str(error)) from error
        if pump is None:
            response.set_deadline(header_ticks)
        elif request.expect_continue and not piece:
            response.set_deadline(EXPECT_TICKS)
        else:
            pump.start()
        return channel

    def _final_head(self, exchange: Exchange) -> ResponseHead:
        """Wait for it; interim ones are relayed. Raises ProxyError."""
        response, pump = self._response, self._pump
        while True:
            head = response.next_head()
            if head is None:
                if response.failure is not None:
                    raise ProxyError(self._why(exchange, response.failure), response.reason)
                if pump is None or pump.started:
                    raise ProxyError(errors.RESPONSE_TIMEOUT)
                self._release_body()
            elif head.status >= 200:
                response.forget_deadline()
                if pump is not None:
                    pump.answered = True
                return head
            else:
                exchange.inform(head.status, head.headers)
                if head.status == 100:
                    self._release_body()

    def _why(self, exchange: Exchange, failure: Failure) -> Failure:
        if self._pump is not None and self._pump.failure is not None:
            return self._pump.failure
        return errors.CLIENT_GONE if exchange.client_gone else failure

    def _release_body(self) -> None:
        if self._pump is not None and not self._pump.started:
            self._response.forget_deadline()
            self._pump.start()

    def _relay(self, exchange: Exchange, channel: Channel, response: ResponseHead) -> None:
        """Pass the response on as it comes."""
        note = exchange.note
        piece = channel.take()
        if note is not None:
            note.origin_bytes += len(piece)
        if _is_over(channel):
            self._finish(exchange)
            trailers = self._response.trailers
            exchange.send(response, piece, not trailers)
            if trailers:
                exchange.finish(b"", trailers)
            return
        exchange.send(response, piece, False)
        while True:
            try:
                piece = channel.read()
            except StreamError:
                exchange.abort()
                return
            if note is not None:
                note.origin_bytes += len(piece)
            if _is_over(channel):
                self._finish(exchange)
                exchange.finish(piece, self._response.trailers)
                return
            exchange.write(piece)

    def _finish(self, exchange: Exchange) -> None:
        """The response is here: what waits for the client now keeps nothing on the server's side."""
        exchange.upstream = None
        self.close()

    def close(self) -> None:
        """The call is over, on whatever side; what is open of its stream is reset. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._response.forget_deadline()
        if self._pump is not None:
            self._pump.stop()
        if self.channel is not None:
            self._end(self.channel)
        self._link.end(self)

    def _end(self, channel: Channel) -> None:
        channel.discard()
        if channel.broken is None:
            if channel.remote_ended and channel.local_ended:
                self._link.forget(channel)
            else:
                channel.reset(ErrorCode.CANCEL)

    # The connection's reader, and others

    def shutdown(self) -> None:
        """Any greenlet, the hub too: nobody wants the response any more."""
        if not self._is_closed:
            self.fail(errors.CLOSED_EARLY, "cancelled")
            if self.channel is not None:
                self.channel.reset(ErrorCode.CANCEL)

    def fail(self, failure: Failure, reason: str) -> None:
        """No response will come."""
        self._response.fail(failure, reason)

    def on_headers(self, channel: Channel, fields: Sequence[Field], end_stream: bool) -> None:
        """A header list for this stream. Raises StreamFault."""
        self._response.on_headers(channel, fields, end_stream)

    def stop_sending(self) -> None:
        """The server has answered in full and wants no more of the body."""
        if self._pump is not None:
            self._pump.stop()
        if self.channel is not None:
            self.channel.stop_sending()

    def __repr__(self) -> str:
        return f"<ClientCall {self.channel or 'not sent'}>"
