"""Counting requests: one worker's share of the metrics, straight into its region of shared memory.

A series is a key and a row of numbers: requests, seconds, one count for each bucket, bytes in, bytes out. Its
place is looked up once and remembered, so a request costs a few additions at each level. Keys:

    kind \\0 labels joined by \\0

What they become is in exposition.py. Where there is no place left, series of routers and services that are gone
make room; after that new series are not counted, and the log says so.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Collection
from typing import Final

from config.counters import Region, RegionFull
from config.static_observability import Prometheus
from workers.exchange import Exchange, Note
from workers.routing.route import COUNTED

ENTRY_POINT, ROUTER, SERVICE = b"E", b"R", b"S"
"""Kinds of whole rows; the same letter in lower case counts TLS connections' versions and ciphers, with an `H`
behind it requests by header labels."""
RETRIES: Final = b"T"
OPEN: Final = b"O"
"""A gauge, true only as long as the slot has a holder."""
BUCKETS: Final = b"B"
"""A row without meaning: its key says which buckets the others have."""

SECONDS: Final = 1
FIRST_BUCKET: Final = 2

_METHODS: Final = frozenset(
    {b"HEAD", b"GET", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"}
)
_LONGEST_LABEL_BYTES: Final = 256
_NO_PLACE: Final = -1
_MOST_REMEMBERED: Final = 1 << 18
"""Of many unusual methods only few places are remembered; the region itself is bounded."""
_GRPC: Final = b"grpc"
_GRPC_WEB: Final = b"grpc-web"
_UNKNOWN_GRPC: Final = 2

log = logging.getLogger(__name__)

Labels = tuple[str | bytes | int, ...]


def protocol_label(exchange: Exchange) -> bytes:
    """What the request is: told from its headers as they came, in one pass."""
    request = exchange.request
    if request.upgrade and request.upgrade.lower() == b"websocket":
        return b"websocket"
    found = b"http"
    for name, value in request._headers:
        size = len(name)
        if size == 6 and b"text/event-stream" in value and name.lower() == b"accept":
            return b"sse"
        if size == 12 and value.startswith(b"application/grpc") and name.lower() == b"content-type":
            found = _GRPC_WEB if value.startswith(b"application/grpc-web") else _GRPC
    return found


def buckets_key(options: Prometheus) -> bytes:
    """Key of the row that says which buckets a region's rows have."""
    return b"%b\0%b" % (BUCKETS, ",".join(map(repr, options.buckets)).encode())


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
        self._places: dict[Labels, int] = {}
        self._live = live
        self._is_full = False
        marker, held = buckets_key(options), region.keys()
        if marker not in held:
            region.keep(())  # rows with other buckets: they cannot be gone on with
            region.place(marker, 1)

    def request(self, entry_point: str, exchange: Exchange, note: Note, seconds: float, status: int) -> None:
        """One request is over; for the entry point's and the routers' rows."""
        protocol, method = note.protocol, note.method
        if method not in _METHODS:
            method = method_label(method)
        if protocol is _GRPC or protocol is _GRPC_WEB:
            status = grpc_status(note)
        received, sent = note.received_bytes, exchange.sent_bytes
        if self.by_entry_point:
            self._add((ENTRY_POINT, entry_point, status, method, protocol), seconds, received, sent)
            if self._headers or exchange.request.client.is_tls:
                self._extra(ENTRY_POINT, exchange, (entry_point,), (status, method, protocol))
        if self.by_router and note.route is not None:
            for route in (note.route, *note.below):
                names = (route.name, route.service)
                self._add((ROUTER, *names, status, method, protocol), seconds, received, sent)
                if self._headers or exchange.request.client.is_tls:
                    self._extra(ROUTER, exchange, names, (status, method, protocol))

    def attempt(self, exchange: Exchange, note: Note, seconds: float) -> None:
        """One server of the service `note.service` was asked."""
        if not self.by_service or not _is_counted(note):
            return
        protocol, method, status = note.protocol, note.method, note.origin_status
        if method not in _METHODS:
            method = method_label(method)
        if protocol is _GRPC or protocol is _GRPC_WEB:
            status = grpc_status(note)
        self._add(
            (SERVICE, note.service, status, method, protocol), seconds, note.received_bytes, note.origin_bytes
        )
        if self._headers or exchange.request.client.is_tls:
            self._extra(SERVICE, exchange, (note.service,), (status, method, protocol))

    def retried(self, note: Note) -> None:
        """A server of the service `note.service` is asked once more."""
        if self.by_service and _is_counted(note):
            self._one((RETRIES, note.service))

    def set_open(self, entry_point: str, connections: int) -> None:
        """How many connections this worker has there."""
        place = self._place((OPEN, entry_point), 1)
        if place >= 0:
            self._values[place] = connections

    def reconfigured(self) -> None:
        """Another configuration is in force: there may be series to forget again."""
        self._is_full = False

    def _extra(self, kind: bytes, exchange: Exchange, names: tuple[str, ...], rest: Labels) -> None:
        """Rows that few have: by TLS version and cipher, by labels from headers."""
        tls = exchange.request.client.tls
        if tls is not None:
            self._one((kind.lower(), *names, *tls.session_labels))
        if self._headers:
            values = [_first(exchange, name) for name in self._headers]
            self._one((kind + b"H", *names, *rest, *values))

    def _one(self, key: Labels) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._place(key, 1)
            if place < 0:
                return
        self._values[place] += 1

    def _add(self, key: Labels, seconds: float, received: int, sent: int) -> None:
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
        if received:
            values[place + self._count - 2] += received
        if sent:
            values[place + self._count - 1] += sent

    def _place(self, key: Labels, count: int) -> int:
        """Where the series is from now on; _NO_PLACE if it cannot be counted."""
        place = self._places.get(key)
        if place is None:
            place = self._find(encode_key(key), count)
            if place >= 0 and len(self._places) < _MOST_REMEMBERED:
                self._places[key] = place
        return place

    def _find(self, key: bytes, count: int) -> int:
        if self._is_full:
            return _NO_PLACE
        for _ in range(2):
            try:
                return self._region.place(key, count)
            except RegionFull:
                self._forget_the_dead()
        self._is_full = True
        log.error("metrics: there are too many series, new ones are not counted")
        return _NO_PLACE

    def _forget_the_dead(self) -> None:
        live = {name.encode() for name in self._live()}
        held = self._region.keys()
        kept = {key for key in held if is_live(key, live)}
        if len(kept) < len(held):
            self._region.keep(kept)
            self._places.clear()


def method_label(method: bytes) -> bytes:
    """The label's value; there is one for all methods that nobody knows."""
    if method in _METHODS:
        return method
    return b"EXTENSION_METHOD" if method.isascii() else b"NON_UTF8_HTTP_METHOD"


def encode_key(key: Labels) -> bytes:
    """The parts joined by zero bytes, of which the parts themselves have none."""
    return b"\0".join(_text(part).replace(b"\0", b"") for part in key)


def _text(part: str | bytes | int) -> bytes:
    if isinstance(part, bytes):
        return part
    return part.encode() if isinstance(part, str) else b"%d" % part


def is_live(key: bytes, live: Collection[bytes]) -> bool:
    """Does what the key counts still exist? Entry points always do."""
    kind, name, *_ = key.split(b"\0")
    return kind[:1].upper() not in (ROUTER, SERVICE, RETRIES) or name in live


def grpc_status(note: Note) -> int:
    """Number in Grpc-Status, of the head or the trailers; 2 (unknown) where there is none."""
    for name, value in note.grpc_lines:
        if name.lower() == b"grpc-status" and value.strip().isdigit():
            return int(value)
    return _UNKNOWN_GRPC


def _is_counted(note: Note) -> bool:
    return note.route is not None and bool(note.route.visible & COUNTED)


def _first(exchange: Exchange, lower_name: bytes) -> bytes:
    found = exchange.request.header_values(lower_name)
    return found[0][:_LONGEST_LABEL_BYTES] if found else b""
