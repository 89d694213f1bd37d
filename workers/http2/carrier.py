"""What both directions of an HTTP/2 connection share: its streams, windows and turns, its outbox and its patience.

The base of link.py, which reads frames. What the peer can make us remember or answer is bounded here: answers in
bytes queued, streams that are over by number, and all that brings nobody anything by a budget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from gevent import get_hub
from greenlet import greenlet

from workers.http1.options import ConnectionOptions
from workers.http2 import frames, hpack
from workers.http2.budget import Budget
from workers.http2.channel import STREAM_WINDOW_BYTES, Channel
from workers.http2.codes import ConnectionFault, ErrorCode, StreamFault
from workers.http2.hpack import Field
from workers.http2.outbox import ROOM_BYTES, Outbox
from workers.http2.turns import Turns
from workers.stream import Stream, StreamBroken, StreamError
from workers.timers import NEVER, TimerWheel

WINDOW_BYTES: Final = 1 << 20
"""What the peer may send on all streams together before we have read any of it."""
_UPDATE_BYTES: Final = WINDOW_BYTES // 4
MOST_QUEUED_BYTES: Final = 4 * ROOM_BYTES
"""So much is queued only for a peer that asks for answers and does not read them."""
CALM_BURST: Final = 10_000
CALM_PER_SECOND: Final = 1_000.0
_REMEMBERED_STREAMS: Final = 256


class Limits:
    """What one side allows its peer. Immutable."""

    __slots__ = ("encoder_table_bytes", "head_bytes", "stall_ticks", "table_bytes")

    def __init__(
        self,
        head_bytes: int,
        stall_ticks: int = NEVER,
        table_bytes: int = hpack.DEFAULT_TABLE_BYTES,
        encoder_table_bytes: int = hpack.DEFAULT_TABLE_BYTES,
    ) -> None:
        """`head_bytes`: of one header list, as RFC 9113 counts. `stall_ticks`: a peer that takes nothing for so
        long is given up."""
        self.head_bytes = head_bytes
        self.stall_ticks = stall_ticks
        self.table_bytes = table_bytes
        self.encoder_table_bytes = encoder_table_bytes

    @classmethod
    def of(cls, options: ConnectionOptions) -> Limits:
        """What an entry point allows its clients."""
        return cls(
            options.head_limit_bytes,
            options.idle_ticks,
            options.max_decoder_table_bytes,
            options.max_encoder_table_bytes,
        )


class Carrier:
    """All methods from greenlets of the hub."""

    keeps_unread = False
    """May what came on a stream still be read when the stream has broken?"""

    def __init__(self, stream: Stream, limits: Limits) -> None:
        hub: Any = get_hub()
        self.stream = stream
        self.wheel: TimerWheel = stream.wheel
        self.limits = limits
        self.stall_ticks = limits.stall_ticks
        self.channels: dict[int, Channel] = {}
        """Streams on which something may still come or go."""
        self.turns = Turns()
        self.send_window = frames.DEFAULT_WINDOW
        self.receive_window = frames.DEFAULT_WINDOW
        self.largest_frame_bytes = frames.FRAME_BYTES
        self.largest_stream = 0
        """The newest stream that the peer has opened."""
        self.outbox = Outbox(stream, limits.stall_ticks, self.pass_on)
        self.calm = Budget(self.wheel, CALM_BURST, CALM_PER_SECOND)
        self._initial_window = frames.DEFAULT_WINDOW
        self._unannounced = 0
        self._unacknowledged = 0
        self._encoder = hpack.new_encoder()
        if limits.encoder_table_bytes < hpack.DEFAULT_TABLE_BYTES:
            self._encoder.header_table_size = limits.encoder_table_bytes
        self._ended: deque[int] = deque(maxlen=_REMEMBERED_STREAMS)
        self._reset_by_us: deque[int] = deque(maxlen=_REMEMBERED_STREAMS)
        self._loop: Any = hub.loop
        self.park: Callable[[], StreamError | None] = greenlet.switch.__get__(hub)
        """Wait until `wake`; what was given to it comes back."""

    def wake(self, waiting: greenlet, reason: StreamError | None = None) -> None:
        """Let a parked greenlet go on in this turn of the loop or the next."""
        self._loop.run_callback(waiting.switch, reason)

    def announce(self, values: Sequence[tuple[int, int]]) -> None:
        """Send the first SETTINGS; the windows of connection and streams are added."""
        own = [*values, (frames.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES)]
        if self.limits.table_bytes != hpack.DEFAULT_TABLE_BYTES:
            own.append((frames.HEADER_TABLE_SIZE, self.limits.table_bytes))
        increment = WINDOW_BYTES - self.receive_window
        self.outbox.put(frames.settings(own) + frames.window_update(0, increment))
        self._unacknowledged += 1
        self.receive_window = WINDOW_BYTES

    def open(self, stream_id: int) -> Channel:
        """Begin a stream."""
        channel = self.channels[stream_id] = Channel(self, stream_id, self._initial_window)
        return channel

    def forget(self, channel: Channel, ours: bool = False) -> None:
        """A stream is over. `ours`: by a reset of ours, so the peer may not know yet."""
        if self.channels.pop(channel.id, None) is not None:
            (self._reset_by_us if ours else self._ended).append(channel.id)
            if channel.scheduled < NEVER:
                self.wheel.forget(channel)

    def break_all(self, reason: str) -> list[Channel]:
        """The connection is gone: nothing goes on any stream. Returns those that were open."""
        broken = list(self.channels.values())
        for channel in broken:
            self.forget(channel)
            channel.break_off(StreamBroken(reason))
        return broken

    # Sending

    def encode(self, fields: list[Field]) -> bytes:
        """A header block; it must be put into the outbox before anything else is encoded."""
        return self._encoder.encode(fields)

    def has_room(self, has_turn: bool = False) -> bool:
        """May data be queued now, by one who has waited for it or where nobody waits?"""
        return self.outbox.size < ROOM_BYTES and (has_turn or not self.turns)

    def pass_on(self) -> None:
        """Give the next sender that waits its turn, if there is anything to be had."""
        if self.turns and self.outbox.size < ROOM_BYTES:
            self.turns.give()

    def credit(self, size: int) -> None:
        """So many received bytes are read or thrown away: the peer may send as many more."""
        self._unannounced += size
        if self._unannounced >= _UPDATE_BYTES:
            self.outbox.put(frames.window_update(0, self._unannounced))
            self.receive_window += self._unannounced
            self._unannounced = 0

    # What the peer is told, and what it is not allowed

    def reply(self, frame: bytes) -> None:
        """Queue an answer that the peer asked for. Raises ConnectionFault if it reads none of them."""
        if self.outbox.size > MOST_QUEUED_BYTES:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many answers are not read")
        self.outbox.put(frame)

    def spend(self, what: str) -> None:
        """Account for a frame that brings nobody anything. Raises ConnectionFault."""
        if not self.calm.spend():
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")

    def closed(self, stream_id: int, what: str, *, is_fatal: bool = False) -> None:
        """A frame for a stream that is not open. Raises what is due; returns if it is to be ignored."""
        self._refuse_idle(stream_id, what)
        if stream_id in self._reset_by_us:
            self.spend("frames on closed streams")
        elif is_fatal:
            code = ErrorCode.STREAM_CLOSED if stream_id in self._ended else ErrorCode.PROTOCOL_ERROR
            raise ConnectionFault(code, f"{what} on closed stream {stream_id}")
        else:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, f"{what} on a closed stream")

    def _refuse_idle(self, stream_id: int, what: str) -> None:
        """Only clients open streams, with odd numbers: nothing is promised (RFC 9113 section 5.1.1)."""
        if stream_id > self.largest_stream or not stream_id & 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on idle stream {stream_id}")
