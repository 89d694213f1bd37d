"""One connection to a server that speaks HTTP/2, shared by many requests.

A greenlet of its own reads; requests (client_call.py) are started and ended by the exchanges' greenlets. The
server says how many may run at once. What a server can make us keep is bounded: each stream by its window, heads
by their size, everything that brings nobody anything by the budget of every link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from gevent import get_hub
from greenlet import greenlet

from workers import errors
from workers.errors import Failure
from workers.http2 import frames
from workers.http2.channel import Channel
from workers.http2.client_call import ClientCall
from workers.http2.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http2.hpack import Field
from workers.http2.link import Limits, Link
from workers.stream import Stream, StreamBroken, StreamError, StreamTimeout
from workers.timers import NEVER, TimerWheel

HEAD_LIMIT_BYTES: Final = 1 << 20
"""Of a response's header list, as HTTP/2 counts it."""
MOST_STREAMS: Final = 1000
"""On one connection, even if the server would take more: further requests get another connection."""
FIRST_STREAMS: Final = 100
"""Where the server does not say how many it takes."""
_CONNECTION_WINDOW_BYTES: Final = 1 << 30
"""Streams are bounded one by one; together they are not, so that a slow client does not hold up the others."""
_LAST_WORDS_TICKS: Final = TimerWheel.ticks(1.0)
_PING: Final = b"are you?"


class ClientOptions(NamedTuple):
    """Ticks. `idle`: without a request, 0 closes at once; `read_idle`: of silence before a ping is sent; `ping`:
    for its answer."""

    idle: int = NEVER
    read_idle: int = NEVER
    ping: int = NEVER


class ClientLink(Link):
    """Made over a connected stream that has agreed on HTTP/2.

    `on_end` is called once: it takes no more requests. `on_ready`, before or never: the server has said how many.
    """

    keeps_unread = True

    def __init__(
        self,
        stream: Stream,
        options: ClientOptions,
        on_end: Callable[[ClientLink], None],
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(stream, Limits(HEAD_LIMIT_BYTES))
        self.options = options
        self.most_streams = 1
        self.calls: dict[int, ClientCall] = {}
        self.running = 0
        """Requests that have begun, or are about to."""
        self.is_used = False
        """Has it served a request to its end?"""
        self._on_end: Callable[[ClientLink], None] | None = on_end
        self._on_ready = on_ready
        self._is_leaving = False
        self._is_deaf = False
        """The server processes no new streams, or nobody reads its answers any more."""
        self._has_settings = False
        self._awaits_pong = False
        self._failure: Failure = errors.CLOSED_EARLY
        stream.on_unexpected = None
        self.outbox.put(frames.PREFACE)
        self.announce(((frames.ENABLE_PUSH, 0), (frames.MAX_HEADER_LIST_SIZE, HEAD_LIMIT_BYTES)))
        more = _CONNECTION_WINDOW_BYTES - self.receive_window
        self.outbox.put(frames.window_update(0, more))
        self.receive_window += more
        hub: Any = get_hub()
        self._loop.run_callback(greenlet(self._run, hub).switch)

    # Requests

    @property
    def can_open(self) -> bool:
        """May one more request be sent?"""
        return not self._is_leaving and self.running < self.most_streams

    def begin(self) -> ClientCall:
        """A place for one request; only while `can_open`. The call must be closed by whom it was given to."""
        self.running += 1
        if self.running == 1:
            self._set_deadline()
        return ClientCall(self, self.is_used)

    def start(self, call: ClientCall) -> Channel:
        """A stream for a call that is about to send its head. Raises StreamBroken: nothing has been sent.

        A call that has begun may start on a link that we have retired in the meantime: it was promised its place.
        """
        if self.stream.closed or self._is_deaf or self.largest_stream >= frames.LARGEST_STREAM - 2:
            self._leave()
            raise StreamBroken("the connection takes no more requests")
        self.largest_stream += 2 if self.largest_stream else 1
        self.calls[self.largest_stream] = call
        return self.open(self.largest_stream)

    def end(self, call: ClientCall) -> None:
        """A call is over, its stream too."""
        self.running -= 1
        if call.channel is not None:
            self.calls.pop(call.channel.id, None)
            self.is_used = True
        if not self.running and not self.stream.closed:
            if self._is_leaving or not self.options.idle or not self.most_streams:
                self._leave()
                self.stream.cancel_read()
            else:
                self._set_deadline()

    # The reading greenlet

    def _run(self) -> None:
        code, reason = ErrorCode.NO_ERROR, ""
        try:
            self._read_on()
        except ConnectionFault as fault:
            self._failure, code, reason = errors.HTTP2_BROKEN, fault.code, str(fault)
        except StreamError as error:
            reason = str(error)
        finally:
            self._is_deaf = True
            self._leave()
            self._abandon(reason or "the server closed the connection")
            self._say_goodbye(code)
            self.outbox.broken = True
            self.stream.close()

    def _read_on(self) -> None:
        """Until the server ends, or nothing is left to be done. Raises ConnectionFault, StreamError."""
        stream, rest = self.stream, b""
        while self.running or not self._is_leaving:
            self._set_deadline()
            try:
                data = stream.read()
            except StreamTimeout:
                self._on_silence()
                continue
            if not data:
                if not self.outbox.broken:
                    self._failure = errors.HTTP2_ENDED
                return
            self._awaits_pong = False
            rest = self.feed(rest + data if rest else data)

    def _set_deadline(self) -> None:
        options, now = self.options, self.wheel.tick
        due = NEVER if self.running else now + options.idle
        if self._awaits_pong:
            due = min(due, now + options.ping)
        elif options.read_idle < NEVER and self.running:
            due = min(due, now + options.read_idle)
        if due != self.stream.read_deadline:
            self.stream.set_read_deadline(due)

    def _on_silence(self) -> None:
        """A deadline passed: nobody needs us, or it is time to ask whether the server is still there."""
        if self._awaits_pong:
            self._failure = errors.PING_TIMEOUT
            raise StreamBroken("no answer to a ping")
        if not self.running:
            self._leave()
        else:
            self._awaits_pong = True
            self.outbox.put(frames.ping(_PING))

    def _say_goodbye(self, code: ErrorCode) -> None:
        if not self.outbox.broken and not self.stream.closed:
            self.outbox.put(frames.goaway(0, code))
            self.outbox.hurry(_LAST_WORDS_TICKS)
            self.outbox.drain()

    # The end

    def _leave(self) -> None:
        """No more requests from now on."""
        self._is_leaving = True
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self)

    def retire(self) -> None:
        """Any greenlet: end when the requests under way are over."""
        self._leave()
        if not self.running:
            self.stream.cancel_read()

    def _abandon(self, reason: str) -> None:
        """The connection is gone, and every request on it."""
        calls = list(self.calls.values())
        self.break_all(reason)
        for call in calls:
            call.fail(self._failure, reason)

    # From the server

    def feed(self, data: bytes) -> bytes:
        if not self._has_settings:
            if len(data) < frames.HEAD_BYTES:
                return data
            if data[3] != frames.SETTINGS or data[4] & frames.ACK:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the server does not speak HTTP/2")
            self._has_settings = True
            self.most_streams = FIRST_STREAMS
            data = super().feed(data)
            self._on_ready()
            return data
        return super().feed(data)

    def assume_settings(self) -> None:
        """The server takes its time: do as if it had said nothing about the number of requests."""
        if not self._has_settings:
            self.most_streams = FIRST_STREAMS

    def on_headers(self, stream_id: int, fields: Sequence[Field], end_stream: bool, is_oversized: bool) -> None:
        channel = self.channels.get(stream_id)
        if channel is None or channel.remote_ended:
            self.closed(stream_id, "HEADERS")
            return
        if is_oversized:
            raise StreamFault(stream_id, ErrorCode.CANCEL, "response head too large")
        self.calls[stream_id].on_headers(channel, fields, end_stream)

    def on_reset(self, channel: Channel, code: int) -> None:
        self.spend("resets")
        call = self.calls.get(channel.id)
        if call is not None:
            refused = code == ErrorCode.REFUSED_STREAM
            call.fail(errors.STREAM_REFUSED if refused else errors.STREAM_RESET, f"stream reset, code {code}")

    def has_enough(self, channel: Channel, code: int) -> bool:
        if code != ErrorCode.NO_ERROR or not channel.remote_ended:
            return False
        self.spend("resets")
        self.calls[channel.id].stop_sending()
        return True

    def on_pong(self, payload: bytes) -> None:
        """Whatever comes from the server shows that it is there."""

    def on_goaway(self, last_stream: int, code: int) -> None:
        self._is_deaf = True
        self._leave()
        for channel in [one for one in self.channels.values() if one.id > last_stream]:
            self.forget(channel)
            channel.break_off(StreamBroken("not processed by the server"))
            self.calls[channel.id].fail(errors.STREAM_REFUSED, f"the server went away, code {code}")

    def _apply(self, identifier: int, value: int) -> None:
        if identifier == frames.MAX_CONCURRENT_STREAMS:
            self.most_streams = min(value, MOST_STREAMS)
        else:
            super()._apply(identifier, value)

    def __repr__(self) -> str:
        return f"<ClientLink {self.running} of {self.most_streams}{', leaving' if self._is_leaving else ''}>"
