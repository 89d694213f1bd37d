"""Streams of a client's connection as requests: begun, answered by a handler in its own greenlet, ended.

A stream whose client gave it up goes on counting against the limit until its handler has noticed, so that opening
and resetting in a hurry buys nobody more work than the limit allows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub
from greenlet import greenlet

from workers import errors
from workers.answering import serve_stream
from workers.errors import Failure
from workers.http1.options import ConnectionOptions, Site
from workers.http2.budget import Budget
from workers.http2.exchange import fields_of
from workers.http2.hpack import FIELD_OVERHEAD_BYTES, Field
from workers.http2.requests import Http2Request, Malformed, check_trailers, request_from
from workers.http2.serving import RESET_BURST, RESETS_PER_SECOND
from workers.http3 import frames
from workers.http3.carrier import MOST_QUEUED_BYTES
from workers.http3.channel import RequestChannel
from workers.http3.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http3.exchange import Http3Exchange, Http3Request
from workers.http3.link import Link
from workers.http3.quic import ServerQuic
from workers.stream import StreamError
from workers.timers import NEVER, TimerWheel

if TYPE_CHECKING:
    from workers.forwarded import Client

NOTHING_REFUSED: Final = frames.LARGEST_STREAM + 4


class ServingLink(Link):
    """The part of a connection that has to do with requests. `client` is there once the handshake is complete."""

    client: Client

    def __init__(self, quic: ServerQuic, options: ConnectionOptions, site: Site, wheel: TimerWheel) -> None:
        super().__init__(quic, options, wheel)
        self.site = site
        self.served = 0
        self.running = 0
        """Handlers at work, those of streams that were reset included."""
        self.exchanges: dict[int, Http3Exchange] = {}
        self.most_streams = options.max_concurrent_streams
        self.may_end = site.draining or options.max_requests > 0 or options.max_age_ticks < NEVER
        """Is it worth asking ends_soon() at each request? Set when the entry point starts to drain."""
        self.first_refused = NOTHING_REFUSED
        """Streams from here on are not served: the client has been told, or will be."""
        self._resets = Budget(wheel, RESET_BURST, RESETS_PER_SECOND)
        self._hub: Any = get_hub()

    @abstractmethod
    def leave(self) -> None:
        """Any greenlet: take no new requests, end when those under way are answered."""

    @abstractmethod
    def ends_soon(self) -> bool:
        """Is it time to leave?"""

    @abstractmethod
    def rest(self) -> None:
        """The last handler has ended."""

    def on_request(self, channel: RequestChannel, fields: Sequence[Field] | None, end_stream: bool) -> None:
        if channel.id >= self.first_refused:
            raise StreamFault(ErrorCode.REQUEST_REJECTED, "the connection ends")
        if self.running >= self.most_streams:
            self._spend_reset("refused streams")
            raise StreamFault(ErrorCode.REQUEST_REJECTED, "too many streams at once")
        try:
            request = (
                errors.HEADERS_TOO_LARGE
                if fields is None or self._is_oversized(fields)
                else request_from(fields, end_stream, self.client, self.options.target_policy, Http3Request)
            )
        except Malformed as error:
            self._spend_reset("malformed requests")
            raise StreamFault(ErrorCode.MESSAGE_ERROR, str(error)) from error
        if isinstance(request, Failure):
            self._refuse(channel, request)
        else:
            self._begin(channel, request, end_stream)

    def _is_oversized(self, fields: Sequence[Field]) -> bool:
        counted = sum([len(name) + len(value) for name, value, _ in fields])
        return counted + len(fields) * FIELD_OVERHEAD_BYTES > self.options.head_limit_bytes

    def on_trailers(self, channel: RequestChannel, fields: Sequence[Field] | None) -> None:
        try:
            if fields is None:
                raise Malformed("trailers much too long")
            check_trailers(fields)
        except Malformed as error:
            raise StreamFault(ErrorCode.MESSAGE_ERROR, str(error)) from error

    def _refuse(self, channel: RequestChannel, failure: Failure) -> None:
        """Answer something that is no request we serve."""
        self.spend("refused requests")
        if self.quic.queued_bytes() > MOST_QUEUED_BYTES:
            raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, "too many answers are not read")
        fields = fields_of(failure.status, ((b"content-type", b"text/plain; charset=utf-8"),))
        try:
            channel.put_head(fields, True, failure.body)
        except StreamError:
            self.abandon(channel, ErrorCode.REQUEST_CANCELLED)
            return
        self._close(channel)

    def _begin(self, channel: RequestChannel, request: Http2Request, end_stream: bool) -> None:
        options, now = self.options, self.wheel.tick
        channel.remote_ended = end_stream
        if request.content_length >= 0:
            channel.expected_bytes = request.content_length
        if not end_stream:
            channel.read_deadline = now + options.read_ticks
        if options.write_ticks < NEVER:
            channel.write_deadline = now + options.write_ticks
        exchange = self.exchanges[channel.id] = Http3Exchange(self, channel, request)
        self.running += 1
        site = self.site
        site.active += 1
        site.served += 1
        if self.may_end and self.ends_soon():
            self.leave()
        self._loop.run_callback(greenlet(self._serve, self._hub).switch, exchange)

    def _serve(self, exchange: Http3Exchange) -> None:
        """One stream, in its own greenlet."""
        serve_stream(exchange, self.site, self._end)

    def _end(self, exchange: Http3Exchange) -> None:
        channel = exchange.channel
        del self.exchanges[channel.id]
        if channel.broken is None:
            self._resets.earn()
        self._close(channel)
        self.running -= 1
        self.served += 1
        self.site.active -= 1
        if not self.running:
            self.rest()

    def _close(self, channel: RequestChannel) -> None:
        """The answer is on its way, or the stream is broken. A client that goes on sending is told to stop."""
        if channel.broken is not None:
            return
        if channel.has_ended:
            channel.discard()
        else:
            channel.decline()
        self.forget(channel)

    def on_reset(self, channel: RequestChannel) -> None:
        exchange = self.exchanges.get(channel.id)
        if exchange is not None:
            exchange.give_up()
        self._spend_reset("resets")

    def _spend_reset(self, what: str) -> None:
        if not self._resets.spend():
            raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, f"too many {what}")
