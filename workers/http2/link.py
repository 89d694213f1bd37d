"""One HTTP/2 connection, for either role: frames in, and what each of them means for streams and windows.

The one who reads calls `feed`; all else happens in the greenlets of the streams. Rules that concern the whole
connection are kept here, those of one stream in channel.py; who may open streams and what they mean is the
subclass's affair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from workers.http2 import frames, hpack
from workers.http2.blocks import MalformedBlock
from workers.http2.carrier import Carrier, Limits
from workers.http2.channel import Channel
from workers.http2.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http2.hpack import Field
from workers.http2.outbox import ROOM_BYTES
from workers.stream import Stream, StreamBroken

MOST_CONTINUATIONS: Final = 128
_WORK_EARNS: Final = 8
"""A header block pays for so many frames around it."""
_SMALLEST_UPDATE_BYTES: Final = 256


class Link(Carrier, ABC):
    """`feed` is for one greenlet only."""

    def __init__(self, stream: Stream, limits: Limits) -> None:
        super().__init__(stream, limits)
        # Up to twice the limit a list is read, so that the peer can be told which request was too large.
        self._decoder = hpack.Decoder(2 * limits.head_bytes, limits.table_bytes)
        self._block: bytearray | None = None
        self._block_stream = self._block_flags = self._block_frames = 0

    # For the subclass

    @abstractmethod
    def on_headers(self, stream_id: int, fields: Sequence[Field], end_stream: bool, is_oversized: bool) -> None:
        """A header list. Raises StreamFault, ConnectionFault."""

    @abstractmethod
    def on_reset(self, channel: Channel, code: int) -> None:
        """The peer gave up a stream; it is forgotten already."""

    @abstractmethod
    def on_goaway(self, last_stream: int, code: int) -> None:
        """The peer wants to end the connection."""

    def has_enough(self, channel: Channel, code: int) -> bool:
        """The peer reset a stream: does it only want no more from us, while what it sent still counts?"""
        return False

    @abstractmethod
    def on_pong(self, payload: bytes) -> None:
        """A ping of ours came back."""

    # Receiving

    @property
    def is_within_block(self) -> bool:
        """A header block has begun and not ended."""
        return self._block is not None

    def feed(self, data: bytes) -> bytes:
        """Take all whole frames from the start of `data`; the rest is returned. Raises ConnectionFault."""
        position, end = 0, len(data)
        while end - position >= frames.HEAD_BYTES:
            word, flags, stream_id = frames.unpack_head(data, position)
            length, kind = word >> 8, word & 0xFF
            if length > frames.FRAME_BYTES:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            start = position + frames.HEAD_BYTES
            position = start + length
            if position > end:
                return data[start - frames.HEAD_BYTES :]
            try:
                self._on_frame(kind, flags, stream_id & frames.LARGEST_STREAM, data[start:position])
            except StreamFault as fault:
                self.fail(fault)
        return data[position:] if position else data

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and (kind != frames.CONTINUATION or stream_id != self._block_stream):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        if kind >= frames.KINDS:
            self.spend("unknown frames")
            return
        frames.check(kind, len(payload), stream_id)
        _HANDLERS[kind](self, flags, stream_id, payload)

    def fail(self, fault: StreamFault) -> None:
        """Answer a fault of one stream."""
        self.spend("faulty streams")
        channel = self.channels.get(fault.stream_id)
        if channel is not None:
            channel.reset(fault.code)
            self.on_reset(channel, fault.code)
        else:
            self._reset_by_us.append(fault.stream_id)
            self.reply(frames.rst_stream(fault.stream_id, fault.code))

    # Frames, in the order of their types

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self.receive_window -= size
        if self.receive_window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        data = frames.unpadded(frames.DATA, flags, payload) if flags & frames.PADDED else payload
        end_stream = flags & frames.END_STREAM != 0
        channel = self.channels.get(stream_id)
        if channel is None or channel.remote_ended:
            self.credit(size)
            self.closed(stream_id, "DATA")
            return
        if data:
            self.calm.earn()
        elif not end_stream:
            self.spend("empty frames")
        try:
            channel.receive(data, size - len(data), end_stream)
        except StreamFault:
            self.credit(size)
            raise

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITIZED):
            if flags & frames.PRIORITIZED and frames.dependency(flags, payload) == stream_id:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")
            payload = frames.unpadded(frames.HEADERS, flags, payload)
        if flags & frames.END_HEADERS:
            self._on_block(stream_id, payload, flags)
        else:
            self._block, self._block_frames = bytearray(payload), 0
            self._block_stream, self._block_flags = stream_id, flags

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._block_frames += 1
        block += payload
        if self._block_frames > MOST_CONTINUATIONS or len(block) > self.limits.head_bytes:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(stream_id, bytes(block), self._block_flags)

    def _on_block(self, stream_id: int, block: bytes, flags: int) -> None:
        try:
            fields = self._decoder.decode(block)
        except hpack.OversizedList as error:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header list much too large") from error
        except MalformedBlock as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, str(error)) from error
        self.calm.earn(_WORK_EARNS)
        self.on_headers(stream_id, fields, flags & frames.END_STREAM != 0, self._is_oversized(fields, len(block)))

    def _is_oversized(self, fields: Sequence[Field], block_bytes: int) -> bool:
        """Is a list above the limit? Counted only where it can be: none is longer than a table or its bytes."""
        limit, most = self.limits.head_bytes, self.limits.table_bytes + hpack.FIELD_OVERHEAD_BYTES
        if len(fields) * most + 2 * block_bytes <= limit:
            return False
        counted = sum([len(name) + len(value) for name, value, _ in fields])
        return counted + len(fields) * hpack.FIELD_OVERHEAD_BYTES > limit

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        """Priorities are not heeded (RFC 9113 section 5.3.2), but a stream cannot depend on itself."""
        self.spend("priorities")
        if frames.dependency(0, payload) == stream_id:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        channel = self.channels.get(stream_id)
        code = frames.unpack_long(payload)[0]
        if channel is None:
            self._refuse_idle(stream_id, "RST_STREAM")
            self.spend("resets of closed streams")
            return
        if self.has_enough(channel, code):
            return
        self.forget(channel)
        channel.break_off(StreamBroken(f"stream reset by the peer: code {code}"))
        self.on_reset(channel, code)

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.spend("settings")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings")
            if not self._unacknowledged:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "settings acknowledged that were not sent")
            self._unacknowledged -= 1
            return
        for identifier, value in frames.settings_in(payload):
            self._apply(identifier, value)
        self.reply(frames.SETTINGS_ACK)

    def _apply(self, identifier: int, value: int) -> None:
        if identifier == frames.HEADER_TABLE_SIZE:
            self._encoder.header_table_size = min(value, self.limits.encoder_table_bytes)
        elif identifier == frames.ENABLE_PUSH:
            if value > 1:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH {value}")
        elif identifier == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, f"an initial window of {value}")
            self._change_windows(value - self._initial_window)
            self._initial_window = value
        elif identifier == frames.MAX_FRAME_SIZE:
            if not frames.FRAME_BYTES <= value <= frames.LARGEST_FRAME_BYTES:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"frames of {value} bytes")
            self.largest_frame_bytes = min(value, ROOM_BYTES)

    def _change_windows(self, difference: int) -> None:
        try:
            for channel in list(self.channels.values()):
                channel.widen(difference)
        except StreamFault as fault:
            raise ConnectionFault(fault.code, "an initial window that overflows a stream's") from fault

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "nobody asked for a push")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.spend("pings")
        if flags & frames.ACK:
            self.on_pong(payload)
        else:
            self.reply(frames.ping(payload, frames.ACK))

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.spend("farewells")
        last, code = frames.unpack_long(payload)[0], frames.unpack_long(payload, 4)[0]
        self.on_goaway(last & frames.LARGEST_STREAM, code)

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        increment = frames.unpack_long(payload)[0] & frames.LARGEST_WINDOW
        if increment < _SMALLEST_UPDATE_BYTES:
            self.spend("small window updates")
        if stream_id:
            self._widen_stream(stream_id, increment)
            return
        if not increment:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a window update of nothing")
        if self.send_window + increment > frames.LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is too large")
        self.send_window += increment
        if self.send_window > 0:
            self.turns.open_window()
            self.pass_on()

    def _widen_stream(self, stream_id: int, increment: int) -> None:
        channel = self.channels.get(stream_id)
        if channel is None:
            self._refuse_idle(stream_id, "WINDOW_UPDATE")
            self.spend("updates of closed streams")
        elif increment:
            channel.widen(increment)
        else:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "a window update of nothing")


_HANDLERS: Final[Sequence[Callable[[Link, int, int, bytes], None]]] = (
    Link._on_data,
    Link._on_headers,
    Link._on_priority,
    Link._on_rst_stream,
    Link._on_settings,
    Link._on_push_promise,
    Link._on_ping,
    Link._on_goaway,
    Link._on_window_update,
    Link._on_continuation,
)

__all__ = ["MOST_CONTINUATIONS", "Limits", "Link"]
