"""Bytes both ways after a protocol switch, without limits and without looking at them.

An end on one side is passed on as an end of writing on the other, so that what is still under way arrives; the
tunnel is over when both directions have ended, or at once when one of them breaks.
"""

from __future__ import annotations

from typing import Any

from gevent import get_hub
from greenlet import getcurrent, greenlet

from workers.stream import Stream, StreamError
from workers.timers import NEVER


class Tunnel:
    """Two streams joined. Neither may be used by anybody else while `run` runs."""

    __slots__ = ("_client", "_ended", "_hub", "_upstream", "_waiting")

    def __init__(self, client: Stream, upstream: Stream) -> None:
        self._client = client
        self._upstream = upstream
        self._hub: Any = get_hub()
        self._ended = False
        self._waiting: greenlet | None = None
        for stream in (client, upstream):
            stream.on_unexpected = None
            stream.set_read_deadline(NEVER)
            stream.set_write_deadline(NEVER)

    def run(self) -> None:
        """Carry until it is over. The streams are left to their owners, to be closed."""
        self._hub.loop.run_callback(greenlet(self._to_server, self._hub).switch)
        _carry(self._upstream, self._client)
        if not self._ended:
            self._waiting = getcurrent()
            self._hub.switch()

    def _to_server(self) -> None:
        _carry(self._client, self._upstream)
        self._ended = True
        if self._waiting is not None:
            self._hub.loop.run_callback(self._waiting.switch)


def _carry(source: Stream, target: Stream) -> None:
    try:
        while data := source.read():
            target.write(data)
        target.shutdown_write()
    except StreamError:
        source.shutdown()
        target.shutdown()
