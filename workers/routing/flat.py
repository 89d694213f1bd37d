"""Rules and tables where a request has two hosts: its own, and the one that this is an alias of.

A Host or HostRegexp matches if either does, whatever else a rule says (CNAME flattening; only where it is on).
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from config.rules import Tree
from workers.routing import matchers, matchers_v2
from workers.routing.matchers import Maker, Predicate, host_rest
from workers.routing.predicate import predicate_with
from workers.routing.request import RoutedRequest
from workers.routing.route import Route
from workers.routing.table import RoutingTable


class FlatRequest(RoutedRequest, Protocol):
    """`flat_host` is canonical as `host` is, and the same where that is no alias."""

    @property
    def flat_host(self) -> bytes: ...


class _AsFlat:
    """A request as matchers of hosts are to see it the second time."""

    __slots__ = ("host",)

    def __init__(self, host: bytes) -> None:
        self.host = host


def _either(maker: Maker) -> Maker:
    def make(values: tuple[bytes, ...]) -> Predicate:
        matches = maker(values)

        def either(request: RoutedRequest) -> bool:
            flat = cast(FlatRequest, request).flat_host
            return matches(request) or matches(cast(RoutedRequest, _AsFlat(flat)))

        return either

    return make


MATCHERS: Final[dict[str, Maker]] = {
    **matchers.MATCHERS,
    "Host": _either(matchers.host),
    "HostRegexp": _either(matchers.host_regexp),
}
MATCHERS_V2: Final[dict[str, Maker]] = {
    **matchers_v2.MATCHERS,
    "Host": _either(matchers_v2.host),
    "HostHeader": _either(matchers_v2.host),
}


def flat_predicate(tree: Tree, syntax: str) -> Predicate:
    """As predicate_of, for requests with a `flat_host`."""
    return predicate_with(MATCHERS_V2 if syntax == "v2" else MATCHERS, tree)


class FlatTable(RoutingTable):
    """Looks among the routes of either host; its routes are compiled with flat_predicate."""

    __slots__ = ()

    def find(self, request: RoutedRequest) -> Route | None:
        best = super().find(request)
        flat = cast(FlatRequest, request).flat_host
        if flat == request.host:
            return best
        bucket = self._hosts.get(flat)
        if bucket is not None:
            best = bucket.find(request, best)
        if self._wildcards:
            bucket = self._hosts.get(b"*" + host_rest(flat))
            if bucket is not None:
                best = bucket.find(request, best)
        return best
