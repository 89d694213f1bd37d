"""One client connection that speaks HTTP/2: streams become exchanges, each with a greenlet of its own.

The connection's greenlet only reads. It never waits for a handler, and what handlers wait for (room, windows, the
body) is woken from here. A stream whose client gave it up goes on counting against the limit until its handler has
noticed, so that opening and resetting in a hurry buys nobody more work than the limit allows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub
from greenlet import greenlet

from workers import errors
from workers.errors import Failure, ProxyError
from workers.http1.options import ConnectionOptions, Site
from workers.http2 import frames
from workers.http2.budget import Budget
from workers.http2.channel import Channel
from workers.http2.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http2.exchange import Http2Exchange, fields_of
from workers.http2.hpack import Field
from workers.http2.link import MOST_QUEUED_BYTES, Limits, Link
from workers.http2.requests import Http2Request, Malformed, check_trailers, request_from
from workers.linger import linger
from workers.stream import Stream, StreamBroken, StreamCancelled, StreamError, StreamTimeout
from workers.timers import NEVER, TimerWheel

if TYPE_CHECKING:
    from tls.server import ServerConnection as TLSConnection
    from workers.forwarded import Client

SETTLE_SECONDS: Final = 1.0
"""So long requests under way to us are waited for after the first GOAWAY, and the last bytes for the client."""
RESET_BURST: Final = 500
RESETS_PER_SECOND: Final = 50.0
_LEAVING: Final = b"farewell"


def is_modern(connection: TLSConnection) -> bool:
    """Does the connection meet RFC 9113 section 9.2: TLS 1.3, or 1.2 with fresh keys and an AEAD cipher?"""
    version, cipher = connection.get_protocol_version_name(), connection.get_cipher_name() or ""
    if version != "TLSv1.2":
        return version == "TLSv1.3"
    return "DHE-" in cipher and ("GCM" in cipher or "CHACHA20" in cipher)


class Http2Connection(Link):
    """`run` returns when it is over and the stream closed; a Served of workers/opening.py."""

    def __init__(
        self,
        stream: Stream,
        client: Client,
        options: ConnectionOptions,
        site: Site,
        born: int | None = None,
        unread: bytes = b"",
    ) -> None:
        """`born`: the tick when the connection was accepted, None for now. `unread`: what was read already."""
        super().__init__(stream, Limits.of(options))
        self.client = client
        self.options = options
        self.site = site
        self.served = 0
        self.running = 0
        """Handlers at work, those of streams that were reset included."""
        self.exchanges: dict[int, Http2Exchange] = {}
        self.most_streams = options.max_concurrent_streams
        self._unread = unread
        self.may_end = site.draining or options.max_requests > 0 or options.max_age_ticks < NEVER
        """Is it worth asking ends_soon() at each response? Set when the entry point starts to drain."""
        self._born = stream.wheel.tick if born is None else born
        self._resets = Budget(stream.wheel, RESET_BURST, RESETS_PER_SECOND)
        self._is_reading = False
        self._idle_since = self._born
        self._partial_until = NEVER
        self._settled = NEVER
        """The tick when the second GOAWAY is due."""
        self._last_stream = frames.LARGEST_STREAM
        """Streams above it are not served: the client has been told, or will be."""
        self._hub: Any = get_hub()
        stream.on_unexpected = None

    # The reading greenlet

    def run(self) -> None:
        """Serve until the end."""
        try:
            self._announce()
            data, self._unread = self._unread, b""
            self._read_on(data)
        except ConnectionFault as fault:
            self._is_reading = False
            self._give_up(fault.reason)
            with contextlib.suppress(StreamError):
                self._say_goodbye(fault.code, fault.reason)
        except StreamError:
            pass
        finally:
            self._is_reading = False
            self._give_up("the connection is gone")
            self.outbox.broken = True
            self.stream.close()

    def _announce(self) -> None:
        if self.client.tls is not None and not is_modern(self.client.tls):
            raise ConnectionFault(ErrorCode.INADEQUATE_SECURITY, "a cipher suite that HTTP/2 forbids")
        self.announce(
            (
                (frames.MAX_CONCURRENT_STREAMS, self.most_streams),
                (frames.MAX_HEADER_LIST_SIZE, self.options.head_limit_bytes),
            )
        )
        self.stream.set_read_deadline(self._born + self.options.read_ticks)
        if self.site.draining:
            self.leave()

    def _read_on(self, data: bytes) -> None:
        """Until the client ends, is silent for too long, or nothing is left to be done. Raises ConnectionFault."""
        stream = self.stream
        data = self.feed(self._behind_preface(data))
        self._is_reading = True
        while not self._is_over():
            self._set_deadline(data)
            try:
                piece = stream.read()
            except StreamCancelled:
                continue
            except StreamTimeout:
                if self._on_silence():
                    continue
                break
            if not piece:
                return
            data = self.feed(data + piece if data else piece)
        self._is_reading = False
        self._say_goodbye(ErrorCode.NO_ERROR)

    def _behind_preface(self, data: bytes) -> bytes:
        """What follows the client's preface; SETTINGS must be the first of it (RFC 9113 section 3.4)."""
        preface = frames.PREFACE
        enough = len(preface) + frames.HEAD_BYTES
        while len(data) < enough and preface.startswith(data[: len(preface)]):
            piece = self.stream.read()
            if not piece:
                raise StreamBroken("ended within the preface")
            data += piece
        data = data.removeprefix(preface) if data.startswith(preface) else b""
        if len(data) < frames.HEAD_BYTES or data[3] != frames.SETTINGS or data[4] & frames.ACK:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no client preface")
        return data

    def _set_deadline(self, rest: bytes) -> None:
        """What the reader waits for decides how long: the end of a frame, a new request, or for ever."""
        if not rest and not self.is_within_block:
            self._partial_until = NEVER
        elif self._partial_until == NEVER:
            self._partial_until = self.wheel.tick + self.options.read_ticks
        self.stream.set_read_deadline(self._deadline())

    def _deadline(self) -> int:
        idle_until = NEVER if self.running else self._idle_since + self.options.idle_ticks
        return min(self._partial_until, self._settled, idle_until)

    def _on_silence(self) -> bool:
        """A deadline passed while reading; False if it was the connection's own."""
        if self._settled > self.wheel.tick:
            return self._deadline() > self.wheel.tick
        self._settle()
        return True

    @property
    def is_leaving(self) -> bool:
        """Has the client been told which streams are the last ones?"""
        return self._last_stream != frames.LARGEST_STREAM

    def _is_over(self) -> bool:
        return not self.running and self.is_leaving

    # The end

    def leave(self) -> None:
        """Any greenlet: take no new requests, end when those under way are answered.

        Requests that the client sent before it hears of it are still served: a first GOAWAY shuts nobody out, the
        second one follows when a ping has come back (RFC 9113 section 6.8).
        """
        if self._settled < NEVER or self._last_stream != frames.LARGEST_STREAM or self.stream.closed:
            return
        self._settled = self.wheel.tick + TimerWheel.ticks(SETTLE_SECONDS)
        self.outbox.put(frames.goaway(frames.LARGEST_STREAM, ErrorCode.NO_ERROR) + frames.ping(_LEAVING))
        self.stream.set_read_deadline(min(self.stream.read_deadline, self._settled))

    def _settle(self) -> None:
        """The client knows: newer requests than the last one are not served."""
        self._settled = NEVER
        if self._last_stream == frames.LARGEST_STREAM:
            self._last_stream = self.largest_stream
            self.outbox.put(frames.goaway(self._last_stream, ErrorCode.NO_ERROR))

    def on_pong(self, payload: bytes) -> None:
        if payload == _LEAVING and self._settled < NEVER:
            self._settle()

    def on_goaway(self, last_stream: int, code: int) -> None:
        self._settle()

    def _say_goodbye(self, code: ErrorCode, reason: str = "") -> None:
        """The last GOAWAY, and a close that lets it arrive. Raises StreamError."""
        if code or self._last_stream == frames.LARGEST_STREAM:
            self.outbox.put(frames.goaway(self.largest_stream, code, reason.encode()[:100]))
        self.outbox.hurry(TimerWheel.ticks(SETTLE_SECONDS))
        self.outbox.drain()
        linger(self.stream)

    def _give_up(self, reason: str) -> None:
        """Nobody hears the answers any more."""
        self.break_all(reason)
        for exchange in list(self.exchanges.values()):
            exchange.give_up()

    def close_if_idle(self) -> None:
        """Any greenlet: the entry point stops. As `leave`; what is under way may finish."""
        self.leave()

    def abort(self) -> None:
        """Any greenlet: cut the connection whatever it does."""
        self._give_up("cut")
        self.stream.shutdown()

    @property
    def is_fresh(self) -> bool:
        """A request may be under way to us: of a client that has just made the effort of a handshake, or that has
        not yet heard that we are leaving."""
        return self._settled < NEVER or (self.client.is_tls and not self.largest_stream)

    def ends_soon(self) -> bool:
        """Is it time to leave?"""
        options = self.options
        return (
            self.site.draining
            or (0 < options.max_requests <= self.served + self.running)
            or self.wheel.tick - self._born >= options.max_age_ticks
        )

    # Requests

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
            return  # the client has been told that these are not served
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
        observer = self.site.observer
        try:
            if observer is not None:
                observer.begin(exchange)
            self._answer(exchange)
            if not exchange.finished:
                self._fail(exchange, errors.CRASHED)
        except StreamError:
            exchange.abort()
        except ProxyError as error:
            self._fail(exchange, error.failure)
        except Exception:
            self.site.report_crash(exchange.request)
            self._fail(exchange, errors.CRASHED)
        finally:
            self._end(exchange)
            if observer is not None:
                observer.end(exchange)

    def _answer(self, exchange: Http2Exchange) -> None:
        request = exchange.request
        table = self.site.secure_table if self.client.is_tls else self.site.table
        if request.refusal is not None:
            exchange.respond_error(request.refusal)
        elif request.target == b"*":
            exchange.respond(200, (), b"")
        else:
            route = table.find(request) if table is not None else None
            if route is None:
                exchange.respond_error(errors.NOT_FOUND)
                return
            if exchange.note is not None:
                exchange.note.route = route
            route.handler(exchange)

    def _fail(self, exchange: Http2Exchange, failure: Failure) -> None:
        """The answer to a handler that gave up; a response under way can only be cut."""
        exchange.failure = failure
        if exchange.status:
            exchange.abort()
            return
        try:
            exchange.respond_error(failure)
        except StreamError:
            exchange.abort()

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
            self._idle_since = self.wheel.tick
            if self._is_reading and self.is_leaving:
                self.stream.cancel_read()
            elif self._is_reading:
                self.stream.set_read_deadline(self._deadline())

    def _close(self, channel: Channel) -> None:
        """The answer is on its way, or the stream is broken. A client that is still sending is told to stop."""
        if channel.broken is None:
            if channel.remote_ended:
                channel.discard()
                self.forget(channel)
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

    def __repr__(self) -> str:
        return f"<Http2Connection {self.client.ip}:{self.client.port} {self.running} running>"
