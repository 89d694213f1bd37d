"""Watches every request of the worker's entry points, for metrics and access log.

`begin` notes what handlers may change before anybody asks for it; `end` reads what they left in the note. Both
run for every request: whatever is the same for many was made before. Where neither metrics nor access log are
configured there is no observer at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from time import perf_counter
from typing import Final

from config.static import EntryPoint, StaticConfiguration
from workers.access_log import AccessLog
from workers.exchange import Exchange, Note, ResponseHead
from workers.headers import MANAGED
from workers.metrics import Metrics, protocol_label
from workers.routing.route import COUNTED, LOGGED
from workers.shared import SharedState
from workers.visibility import unmatched_visibility

CLIENT_LEFT: Final = 499
"""The status of a request whose client did not wait for the answer."""


class Observers:
    """What a worker observes with, one for all its entry points. After the fork only."""

    def __init__(
        self,
        static: StaticConfiguration,
        shared: SharedState,
        log: logging.Logger,
        live: Callable[[], Collection[str]],
        *,
        serves: bool = True,
    ) -> None:
        """`live` gives the names of routers and services that exist. `serves` False: no log file is touched."""
        self.metrics: Metrics | None = None
        self.access_log: AccessLog | None = None
        prometheus = static.metrics.prometheus if static.metrics is not None else None
        if prometheus is not None:
            region = shared.counters.region(shared.slot_index)
            self.metrics = Metrics(prometheus, region, live)
            for name, point in static.entry_points.items():
                if point.protocol == "tcp":
                    self.metrics.set_open(name, 0)
        if static.access_log is not None and serves:
            self.access_log = AccessLog.opened(static.access_log, shared, log)

    def for_entry_point(self, name: str, options: EntryPoint) -> EntryPointObserver | None:
        """None where nobody wants to know."""
        if self.metrics is None and self.access_log is None:
            return None
        return EntryPointObserver(name, options, self.metrics, self.access_log)

    def reopen(self) -> None:
        """The log file may have been moved: go on in a new one at its path."""
        if self.access_log is not None:
            self.access_log.reopen()

    def close(self) -> None:
        """The worker is about to end: from now on every line is written at once."""
        if self.access_log is not None:
            self.access_log.close()


class EntryPointObserver:
    """An Observer (workers/http1/options.py) of one entry point."""

    __slots__ = ("_access_log", "_keeps_headers", "_keeps_sent", "_metrics", "_name", "_unmatched")

    def __init__(
        self, name: str, options: EntryPoint, metrics: Metrics | None, access_log: AccessLog | None
    ) -> None:
        self._name = name
        self._metrics = metrics
        self._access_log = access_log
        self._unmatched = unmatched_visibility(options)
        self._keeps_headers = access_log is not None and access_log.wants_origin_headers
        self._keeps_sent = access_log is not None and access_log.wants_sent_headers

    def begin(self, exchange: Exchange) -> None:
        request = exchange.request
        note = exchange.note = Note()
        note.method = request.method
        note.target = request.target
        note.host = request.host_header
        if request.marks & MANAGED:
            note.forwarded_for = b"".join(request.received_values(b"x-forwarded-for")[:1])
        if self._keeps_headers:
            note.keeps_headers = True
        if self._keeps_sent:
            exchange.add_hook(_keep_sent)
        if self._metrics is not None:
            note.metrics = self._metrics
            protocol = note.protocol = protocol_label(exchange)
            if protocol.startswith(b"grpc"):
                exchange.add_hook(_keep_grpc)
        note.started = perf_counter()

    def end(self, exchange: Exchange) -> None:
        note = exchange.note
        assert note is not None
        seconds = perf_counter() - note.started
        route = note.route
        if route is not None:
            visible = route.visible
        elif exchange.request.refusal is not None or note.target == b"*":
            return  # the original's HTTP library answers these before anything is looked at
        else:
            visible = self._unmatched
        status = exchange.status or status_of(exchange)
        if visible & COUNTED and self._metrics is not None:
            self._metrics.request(self._name, exchange, note, seconds, status)
        if visible & LOGGED and self._access_log is not None:
            self._access_log.write(self._name, exchange, note, seconds, status)


def status_of(exchange: Exchange) -> int:
    """Of a request that was not answered."""
    failure = exchange.failure
    return failure.status if failure is not None and failure.status else CLIENT_LEFT


def _keep_sent(exchange: Exchange, head: ResponseHead) -> None:
    """The head as the client gets it: the first hook to be added is the last one to be called."""
    if exchange.note is not None:
        headers = list(head.headers)
        if head.content_length >= 0 and exchange.note.origin_status and exchange.failure is None:
            headers.append((b"Content-Length", b"%d" % head.content_length))
        exchange.note.sent_headers = headers


def _keep_grpc(exchange: Exchange, head: ResponseHead) -> None:
    if exchange.note is not None:
        exchange.note.grpc_lines = head.headers
