"""One HTTP/2 stream, for either role: flow control both ways, its body, and where greenlets wait for it.

Bytes received stay here until somebody reads them; only then may the peer send more, so a stream holds at most
its window. Bytes to send wait in the greenlet that sends them. At most one greenlet reads and at most one
sends. States follow from three flags (RFC 9113 section 5.1): `remote_ended`, `local_ended`, and `broken`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenlet import getcurrent, greenlet

from workers.http2 import frames
from workers.http2.codes import ErrorCode, StreamFault
from workers.http2.hpack import Field
from workers.stream import StreamBroken, StreamCancelled, StreamError, StreamTimeout
from workers.timers import NEVER

if TYPE_CHECKING:
    from workers.http2.carrier import Carrier

STREAM_WINDOW_BYTES: Final = 1 << 19
"""What the peer may send on one stream before we have read any of it."""
_UPDATE_BYTES: Final = STREAM_WINDOW_BYTES // 4
TURN_BYTES: Final = 16384
"""What a stream may send before others who wait have their turn."""


class Channel:
    """Made by a Link. Methods of the lower half belong to the link and run in its reader."""

    __slots__ = (
        "_buffer",
        "_declined_until",
        "_has_turn",
        "_link",
        "_reader",
        "_sender",
        "_sender_until",
        "_unannounced",
        "broken",
        "expected_bytes",
        "id",
        "local_ended",
        "read_deadline",
        "receive_window",
        "received_bytes",
        "remote_ended",
        "scheduled",
        "send_window",
        "write_deadline",
    )

    def __init__(self, link: Carrier, stream_id: int, send_window: int) -> None:
        self._link = link
        self.id = stream_id
        self.send_window = send_window
        self.receive_window = STREAM_WINDOW_BYTES
        self.remote_ended = self.local_ended = False
        self.broken: StreamError | None = None
        """Why nothing goes any more: reset by either side, or the connection is gone."""
        self.expected_bytes = -1
        """The Content-Length that the body must have; -1 if there was none."""
        self.received_bytes = 0
        self._buffer: bytes | bytearray = b""
        self._unannounced = 0
        self._reader: greenlet | None = None
        self._sender: greenlet | None = None
        self._has_turn = False
        self.read_deadline = self.write_deadline = self._sender_until = self.scheduled = NEVER
        self._declined_until = NEVER

    # Reading the body

    @property
    def is_read(self) -> bool:
        """Has all of the body been read?"""
        return self.remote_ended and not self._buffer

    def take(self) -> bytes:
        """What has arrived, without waiting."""
        if not self._buffer:
            return b""
        data, self._buffer = bytes(self._buffer), b""
        size = len(data)
        self._link.credit(size)
        if not self.remote_ended and self.broken is None:
            self._unannounced += size
            if self._unannounced >= _UPDATE_BYTES:
                self._announce()
        return data

    def _announce(self) -> None:
        self._link.outbox.put(frames.window_update(self.id, self._unannounced))
        self.receive_window += self._unannounced
        self._unannounced = 0

    def read(self) -> bytes:
        """Wait for more of the body; b"" at its end. Raises StreamTimeout, StreamBroken, StreamCancelled."""
        while not self._buffer and not self.remote_ended:
            if self.broken is not None:
                raise StreamBroken(str(self.broken))
            self._reader = getcurrent()
            self._wait(self.read_deadline)
        return self.take()

    def cancel_read(self) -> None:
        """Wake the greenlet that reads, if any, with StreamCancelled."""
        self._wake_reader(StreamCancelled("cancelled"))

    # Sending

    def wait_for_room(self) -> None:
        """Until there is room for a head, in turn with the other streams. Raises StreamTimeout, StreamBroken."""
        link = self._link
        if not link.has_room():
            self._wait_for_turn(0)
            self._has_turn = False
            link.pass_on()

    def send_head(self, fields: list[Field], end_stream: bool, data: bytes = b"") -> None:
        """Header fields (interim, final or trailers) and the first of the body, which may be empty.

        Both go in one piece where they fit. The head goes at once: streams are opened in the order of their
        numbers. Raises StreamTimeout, StreamBroken.
        """
        if not self.put_head(fields, end_stream, data):
            self.put_head(fields, False)
            self.send(data, end_stream)

    def put_head(self, fields: list[Field], end_stream: bool, data: bytes = b"") -> bool:
        """As send_head, but never waits; False, with nothing sent, if it does not fit. Raises StreamBroken."""
        link, size = self._link, len(data)
        if self.broken is not None:
            raise StreamBroken(str(self.broken))
        if size and (size > self.send_window or size > link.send_window or size > link.largest_frame_bytes):
            return False
        end_flag = frames.END_STREAM if end_stream else 0
        head = frames.header_frames(
            self.id, link.encode(fields), 0 if size else end_flag, link.largest_frame_bytes
        )
        if size:
            self.send_window -= size
            link.send_window -= size
            head += frames.pack_head(size << 8 | frames.DATA, end_flag, self.id) + data
        link.outbox.put(head)
        self.local_ended = end_stream
        return True

    def send(self, data: bytes, end_stream: bool) -> None:
        """More of the body, as fast as the peer takes it. Raises StreamTimeout, StreamBroken."""
        if self.broken is not None:
            raise StreamBroken(str(self.broken))
        link, size = self._link, len(data)
        if size <= self.send_window and size <= link.send_window and link.has_room():
            self._put(data, end_stream)
        elif size or end_stream:
            self._send_slowly(data, end_stream)

    def _put(self, data: bytes | memoryview, end_stream: bool) -> None:
        link, size = self._link, len(data)
        self.send_window -= size
        link.send_window -= size
        largest = link.largest_frame_bytes
        pieces = frames.data_frames(self.id, data, end_stream, largest)
        link.outbox.put_all(pieces, size + frames.HEAD_BYTES * (len(pieces) // 2))
        self.local_ended = end_stream

    def _send_slowly(self, data: bytes, end_stream: bool) -> None:
        """Piece by piece, in turn with the other streams."""
        view, link = memoryview(data), self._link
        try:
            while True:
                limit = self._wait_for_turn(len(view))
                piece, view = view[:limit], view[limit:]
                self._put(piece, end_stream and not view)
                self._has_turn = False
                if not view:
                    return
                link.pass_on()
        finally:
            self._has_turn = False
            link.pass_on()

    def _wait_for_turn(self, wanted: int) -> int:
        """How many bytes may go now (0 only if none are wanted). Raises StreamTimeout, StreamBroken."""
        link, turns = self._link, self._link.turns
        while True:
            if self.broken is not None:
                raise StreamBroken(str(self.broken))
            if wanted and (self.send_window <= 0 or link.send_window <= 0):
                if self.send_window > 0:
                    turns.wait_for_window(self)
                self._give_turn_back()
                self._park_sender()
            elif not link.has_room(self._has_turn):
                turns.wait_for_room(self)
                self._has_turn = False
                self._park_sender()
            else:
                most = TURN_BYTES if turns else frames.DEFAULT_WINDOW
                return min(wanted, self.send_window, link.send_window, most) if wanted else 0

    def _give_turn_back(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._link.pass_on()

    def _park_sender(self) -> None:
        self._sender = getcurrent()
        link = self._link
        self._sender_until = min(self.write_deadline, link.wheel.tick + link.stall_ticks)
        try:
            self._wait(self._sender_until)
        finally:
            link.turns.leave(self)

    def reset(self, code: ErrorCode) -> None:
        """End both directions at once with RST_STREAM; whoever waits is woken."""
        if self.broken is None:
            self._link.outbox.put(frames.rst_stream(self.id, code))
            self._link.forget(self, ours=True)
            self.break_off(StreamBroken(f"stream reset: {code.name}"))

    def stop_sending(self) -> None:
        """The peer takes no more; what it has sent can still be read."""
        self.local_ended = True
        self._wake_sender(StreamBroken("the peer takes no more"))

    # Waiting

    def _wait(self, deadline: int) -> None:
        link = self._link
        if deadline < self.scheduled:
            link.wheel.schedule(self, deadline)
        reason = link.park()
        if reason:
            raise reason

    def decline(self, until: int) -> None:
        """All is said: what still comes is thrown away, and at the tick `until` the peer is told to stop.

        Not at once: clients have taken a reset behind a complete answer for its failure.
        """
        self.discard()
        self._declined_until = until
        if until < self.scheduled:
            self._link.wheel.schedule(self, until)

    def on_tick(self, tick: int) -> int:
        """For the wheel: what waits too long is woken."""
        due = self._declined_until
        if due <= tick:
            self.reset(ErrorCode.NO_ERROR)
            return NEVER
        if self._reader is not None:
            if self.read_deadline <= tick:
                self._wake_reader(StreamTimeout("read"))
            else:
                due = min(due, self.read_deadline)
        if self._sender is not None:
            if self._sender_until <= tick:
                self._wake_sender(StreamTimeout("write"))
            else:
                due = min(due, self._sender_until)
        return due

    def _wake_reader(self, reason: StreamError | None = None) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            self._link.wake(reader, reason)

    def _wake_sender(self, reason: StreamError | None = None) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            self._link.wake(sender, reason)

    # For the link

    def give_turn(self) -> bool:
        """Let the sender go on if it still waits."""
        if self._sender is None:
            return False
        self._has_turn = True
        self._wake_sender()
        return True

    def widen(self, increment: int) -> None:
        """The peer takes so many bytes more (fewer, after a change of its settings). Raises StreamFault."""
        if self.send_window + increment > frames.LARGEST_WINDOW:
            raise StreamFault(self.id, ErrorCode.FLOW_CONTROL_ERROR, "window too large")
        was_shut = self.send_window <= 0
        self.send_window += increment
        if was_shut and self.send_window > 0:
            self._wake_sender()

    def receive(self, data: bytes, padding_bytes: int, end_stream: bool) -> None:
        """A DATA frame. Raises StreamFault, and has kept nothing of it then."""
        size, expected = len(data), self.expected_bytes
        self.receive_window -= size + padding_bytes
        self.received_bytes += size
        if self.receive_window < 0:
            raise StreamFault(self.id, ErrorCode.FLOW_CONTROL_ERROR, "more than the window")
        if expected >= 0 and (self.received_bytes > expected or (end_stream and self.received_bytes != expected)):
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "the body is not as long as announced")
        if self._declined_until < NEVER:
            self._link.credit(size + padding_bytes)
            if end_stream:
                self._link.forget(self)
            return
        if size:
            if not self._buffer:
                self._buffer = data
            else:
                if not isinstance(self._buffer, bytearray):
                    self._buffer = bytearray(self._buffer)
                self._buffer += data
        if padding_bytes:
            self._link.credit(padding_bytes)
            self._unannounced += padding_bytes
        self.remote_ended = end_stream
        self._wake_reader()

    def end_remote(self) -> None:
        """The peer has said all. Raises StreamFault if that is less than announced."""
        if self.expected_bytes >= 0 and self.received_bytes != self.expected_bytes:
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "the body is not as long as announced")
        self.remote_ended = True
        if self._declined_until < NEVER:
            self._link.forget(self)
        self._wake_reader()

    def break_off(self, reason: StreamError) -> None:
        """Nothing goes any more; what was received and not read is dropped, unless the link keeps it."""
        if self.broken is not None:
            return
        self.broken = reason
        if not self._link.keeps_unread:
            self.discard()
        self._wake_reader(StreamBroken(str(reason)))
        self._wake_sender(StreamBroken(str(reason)))

    def discard(self) -> None:
        """Nobody will read any more."""
        if self._buffer:
            self._link.credit(len(self._buffer))
            self._buffer = b""

    def __repr__(self) -> str:
        state = (
            "broken" if self.broken else f"{'-' if self.remote_ended else '<'}{'-' if self.local_ended else '>'}"
        )
        return f"<Channel {self.id} {state} {len(self._buffer)} unread, window {self.send_window}>"
