"""The routing table: which route answers a request.

The first match in order of rank wins, exactly as if all routes were asked one after another; the table only
avoids asking those that cannot match. Routes that require a host, or a wildcard of one label, stand in the buckets
of these names, all others in the general bucket. A table never changes: replaced() makes a new one that shares
what stayed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Self

from workers.routing.bucket import Bucket
from workers.routing.matchers import host_rest
from workers.routing.request import RoutedRequest
from workers.routing.route import Route, compile_route

__all__ = ["Route", "RoutingTable", "compile_route"]


class RoutingTable:
    """Routes by name, and by host key for find()."""

    __slots__ = ("_general", "_hosts", "_routes", "_wildcards")

    def __init__(
        self,
        routes: Mapping[str, Route] | None = None,
        hosts: Mapping[bytes, Bucket] | None = None,
        wildcards: int = 0,
        general: Bucket | None = None,
    ) -> None:
        self._routes: Mapping[str, Route] = routes or {}
        self._hosts: Mapping[bytes, Bucket] = hosts or {}
        self._wildcards = wildcards
        self._general = general or Bucket()

    @classmethod
    def build(cls, routes: Iterable[Route]) -> Self:
        """A table of `routes`; of two with the same name the later one counts."""
        return cls().replaced((), routes)

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[Route]:
        """The routes in no particular order."""
        return iter(self._routes.values())

    def __repr__(self) -> str:
        return f"<RoutingTable {len(self)} routes, {len(self._hosts)} hosts, general {self._general!r}>"

    def find(self, request: RoutedRequest) -> Route | None:
        """The matching route of highest priority; of equal ones the first by precedence, then by name."""
        best = None
        hosts, host = self._hosts, request.host
        bucket = hosts.get(host)
        if bucket is None and host.endswith(b"."):
            bucket = hosts.get(host.rstrip(b"."))
        if bucket is not None:
            best = bucket.find(request, None)
        if self._wildcards:
            bucket = hosts.get(b"*" + host_rest(host.rstrip(b".")))
            if bucket is not None:
                best = bucket.find(request, best)
        general = self._general
        return general.find(request, best) if general.count else best

    def replaced(
        self, removed: Collection[str], added: Iterable[Route], pause: Callable[[], None] = lambda: None
    ) -> Self:
        """A table without the routes named in `removed` (unknown names are ignored) and with `added`.

        An added route takes the place of one with its name. Buckets without a changed route are shared. `pause` is
        called between two routes, and between two buckets.
        """
        routes = dict(self._routes)
        changes = _Changes()
        for name in removed:
            changes.remove(routes.pop(name, None))
            pause()
        for route in added:
            changes.remove(routes.pop(route.name, None))
            changes.add(route)
            routes[route.name] = route
            pause()
        hosts = dict(self._hosts)
        for key, (gone, new) in changes.by_host.items():
            bucket = hosts.pop(key, _EMPTY).replaced(gone, new)
            if bucket.count:
                hosts[key] = bucket
            pause()
        general = self._general
        if changes.general[0] or changes.general[1]:
            general = general.replaced(*changes.general)
        return type(self)(routes, hosts, self._wildcards + changes.wildcards, general)


_EMPTY = Bucket()


class _Changes:
    """Routes that went and came, by the bucket they concern; `wildcards` counts their wildcard keys."""

    def __init__(self) -> None:
        self.by_host: dict[bytes, tuple[set[Route], set[Route]]] = {}
        self.general: tuple[set[Route], set[Route]] = (set(), set())
        self.wildcards = 0

    def remove(self, route: Route | None) -> None:
        if route is None:
            return
        self.wildcards -= _wildcards(route)
        for gone, new in self._places(route):
            if route in new:
                new.remove(route)
            else:
                gone.add(route)

    def add(self, route: Route) -> None:
        self.wildcards += _wildcards(route)
        for gone, new in self._places(route):
            if route in gone:
                gone.remove(route)
            else:
                new.add(route)

    def _places(self, route: Route) -> list[tuple[set[Route], set[Route]]]:
        if route.hosts is None:
            return [self.general]
        return [self.by_host.setdefault(host, (set(), set())) for host in route.hosts]


def _wildcards(route: Route) -> int:
    return sum(host.startswith(b"*") for host in route.hosts or ())
