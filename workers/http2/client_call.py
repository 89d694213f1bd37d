"""One request on a connection to an HTTP/2 server, and its response on the way back.

The exchange's greenlet sends the head and waits for the response; a body that has not arrived with its head goes
out from a greenlet of its own (client_pump.py), as the response may come before it is over. The connection's
reader calls the `on_` methods and `fail`, which only store and wake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from greenlet import getcurrent, greenlet

from workers import errors
from workers.errors import Failure, ProxyError
from workers.exchange import Exchange, Header, ResponseHead
from workers.http2.channel import Channel
from workers.http2.client_pump import StreamPump
from workers.http2.codes import ErrorCode, StreamFault
from workers.http2.hpack import Field
from workers.http2.responses import Malformed, request_fields, response_head, trailers_in
from workers.stream import StreamBroken, StreamError
from workers.timers import NEVER, TimerWheel

if TYPE_CHECKING:
    from workers.http2.client import ClientLink

EXPECT_TICKS: Final = TimerWheel.ticks(1.0)
"""So long a body waits for the server's 100 before it is sent anyway."""
MOST_INTERIM: Final = 64
_AT_ONCE_BYTES: Final = 16384
"""A complete body of this size goes with its head."""
_WITHOUT_BODY: Final = frozenset({204, 304})
_NO_BODY_YET: Final = 1 << 62
"""Expected before there is a head: a stream that ends without one is at fault."""


def _fits(link: ClientLink, channel: Channel, size: int) -> bool:
    """May a complete body of this size go with its head, without waiting?"""
    if size > _AT_ONCE_BYTES:
        return False
    return not size or (size <= channel.send_window and size <= link.send_window and link.has_room())


class ClientCall:
    """Made by ClientLink.begin; `forward` it once, or `close` it."""

    __slots__ = (
        "_cancelled",
        "_failure",
        "_has_head",
        "_head",
        "_heads",
        "_interim",
        "_is_closed",
        "_link",
        "_method",
        "_pump",
        "_reason",
        "_trailers",
        "_waiting",
        "channel",
        "deadline",
        "is_reused",
        "scheduled",
    )

    def __init__(self, link: ClientLink, is_reused: bool) -> None:
        self._link = link
        self.channel: Channel | None = None
        self.is_reused = is_reused
        """Has the connection served a request before this one?"""
        self._heads: deque[ResponseHead] = deque()
        """Received and not looked at; only the last one is final."""
        self._interim = 0
        self._has_head = False
        self._head: ResponseHead | None = None
        self._trailers: Sequence[Header] = ()
        self._method = b""
        self._failure: Failure | None = None
        self._reason = ""
        self._waiting: greenlet | None = None
        self._pump: StreamPump | None = None
        self._cancelled = self._is_closed = False
        self.deadline = self.scheduled = NEVER

    # The exchange's greenlet

    def forward(self, exchange: Exchange, head: bytes, scheme: bytes, header_ticks: int) -> None:
        """Send the request whose HTTP/1 head is `head` and relay the response; the call is closed afterwards.

        Raises ProxyError as long as nothing of the response has been sent, StreamError when the client takes no
        more of it.
        """
        try:
            channel = self._start(exchange, head, scheme, header_ticks)
            self._head = response = self._wait_for_head(exchange, header_ticks)
            note = exchange.note
            if note is not None:
                note.origin_status = response.status
            self._relay(exchange, channel, response)
        finally:
            exchange.upstream = None
            self.close()

    def _start(self, exchange: Exchange, head: bytes, scheme: bytes, header_ticks: int) -> Channel:
        request, link = exchange.request, self._link
        self._method = request.method
        piece = exchange.take_body() if request.content_length else b""
        is_whole = exchange.body_complete or not request.content_length
        try:
            self.channel = channel = link.start(self)
            channel.expected_bytes = _NO_BODY_YET
        except StreamBroken as error:
            raise ProxyError(errors.STREAM_REFUSED, str(error)) from error
        fields = request_fields(head, scheme)
        try:
            if is_whole and _fits(link, channel, len(piece)):
                channel.send_head(fields, True, piece)
            else:
                channel.send_head(fields, False)
                self._pump = StreamPump(self, exchange, channel, piece, header_ticks)
        except StreamError as error:
            raise ProxyError(self._failure or errors.CLOSED_EARLY, self._reason or str(error)) from error
        pump = self._pump
        if pump is None:
            self.set_deadline(header_ticks)
        elif request.expect_continue and not piece:
            self.set_deadline(EXPECT_TICKS)
        else:
            pump.start()
        return channel

    def _wait_for_head(self, exchange: Exchange, header_ticks: int) -> ResponseHead:
        """The final head; interim ones are relayed. Raises ProxyError."""
        while True:
            if self._heads:
                head = self._heads.popleft()
                if head.status >= 200:
                    self.deadline = NEVER
                    if self._pump is not None:
                        self._pump.answered = True
                    return head
                exchange.inform(head.status, head.headers)
                if head.status == 100:
                    self._release_body()
            elif self._failure is not None:
                raise ProxyError(self._why(exchange), self._reason)
            elif self._link.wheel.tick >= self.deadline:
                if self._pump is None or self._pump.started:
                    raise ProxyError(errors.RESPONSE_TIMEOUT)
                self._release_body()
            else:
                self._park()

    def _why(self, exchange: Exchange) -> Failure:
        assert self._failure is not None
        if self._pump is not None and self._pump.failure is not None:
            return self._pump.failure
        return errors.CLIENT_GONE if exchange.client_gone else self._failure

    def _release_body(self) -> None:
        if self._pump is not None and not self._pump.started:
            self.deadline = NEVER
            self._pump.start()

    def _relay(self, exchange: Exchange, channel: Channel, response: ResponseHead) -> None:
        """Pass the response on as it comes."""
        note = exchange.note
        piece = channel.take()
        if note is not None:
            note.origin_bytes += len(piece)
        if channel.remote_ended and channel.is_read:
            self._finish(exchange)
            trailers = self._trailers
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
            if channel.is_read:
                self._finish(exchange)
                exchange.finish(piece, self._trailers)
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
        if self.scheduled < NEVER:
            self._link.wheel.forget(self)
        if self._pump is not None:
            self._pump.stop()
        channel = self.channel
        if channel is not None:
            self._end(channel)
        self._link.end(self)

    def _end(self, channel: Channel) -> None:
        channel.discard()
        if channel.broken is None:
            if channel.remote_ended and channel.local_ended:
                self._link.forget(channel)
            else:
                channel.reset(ErrorCode.CANCEL)

    # Waiting

    def set_deadline(self, ticks: int) -> None:
        """From now on: until the response head must be there."""
        if ticks < NEVER and not self._has_head:
            self.deadline = self._link.wheel.tick + ticks
            if self.deadline < self.scheduled:
                self._link.wheel.schedule(self, self.deadline)

    def _park(self) -> None:
        self._waiting = getcurrent()
        self._link.park()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._link.wake(waiting)

    def on_tick(self, tick: int) -> int:
        """For the wheel."""
        if self.deadline <= tick:
            self._wake()
            return NEVER
        return self.deadline

    # The connection's reader, and others

    def shutdown(self) -> None:
        """Any greenlet, the hub too: nobody wants the response any more."""
        if not self._is_closed:
            self.fail(errors.CLOSED_EARLY, "cancelled")
            if self.channel is not None:
                self.channel.reset(ErrorCode.CANCEL)

    def fail(self, failure: Failure, reason: str) -> None:
        """No response will come."""
        if self._failure is None:
            self._failure, self._reason = failure, reason
        self._wake()

    def stop_sending(self) -> None:
        """The server has answered in full and wants no more of the body."""
        if self._pump is not None:
            self._pump.stop()
        if self.channel is not None:
            self.channel.stop_sending()

    def on_headers(self, fields: Sequence[Field], end_stream: bool) -> None:
        """A header list for this stream. Raises StreamFault."""
        channel = self.channel
        assert channel is not None
        try:
            if self._has_head:
                if not end_stream:
                    raise Malformed("a second head")
                self._trailers = trailers_in(fields)
            else:
                self._on_head(channel, response_head(fields), end_stream)
        except Malformed as error:
            self.fail(errors.MALFORMED_RESPONSE, str(error))
            raise StreamFault(channel.id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        if end_stream:
            channel.end_remote()

    def _on_head(self, channel: Channel, head: ResponseHead, end_stream: bool) -> None:
        if head.status < 200:
            self._interim += 1
            if end_stream or self._interim > MOST_INTERIM:
                raise Malformed("interim responses and no final one")
        else:
            self._has_head = True
            has_body = head.status not in _WITHOUT_BODY and self._method != b"HEAD"
            if end_stream and has_body and head.content_length < 0:
                head.content_length = 0
            channel.expected_bytes = head.content_length if has_body else 0
            if channel.received_bytes:
                raise Malformed("a body before the head")
        self._heads.append(head)
        self._wake()

    def __repr__(self) -> str:
        return f"<ClientCall {self.channel or 'not sent'}>"
