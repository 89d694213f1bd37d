"""What all streams of an HTTP/3 connection share: room for answers, whose turn it is, credit, and patience.

The base of link.py, which reads streams. Answers are queued in QUIC until they are acknowledged; senders wait here
when there is no room for more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub
from greenlet import greenlet

from workers.http2.budget import Budget
from workers.http2.hpack import Field
from workers.http3 import qpack
from workers.http3.codes import ConnectionFault, ErrorCode
from workers.http3.quic import ServerQuic
from workers.stream import StreamError
from workers.timers import TimerWheel

if TYPE_CHECKING:
    from workers.http3.channel import RequestChannel

ROOM_BYTES: Final = 1 << 19
"""So much of all answers may wait to be sent and acknowledged before their senders have to."""
MOST_QUEUED_BYTES: Final = 4 * ROOM_BYTES
"""So much is queued only for a client that asks for answers and takes none."""
CALM_BURST: Final = 10_000
CALM_PER_SECOND: Final = 1_000.0


class Carrier(ABC):
    """All methods from greenlets of the hub."""

    keeps_unread = False
    """See workers/http2/carrier.py: what came on a stream that broke is dropped."""

    def __init__(self, quic: ServerQuic, stall_ticks: int, wheel: TimerWheel) -> None:
        """`stall_ticks`: a client that takes nothing for so long is given up."""
        hub: Any = get_hub()
        self.quic = quic
        self.wheel = wheel
        self.stall_ticks = stall_ticks
        self.calm = Budget(wheel, CALM_BURST, CALM_PER_SECOND)
        self.encoder = qpack.Encoder()
        self._waiting: deque[RequestChannel] = deque()
        self._loop: Any = hub.loop
        self.park: Callable[[], StreamError | None] = greenlet.switch.__get__(hub)
        """Wait until `wake`; what was given to it comes back."""

    @abstractmethod
    def touch(self) -> None:
        """There may be something to be sent."""

    def encode(self, stream_id: int, fields: Sequence[Field]) -> bytes:
        return self.encoder.encode(stream_id, fields)

    def has_room(self) -> bool:
        """May anything be queued now?"""
        return self.quic.queued_bytes() < ROOM_BYTES

    def wait(self, channel: RequestChannel) -> None:
        """Its sender is to be woken when there may be room for it."""
        if channel not in self._waiting:
            self._waiting.append(channel)

    def leave_queue(self, channel: RequestChannel) -> None:
        if channel in self._waiting:
            self._waiting.remove(channel)

    def pass_on(self) -> None:
        """Wake senders, the longest waiting ones first, as far as there is room for a turn of each."""
        if not self.has_room():
            return  # asked once, for it costs a look at every stream: those who are woken write later on
        for channel in list(self._waiting):
            if channel.wanted_bytes == 0 or self.quic.send_window(channel.id) > 0:
                self.leave_queue(channel)
                self._waiting.append(channel)
                channel.wake_sender()

    def wake(self, waiting: greenlet, reason: StreamError | None = None) -> None:
        """Let a parked greenlet go on in this turn of the loop or the next."""
        self._loop.run_callback(waiting.switch, reason)

    def credit(self, size: int) -> None:
        """So many received bytes are passed on or thrown away: the client may send as many more."""
        if size:
            self.quic.credit(size)
            self.touch()

    def spend(self, what: str, amount: int = 1) -> None:
        """Account for something that brings nobody anything. Raises ConnectionFault."""
        if not self.calm.spend(amount):
            raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, f"too many {what}")
