"""A close that lets the peer read what was written: unread bytes in our buffer would turn it into a reset."""

from __future__ import annotations

from typing import Final

import gevent

from workers.stream import Stream
from workers.timers import TimerWheel

LINGER_SECONDS: Final = 0.5
"""How long a closing connection still takes bytes."""
LINGER_BYTES: Final = 1 << 20


def linger(stream: Stream) -> None:
    """Stop writing and take bytes until the peer ends, within bounds; the close is the caller's.

    Raises StreamError as reading does.
    """
    if stream.closed:
        return
    stream.shutdown_write()
    stream.set_read_deadline(stream.wheel.tick + TimerWheel.ticks(LINGER_SECONDS))
    left = LINGER_BYTES
    while left > 0:
        data = stream.read()
        if not data:
            return
        left -= len(data)
    gevent.sleep(LINGER_SECONDS)  # who sends without end blocks now, and has time to find the answer
