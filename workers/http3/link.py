"""The HTTP/3 of one connection: request streams and the few others, settings, and what faults mean (RFC 9114).

Events of QUIC come in, frames go out. Rules that concern the whole connection are kept here; what requests mean is
the subclass's affair. What the client can make us remember is bounded: header blocks under way by their bytes,
streams by QUIC's limits, and all that brings nobody anything by a budget.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from workers.http1.options import ConnectionOptions
from workers.http2.hpack import Field
from workers.http3 import frames, qpack
from workers.http3.carrier import Carrier
from workers.http3.channel import RequestChannel
from workers.http3.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http3.control import ClientStream
from workers.http3.quic import ServerQuic, events
from workers.stream import StreamBroken
from workers.timers import NEVER, TimerWheel

_WORK_EARNS: Final = 8
_IS_OURS: Final = 1
_IS_ONE_WAY: Final = 2
_CONTROL: Final = b"\x00"


class Link(Carrier, ABC):
    """All methods from greenlets of the hub; `on_event` from one at a time."""

    def __init__(self, quic: ServerQuic, options: ConnectionOptions, wheel: TimerWheel) -> None:
        super().__init__(quic, options.idle_ticks, wheel)
        self.options = options
        self.channels: dict[int, RequestChannel] = {}
        """Streams on which something may still come or go."""
        self.largest_stream = -4
        """The greatest id of a request stream that was seen."""
        self.decoder = qpack.Decoder(2 * options.head_limit_bytes)
        self._others: dict[int, ClientStream] = {}
        self._roles: set[int] = set()
        self._held_bytes = 0
        self._control_id = -1

    # For the subclass

    @abstractmethod
    def on_request(self, channel: RequestChannel, fields: Sequence[Field] | None, end_stream: bool) -> None:
        """A header list, None for one that is much too long. Raises StreamFault, ConnectionFault."""

    @abstractmethod
    def on_trailers(self, channel: RequestChannel, fields: Sequence[Field] | None) -> None:
        """Raises StreamFault."""

    @abstractmethod
    def on_reset(self, channel: RequestChannel) -> None:
        """The client gave up the stream; it is forgotten already."""

    # Beginning

    def announce(self) -> None:
        """Open our control stream with the settings. There is no dynamic table, so there are no other streams."""
        self._control_id = self.quic.get_next_available_stream_id(is_unidirectional=True)
        values = {frames.MAX_FIELD_SECTION_SIZE: self.options.head_limit_bytes}
        self._say(_CONTROL + frames.settings(values))

    def _say(self, data: bytes) -> None:
        self.quic.put(
            self._control_id, data, False
        )  # if the client stopped it, that is the next thing to be heard
        self.touch()

    def say_goaway(self, first_refused: int) -> None:
        """Request streams from this id on are not served."""
        if self._control_id >= 0:
            self._say(frames.frame(frames.GOAWAY, frames.integer(first_refused)))

    # Receiving

    def on_event(self, event: object) -> None:
        """Take what QUIC has to say about streams. Raises ConnectionFault."""
        if isinstance(event, events.StreamDataReceived):
            if event.stream_id & _IS_ONE_WAY:
                self._on_other(event.stream_id, event.data, event.end_stream)
            else:
                self._on_request_data(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, events.StreamReset):
            self._on_stream_reset(event.stream_id)
        elif isinstance(event, events.StopSendingReceived):
            self._on_stop(event.stream_id)

    def _on_request_data(self, stream_id: int, data: bytes, is_end: bool) -> None:
        channel = self.channels.get(stream_id)
        if channel is None:
            self.largest_stream = max(self.largest_stream, stream_id)
            channel = self.channels[stream_id] = RequestChannel(self, stream_id, 2 * self.options.head_limit_bytes)
            channel.read_deadline = self.wheel.tick + self.options.read_ticks
            self.wheel.schedule(channel, channel.read_deadline)
        channel.has_ended = is_end
        try:
            self._read(channel, data, is_end)
        except StreamFault as fault:
            self.fail(channel, fault)
        if channel.is_declined:
            self._forget(channel)

    def _read(self, channel: RequestChannel, data: bytes, is_end: bool) -> None:
        reader = channel.reader
        if channel.is_declined or channel.broken is not None:
            self.credit(len(data))
            return
        held, idle_frames = reader.held_bytes, reader.idle_frames
        found = list(reader.feed(data))
        self._held_bytes += reader.held_bytes - held
        if self._held_bytes > 2 * self.options.head_limit_bytes:
            raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, "too much of unfinished header blocks")
        if is_end and not reader.is_between_frames:
            raise ConnectionFault(ErrorCode.FRAME_ERROR, "the stream ended within a frame")
        body_bytes = sum([len(payload) for kind, payload in found if kind == frames.DATA])
        channel.count(len(data) - body_bytes)
        if body_bytes:
            self.calm.earn()
        elif not any(kind == frames.HEADERS for kind, _ in found):
            self.spend("frames without content")
        if reader.idle_frames > idle_frames:
            self.spend("frames without content", reader.idle_frames - idle_frames)
        self._pass_on(channel, found, is_end)

    def _pass_on(self, channel: RequestChannel, found: Sequence[tuple[int, bytes]], is_end: bool) -> None:
        last = len(found) - 1
        for position, (kind, payload) in enumerate(found):
            if channel.is_declined or channel.broken is not None:
                self.credit(len(payload) if kind == frames.DATA else 0)
                continue
            try:
                if kind == frames.DATA:
                    channel.receive(payload)
                else:
                    self._on_block(channel, payload, is_end and position == last)
            except StreamFault as fault:  # what follows it still counts against the connection's window
                self.fail(channel, fault)
        if is_end and not (channel.remote_ended or channel.is_declined or channel.broken is not None):
            if channel.reader.part is frames.Part.NOTHING:
                raise StreamFault(ErrorCode.REQUEST_INCOMPLETE, "the stream ended before a request")
            channel.end_remote()

    def _on_block(self, channel: RequestChannel, block: bytes, is_end: bool) -> None:
        self.calm.earn(_WORK_EARNS)
        fields: Sequence[Field] | None
        try:
            fields = self.decoder.decode(channel.id, block)
        except qpack.OversizedList:
            fields = None
        if channel.has_head:
            self.on_trailers(channel, fields)
        else:
            channel.has_head = True
            channel.read_deadline = NEVER
            self.on_request(channel, fields, is_end)

    def _on_other(self, stream_id: int, data: bytes, is_end: bool) -> None:
        """A stream for control or header tables, or of a kind that we need not know."""
        stream = self._others.get(stream_id)
        if stream is None:
            self.spend("unidirectional streams")
            stream = self._others[stream_id] = ClientStream(self.decoder, self.encoder, self._roles, self.spend)
        self.credit(len(data))
        self.quic.widen(stream_id, len(data))
        is_known = stream.feed(data, is_end)
        if is_end:
            del self._others[stream_id]
        elif not is_known and not stream.is_stopped:
            stream.is_stopped = True
            self.quic.stop_stream(stream_id, ErrorCode.STREAM_CREATION_ERROR)
        self.touch()

    def _on_stream_reset(self, stream_id: int) -> None:
        self.credit(self.quic.undelivered_bytes(stream_id))
        if stream_id & _IS_ONE_WAY:
            stream = self._others.pop(stream_id, None)
            if stream is not None:
                stream.end()
            self.spend("resets of unidirectional streams")
            return
        channel = self.channels.get(stream_id)
        if channel is None:  # it never got as far as a request
            self.largest_stream = max(self.largest_stream, stream_id)
            self.quic.reset_stream(stream_id, ErrorCode.REQUEST_CANCELLED)
            self.spend("resets without a request")
            self.touch()
            return
        channel.has_ended = True
        if not channel.local_ended:
            self.quic.reset_stream(stream_id, ErrorCode.REQUEST_CANCELLED)
            self.touch()
        self._break(channel, "stream reset by the client")

    def _on_stop(self, stream_id: int) -> None:
        """The client wants nothing more from us: QUIC has reset our side of the stream."""
        if stream_id & _IS_OURS:
            raise ConnectionFault(ErrorCode.CLOSED_CRITICAL_STREAM, "our control stream was stopped")
        channel = self.channels.get(stream_id)
        if channel is not None and not channel.local_ended:
            if not channel.has_ended:
                self.refuse_more(channel)
            self._break(channel, "the client takes no more")

    def _break(self, channel: RequestChannel, reason: str) -> None:
        self._forget(channel)
        channel.stop(StreamBroken(reason))
        self.on_reset(channel)

    def fail(self, channel: RequestChannel, fault: StreamFault) -> None:
        """Answer a fault of one stream."""
        self.spend("faulty streams")
        if channel.broken is None:
            channel.reset(fault.code)
            self.on_reset(channel)

    # The end of streams

    def abandon(self, channel: RequestChannel, code: ErrorCode) -> None:
        """Reset our side and stop the client's."""
        if not channel.local_ended:
            self.quic.reset_stream(channel.id, code)
            channel.local_ended = True
        if not channel.has_ended:
            self.refuse_more(channel, code)
        self._forget(channel)
        self.touch()

    def refuse_more(self, channel: RequestChannel, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Tell the client to send no more; what is under way is thrown away."""
        channel.is_declined = True
        self.quic.stop_stream(channel.id, code)
        self.touch()

    def forget(self, channel: RequestChannel) -> None:
        """The answer is complete, or will never be."""
        self._forget(channel)

    def _forget(self, channel: RequestChannel) -> None:
        """Nobody here has to do with it any more; the number is kept for as long as something may come for it."""
        self._held_bytes -= channel.reader.held_bytes
        channel.reader = frames.RequestReader(0)
        if channel.has_ended:
            self.channels.pop(channel.id, None)
        else:
            channel.is_declined = True
        if channel.scheduled < NEVER:
            self.wheel.forget(channel)

    def break_all(self, reason: str) -> None:
        """The connection is gone: nothing goes on any stream."""
        for channel in list(self.channels.values()):
            channel.has_ended = True
            self._forget(channel)
            channel.stop(StreamBroken(reason))
        self._others.clear()
