"""Bytes both ways, without limits and without looking at them: after a protocol switch, and for TCP routers.

An end on one side is passed on as an end of writing on the other, so that what is still under way arrives; the
tunnel is over when both directions have ended, or at once when one of them breaks.
"""

from __future__ import annotations

from typing import Any

from gevent import get_hub
from greenlet import getcurrent, greenlet

from workers import greenlets
from workers.splice import SpliceRefused, move_bulk
from workers.stream import READ_BYTES, Stream, StreamError
from workers.timers import NEVER, TimerWheel


class Tunnel:
    """Two streams joined. Neither may be used by anybody else while `run` runs."""

    __slots__ = ("_client", "_delay_seconds", "_directions", "_hub", "_upstream", "_waiting")

    def __init__(self, client: Stream, upstream: Stream, delay_seconds: float = -1) -> None:
        """`delay_seconds`: how long a side may still send after the other has ended; negative for no limit.

        With 0 what has arrived by then is passed on and nothing else.
        """
        self._client = client
        self._upstream = upstream
        self._delay_seconds = delay_seconds
        self._hub: Any = get_hub()
        self._directions = 2
        """How many still carry."""
        self._waiting: greenlet | None = None
        for stream in (client, upstream):
            stream.on_unexpected = None
            stream.set_read_deadline(NEVER)
            stream.set_write_deadline(NEVER)

    def run(self) -> None:
        """Carry until it is over. The streams are left to their owners, to be closed."""
        greenlets.start(Tunnel._to_server, self)
        self._carry(self._upstream, self._client)
        if self._directions:
            self._waiting = getcurrent()
            self._hub.switch()

    def _to_server(self) -> None:
        try:
            self._carry(self._client, self._upstream)
        finally:  # also of what nobody has thought of: the other one must not wait for ever
            if self._waiting is not None:
                self._hub.loop.run_callback(self._waiting.switch)

    def _carry(self, source: Stream, target: Stream) -> None:
        try:
            _copy(source, target)
        except StreamError:
            source.shutdown()
            target.shutdown()
        else:
            if self._directions > 1:  # else the close that follows says it
                self._end(target)
        finally:
            self._directions -= 1

    def _end(self, other: Stream) -> None:
        """Nothing more comes for `other`; how long may the other direction go on?"""
        if self._delay_seconds == 0:
            other.shutdown_and_drain()
            return
        other.shutdown_write()
        if self._delay_seconds > 0:
            other.set_read_deadline(other.wheel.tick + TimerWheel.ticks(self._delay_seconds))


def _copy(source: Stream, target: Stream) -> None:
    """Until the end of `source`; raises StreamError."""
    is_plain = may_splice = type(source) is Stream and type(target) is Stream
    while True:
        data, sent = source.pass_on(target) if is_plain else (source.read(), 0)
        if not data:
            return
        target.write(memoryview(data)[sent:] if sent else data)
        if may_splice and len(data) == READ_BYTES:
            try:
                move_bulk(source, target)
            except SpliceRefused:
                may_splice = False
