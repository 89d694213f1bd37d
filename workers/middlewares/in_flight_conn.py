"""InFlightConn of TCP routers: at most so many connections of one client address at a time, over all workers."""

from __future__ import annotations

from workers.shared import CellsBusy, SharedState


class InFlightConn:
    """`key` stands for router, entry point, middleware and options: what differs in it counts apart.

    A limit of 0 refuses every connection.
    """

    __slots__ = ("_gauge", "_limit")

    def __init__(self, shared: SharedState, key: bytes, limit: int) -> None:
        self._gauge = shared.gauge(key)
        self._limit = limit

    def enter(self, ip: str) -> bool:
        """May it connect? Each True must be followed by one `leave`. Not where that cannot be asked."""
        try:
            return self._gauge.enter(ip.encode(), self._limit)
        except CellsBusy:
            return False

    def leave(self, ip: str) -> None:
        """Its connection is over."""
        self._gauge.leave(ip.encode())
