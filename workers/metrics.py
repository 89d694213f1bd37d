"""Counting requests: one worker's share of the metrics, straight into its region of shared memory.

A series is a key and a row of numbers: requests, seconds, one count for each bucket, bytes in, bytes out. Its
place is looked up once and remembered, so a request costs a few additions at each level. Keys:

    kind \\0 labels joined by \\0

with the kinds of KINDS; what they become is in exposition.py.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from typing import Final

from config.counters import Region, RegionFull
from config.static_observability import Prometheus
from workers.exchange import Exchange, Note

ENTRY_POINT, ROUTER, SERVICE = b"E", b"R", b"S"
"""Kinds of whole rows; the same letter in lower case counts TLS connections' versions and ciphers, with an `H`
behind it requests by header labels."""
RETRIES: Final = b"T"
OPEN: Final = b"O"
"""A gauge, true only as long as the slot has a holder."""

REQUESTS, SECONDS, FIRST_BUCKET = 0, 1, 2

_METHODS: Final = frozenset(
    {b"HEAD", b"GET", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"}
)
_UNKNOWN_GRPC: Final = 2
_CLIENT_LEFT: Final = 499

log = logging.getLogger(__name__)


def method_label(method: bytes) -> bytes:
    """The label's value; there is one for all methods that nobody knows."""
    if method in _METHODS:
        return method
    return b"EXTENSION_METHOD" if method.isascii() else b"NON_UTF8_HTTP_METHOD"


def protocol_label(exchange: Exchange) -> bytes:
    """What the request is: told from its headers as they came, in one pass."""
    request = exchange.request
    if request.upgrade.lower() == b"websocket":
        return b"websocket"
    found = b"http"
    for name, value in request._headers:
        size = len(name)
        if size == 6 and b"text/event-stream" in value and name.lower() == b"accept":
            return b"sse"
        if size == 12 and value.startswith(b"application/grpc") and name.lower() == b"content-type":
            found = b"grpc-web" if value.startswith(b"application/grpc-web") else b"grpc"
    return found


class Metrics:
    """One worker's. `live` gives the names of routers and services that exist, for when there is no place left."""

    def __init__(
        self, options: Prometheus, region: Region, live: Callable[[], Collection[str]] = frozenset
    ) -> None:
        self.by_entry_point = options.add_entry_points_labels
        self.by_router = options.add_routers_labels
        self.by_service = options.add_services_labels
        self._buckets = list(options.buckets)
        self._count = FIRST_BUCKET + len(self._buckets) + 2
        self._headers = [name.lower().encode() for name in options.header_labels.values()]
        self._region = region
        self._values = region.values
        self._places: dict[tuple[bytes, ...], int] = {}
        self._live = live
        self._is_full = False

    def request(self, exchange: Exchange, note: Note, seconds: float, status: int) -> None:
        """One request is over; for the entry point's and the router's rows."""
        protocol = note.protocol
        method = method_label(note.method)
        code = b"%d" % (status if not protocol.startswith(b"grpc") else grpc_status(note))
        received, sent = note.received_bytes, exchange.sent_bytes
        client = exchange.request.client
        if self.by_entry_point:
            name = client.entry_point.encode()
            self._add((ENTRY_POINT, name, code, method, protocol), seconds, received, sent)
            self._extra(ENTRY_POINT, exchange, (name,), code, method, protocol)
        if self.by_router and note.route is not None:
            names = ((note.router or note.route.name).encode(), note.service.encode())
            self._add((ROUTER, *names, code, method, protocol), seconds, received, sent)
            self._extra(ROUTER, exchange, names, code, method, protocol)

    def attempt(self, exchange: Exchange, note: Note, service: str, status: int, seconds: float) -> None:
        """One server of a service was asked."""
        if not self.by_service:
            return
        protocol, method, name = note.protocol, method_label(note.method), service.encode()
        code = b"%d" % (status if not protocol.startswith(b"grpc") else grpc_status(note))
        self._add((SERVICE, name, code, method, protocol), seconds, note.received_bytes, note.origin_bytes)
        self._extra(SERVICE, exchange, (name,), code, method, protocol)

    def retried(self, service: str) -> None:
        """A server of the service is asked once more."""
        if self.by_service:
            self._one((RETRIES, service.encode()))

    def set_open(self, entry_point: str, connections: int) -> None:
        """How many connections this worker has there."""
        place = self._place((OPEN, entry_point.encode()), 1)
        if place >= 0:
            self._values[place] = connections

    def _extra(
        self,
        kind: bytes,
        exchange: Exchange,
        names: tuple[bytes, ...],
        code: bytes,
        method: bytes,
        protocol: bytes,
    ) -> None:
        """Rows that few have: by TLS version and cipher, by labels from headers."""
        tls = exchange.request.client.tls
        if tls is not None:
            self._one((kind.lower(), *names, *tls.session_labels()))
        if self._headers:
            values = [_first(exchange, name) for name in self._headers]
            self._one((kind + b"H", *names, code, method, protocol, *values))

    def _one(self, key: tuple[bytes, ...]) -> None:
        place = self._place(key, 1)
        if place >= 0:
            self._values[place] += 1

    def _add(self, key: tuple[bytes, ...], seconds: float, received: int, sent: int) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._place(key, self._count)
            if place < 0:
                return
        values = self._values
        values[place] += 1
        values[place + SECONDS] += seconds
        bucket = bisect_left(self._buckets, seconds)
        if bucket < len(self._buckets):
            values[place + FIRST_BUCKET + bucket] += 1
        end = place + self._count
        if received:
            values[end - 2] += received
        if sent:
            values[end - 1] += sent

    def _place(self, key: tuple[bytes, ...], count: int) -> int:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._find(b"\0".join(part.replace(b"\0", b"") for part in key), count)
        return place

    def _find(self, key: bytes, count: int) -> int:
        """-1 where nothing more can be counted."""
        for _ in range(2):
            try:
                return self._region.place(key, count)
            except RegionFull:
                self._forget_the_dead()
        if not self._is_full:
            self._is_full = True
            log.error("metrics: there are too many series; new ones are not counted")
        return -1

    def _forget_the_dead(self) -> None:
        live = {name.encode() for name in self._live()}
        kept = [key for key in self._region.keys() if is_live(key, live)]
        if len(kept) < len(self._region.keys()):
            self._region.keep(set(kept))
            self._places.clear()


def is_live(key: bytes, live: Collection[bytes]) -> bool:
    """Does what the key counts still exist? Entry points always do."""
    kind, name, *rest = key.split(b"\0")
    letter = kind[:1].upper()
    if letter == ROUTER:
        return name.rpartition(b" ")[2] in live
    return letter not in (SERVICE, RETRIES) or name in live


def grpc_status(note: Note) -> int:
    """Number in Grpc-Status, of the head or the trailers; 2 (unknown) where there is none."""
    for name, value in note.grpc_lines:
        if name.lower() == b"grpc-status" and value.strip().isdigit():
            return int(value)
    return _UNKNOWN_GRPC


def _first(exchange: Exchange, lower_name: bytes) -> bytes:
    found: Sequence[bytes] = exchange.request.header_values(lower_name)
    return found[0][:256] if found else b""
