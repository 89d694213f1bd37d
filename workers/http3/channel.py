"""One request stream: its body, where greenlets wait for it, and the answer on its way into QUIC.

What waits how is the channel's of HTTP/2. Flow control is different: QUIC keeps what was sent until it is
acknowledged, so a sender is let in only as far as the client is ready to take more and the connection has room
for it; and the client may send more only when the body that came has been passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from greenlet import getcurrent

from workers.http2.channel import TURN_BYTES, Channel
from workers.http2.hpack import Field
from workers.http3 import frames
from workers.http3.codes import ErrorCode, StreamFault
from workers.http3.quic import STREAM_WINDOW_BYTES
from workers.stream import StreamBroken, StreamError
from workers.timers import NEVER

if TYPE_CHECKING:
    from workers.http2.carrier import Carrier
    from workers.http2.codes import ErrorCode as Http2ErrorCode
    from workers.http3.link import Link

_UPDATE_BYTES: Final = STREAM_WINDOW_BYTES // 4


class RequestChannel(Channel):
    """Made by a Link; methods of the lower half are called by it alone."""

    __slots__ = ("_carrier", "has_ended", "has_head", "is_declined", "reader", "wanted_bytes")

    def __init__(self, link: Link, stream_id: int, most_block_bytes: int) -> None:
        super().__init__(cast("Carrier", link), stream_id, 0)
        self._carrier = link
        self.reader = frames.RequestReader(most_block_bytes)
        self.has_head = False
        """A header block was taken; the next one is trailers. The reader may be ahead, at the end of a packet."""
        self.has_ended = False
        """The client's side is over, be it by a reset; `remote_ended` says that its message is complete."""
        self.is_declined = False
        """All is said: what still comes is thrown away."""
        self.wanted_bytes = 0
        """What the sender that waits wants to send; 0 for a head, which no window holds back."""

    # Reading the body

    def take(self) -> bytes:
        data = bytes(self._buffer)
        if data:
            self._buffer = b""
            self.count(len(data))
        return data

    def count(self, size: int) -> None:
        """So many bytes of the stream are dealt with."""
        self._carrier.credit(size)
        if not self.remote_ended and self.broken is None and not self.is_declined:
            self._unannounced += size
            if self._unannounced >= _UPDATE_BYTES:
                self._carrier.quic.widen(self.id, self._unannounced)
                self._carrier.touch()
                self._unannounced = 0

    # Sending

    def wait_for_room(self) -> None:
        if not self._carrier.has_room():
            self._wait_until_free(0)

    def put_head(self, fields: list[Field], end_stream: bool, data: bytes = b"") -> bool:
        if self.broken is not None:
            raise StreamBroken(str(self.broken))
        if len(data) > TURN_BYTES:
            return False
        piece = frames.frame(frames.HEADERS, self._carrier.encode(self.id, fields))
        if data:
            piece += frames.frame(frames.DATA, data)
        self._write(piece, end_stream)
        return True

    def send(self, data: bytes, end_stream: bool) -> None:
        if self.broken is not None:
            raise StreamBroken(str(self.broken))
        view = memoryview(data)
        while view:
            size = self._wait_until_free(min(len(view), TURN_BYTES))
            piece, view = view[:size], view[size:]
            self._write(frames.frame(frames.DATA, bytes(piece)), end_stream and not view)
        if end_stream and not self.local_ended:
            self._write(b"", True)

    def _write(self, data: bytes, end_stream: bool) -> None:
        if not self._carrier.quic.put(self.id, data, end_stream):
            raise StreamBroken("the client takes no more")
        self.local_ended = end_stream
        self._carrier.touch()

    def free_bytes(self, wanted: int) -> int:
        """How much of it may be queued now: 0 for nothing, 1 if a head may."""
        if not self._carrier.has_room():
            return 0
        return min(wanted, max(self._carrier.quic.send_window(self.id), 0)) if wanted else 1

    def _wait_until_free(self, wanted: int) -> int:
        """Raises StreamTimeout, StreamBroken."""
        link = self._carrier
        while True:
            if self.broken is not None:
                raise StreamBroken(str(self.broken))
            free = self.free_bytes(wanted)
            if free:
                return free
            self._sender, self.wanted_bytes = getcurrent(), wanted
            self._sender_until = min(self.write_deadline, link.wheel.tick + link.stall_ticks)
            link.wait(self)
            try:
                self._wait(self._sender_until)
            finally:
                link.leave_queue(self)

    def reset(self, code: Http2ErrorCode | ErrorCode) -> None:
        """End both directions at once; whoever waits is woken. HTTP/2's codes mean an internal error here."""
        if self.broken is None:
            shown = code if isinstance(code, ErrorCode) else ErrorCode.INTERNAL_ERROR
            self._carrier.abandon(self, shown)
            self.break_off(StreamBroken(f"stream reset: {shown.name}"))

    def on_tick(self, tick: int) -> int:
        if self.reader.part is frames.Part.NOTHING and not self.is_declined:
            if tick < self.read_deadline:
                return self.read_deadline
            self.reset(ErrorCode.REQUEST_INCOMPLETE)
            return NEVER
        return super().on_tick(tick)

    def decline(self, until: int = 0) -> None:
        """All is said: the client is told to send no more (RFC 9114 section 4.1); what still comes is dropped."""
        self.discard()
        self.is_declined = True
        self._carrier.refuse_more(self)

    # For the link

    def wake_sender(self) -> None:
        """There may be room."""
        self._wake_sender()

    def receive(self, data: bytes, padding_bytes: int = 0, end_stream: bool = False) -> None:
        """A piece of the body. Raises StreamFault, and has kept nothing of it then."""
        self.received_bytes += len(data)
        if 0 <= self.expected_bytes < self.received_bytes:
            self._carrier.credit(len(data))
            raise StreamFault(ErrorCode.MESSAGE_ERROR, "the body is longer than announced")
        if self.is_declined or self.broken is not None:
            self._carrier.credit(len(data))
            return
        if not self._buffer:
            self._buffer = data
        else:
            if not isinstance(self._buffer, bytearray):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
        self._wake_reader()

    def end_remote(self) -> None:
        if 0 <= self.expected_bytes != self.received_bytes:
            raise StreamFault(ErrorCode.MESSAGE_ERROR, "the body is not as long as announced")
        self.remote_ended = True
        self._wake_reader()

    def stop(self, reason: StreamError) -> None:
        """Nothing goes any more."""
        self.break_off(reason)
