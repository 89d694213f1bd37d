"""Streams of a client connection as requests: begun, answered by a handler in its own greenlet, ended.

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
from workers.http2 import frames
from workers.http2.budget import Budget
from workers.http2.carrier import MOST_QUEUED_BYTES
from workers.http2.channel import Channel
from workers.http2.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http2.exchange import Http2Exchange, fields_of
from workers.http2.hpack import Field
from workers.http2.link import Limits, Link
from workers.http2.requests import Http2Request, Malformed, check_trailers, request_from
from workers.stream import Stream
from workers.timers import NEVER, TimerWheel

if TYPE_CHECKING:
    from workers.forwarded import Client

RESET_BURST: Final = 500
RESETS_PER_SECOND: Final = 50.0
DECLINE_TICKS: Final = TimerWheel.ticks(1.0)
"""So long a client that has its answer may go on sending, within the window that it has."""
MOST_DECLINED: Final = 64
"""Such streams of one connection."""


class ServingLink(Link):
    """The part of a connection that has to do with requests."""

    def __init__(self, stream: Stream, client: Client, options: ConnectionOptions, site: Site) -> None:
        super().__init__(stream, Limits.of(options))
        self.client = client
        self.options = options
        self.site = site
        self.served = 0
        self.running = 0
        """Handlers at work, those of streams that were reset included."""
        self.exchanges: dict[int, Http2Exchange] = {}
        self.most_streams = options.max_concurrent_streams
        self.may_end = site.draining or options.max_requests > 0 or options.max_age_ticks < NEVER
        """Is it worth asking ends_soon() at each request? Set when the entry point starts to drain."""
        self._resets = Budget(stream.wheel, RESET_BURST, RESETS_PER_SECOND)
        self._last_stream = frames.LARGEST_STREAM
        """Streams above it are not served: the client has been told, or will be."""
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

    def on_headers(self, stream_id: int, fields: Sequence[Field], end_stream: bool, is_oversized: bool) -> None:
        channel = self.channels.get(stream_id)
        if channel is not None:
            self._end_with_trailers(channel, fields, end_stream)
            return
        if stream_id <= self.largest_stream or not stream_id & 1:
            self.closed(stream_id, "HEADERS", is_fatal=True)
            return
        self.largest_stream = stream_id
        if stream_id > self._last_stream:
            self._reset_by_us.append(stream_id)  # the client has been told that these are not served
            return
        if self.running >= self.most_streams:
            self._spend_reset("refused streams")
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "too many streams at once")
        try:
            request = (
                errors.HEADERS_TOO_LARGE
                if is_oversized
                else request_from(fields, end_stream, self.client, self.options.target_policy)
            )
        except Malformed as error:
            self._spend_reset("malformed requests")
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        if isinstance(request, Failure):
            self._refuse(stream_id, request, end_stream)
        else:
            self._begin(stream_id, request, end_stream)

    def _end_with_trailers(self, channel: Channel, fields: Sequence[Field], end_stream: bool) -> None:
        if channel.remote_ended:
            raise StreamFault(channel.id, ErrorCode.STREAM_CLOSED, "HEADERS behind the end of the stream")
        if not end_stream:
            raise StreamFault(channel.id, ErrorCode.PROTOCOL_ERROR, "a second head")
        try:
            check_trailers(fields)
        except Malformed as error:
            raise StreamFault(channel.id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        channel.end_remote()

    def _refuse(self, stream_id: int, failure: Failure, end_stream: bool) -> None:
        """Answer something that is no request we serve."""
        self.spend("refused requests")
        fields = fields_of(failure.status, ((b"content-type", b"text/plain; charset=utf-8"),))
        channel = self.open(stream_id)
        channel.remote_ended = end_stream
        if self.outbox.size > MOST_QUEUED_BYTES:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many answers are not read")
        if not channel.put_head(fields, True, failure.body):
            channel.put_head(fields, True)
        self._close(channel)

    def _begin(self, stream_id: int, request: Http2Request, end_stream: bool) -> None:
        options, now = self.options, self.wheel.tick
        channel = self.open(stream_id)
        channel.remote_ended = end_stream
        if not end_stream:
            if request.content_length >= 0:
                channel.expected_bytes = request.content_length
            channel.read_deadline = now + options.read_ticks
        if options.write_ticks < NEVER:
            channel.write_deadline = now + options.write_ticks
        exchange = self.exchanges[stream_id] = Http2Exchange(self, channel, request)
        self.running += 1
        site = self.site
        site.active += 1
        site.served += 1
        if self.may_end and self.ends_soon():
            self.leave()
        self._loop.run_callback(greenlet(self._serve, self._hub).switch, exchange)

    def _serve(self, exchange: Http2Exchange) -> None:
        """One stream, in its own greenlet."""
        serve_stream(exchange, self.site, self._end)

    def _end(self, exchange: Http2Exchange) -> None:
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

    def _close(self, channel: Channel) -> None:
        """The answer is on its way, or the stream is broken. A client that goes on sending is told to stop."""
        if channel.broken is None:
            if channel.remote_ended:
                channel.discard()
                self.forget(channel)
            elif len(self.channels) - len(self.exchanges) <= MOST_DECLINED:
                channel.decline(self.wheel.tick + DECLINE_TICKS)
            else:
                channel.reset(ErrorCode.NO_ERROR)

    def on_reset(self, channel: Channel, code: int) -> None:
        exchange = self.exchanges.get(channel.id)
        if exchange is not None:
            exchange.give_up()
        self._spend_reset("resets")

    def _spend_reset(self, what: str) -> None:
        if not self._resets.spend():
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")
