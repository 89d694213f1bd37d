"""One client connection that speaks HTTP/2: streams become exchanges, each with a greenlet of its own.

The connection's greenlet only reads. It never waits for a handler, and what handlers wait for (room, windows, the
body) is woken from here. What requests are is the affair of serving.py; here a connection begins, is idle, leaves
and ends.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from workers.http1.options import ConnectionOptions, Site
from workers.http2 import frames
from workers.http2.codes import ConnectionFault, ErrorCode
from workers.http2.serving import ServingLink
from workers.linger import linger
from workers.stream import Stream, StreamBroken, StreamCancelled, StreamError, StreamTimeout
from workers.timers import NEVER, TimerWheel
from workers.upstream.own import release

if TYPE_CHECKING:
    from tls.server import ServerConnection as TLSConnection
    from workers.forwarded import Client

SETTLE_SECONDS: Final = 1.0
"""So long requests under way to us are waited for after the first GOAWAY, and the last bytes for the client."""
_LEAVING: Final = b"farewell"


def is_modern(connection: TLSConnection) -> bool:
    """Does the connection meet RFC 9113 section 9.2: TLS 1.3, or 1.2 with fresh keys and an AEAD cipher?"""
    version, cipher = connection.get_protocol_version_name(), connection.get_cipher_name() or ""
    if version != "TLSv1.2":
        return version == "TLSv1.3"
    return "DHE-" in cipher and ("GCM" in cipher or "CHACHA20" in cipher)


class Http2Connection(ServingLink):
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
        super().__init__(stream, client, options, site)
        self._unread = unread
        self._born = stream.wheel.tick if born is None else born
        self._is_reading = False
        self._idle_since = self._born
        self._partial_until = NEVER
        self._settled = NEVER
        """The tick when the second GOAWAY is due."""
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
            release(self.client)

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

    def rest(self) -> None:
        self._idle_since = self.wheel.tick
        if self._is_reading and self.is_leaving:
            self.stream.cancel_read()
        elif self._is_reading:
            self.stream.set_read_deadline(self._deadline())

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
        options = self.options
        return (
            self.site.draining
            or (0 < options.max_requests <= self.served + self.running)
            or self.wheel.tick - self._born >= options.max_age_ticks
        )

    def __repr__(self) -> str:
        return f"<Http2Connection {self.client.ip}:{self.client.port} {self.running} running>"
