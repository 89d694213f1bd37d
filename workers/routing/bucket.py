"""Routes among which only order, path and predicate decide: those of one host, or those of no particular host.

Immutable. A small bucket is a tuple in order. A large one also sorts its routes by the paths they require: a path
then meets only the routes of that path and of prefixes it begins with, one dict lookup for each prefix length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

from workers.routing.implied import PathKey
from workers.routing.request import RoutedRequest
from workers.routing.route import Route

_SMALL: Final = 8
_NO_ROUTES: Final[Mapping[bytes, tuple[Route, ...]]] = {}
_NO_LENGTHS: Final[Mapping[int, int]] = {}


class Bucket:
    """`count` routes: `rest` without path keys (all of them if few), the others under their paths and prefixes."""

    __slots__ = ("_exact", "_length_counts", "_lengths", "_prefixes", "_rest", "count")

    def __init__(
        self,
        rest: tuple[Route, ...] = (),
        exact: Mapping[bytes, tuple[Route, ...]] = _NO_ROUTES,
        prefixes: Mapping[bytes, tuple[Route, ...]] = _NO_ROUTES,
        length_counts: Mapping[int, int] = _NO_LENGTHS,
        count: int | None = None,
    ) -> None:
        self._rest = rest
        self._exact = exact
        self._prefixes = prefixes
        self._length_counts = length_counts
        self._lengths = tuple(sorted(length_counts))
        self.count = len(rest) if count is None else count

    def __repr__(self) -> str:
        return (
            f"<Bucket {self.count} routes: {len(self._rest)} in order, "
            f"{len(self._exact)} paths, {len(self._prefixes)} prefixes>"
        )

    def find(self, request: RoutedRequest, best: Route | None) -> Route | None:
        """The first match in order, or `best` if that comes before it."""
        if self._rest:
            best = _first(self._rest, request, best)
        if self._exact or self._lengths:
            best = self._find_by_path(request, best)
        return best

    def _find_by_path(self, request: RoutedRequest, best: Route | None) -> Route | None:
        path = request.routing_path
        routes = self._exact.get(path)
        if routes is not None:
            best = _first(routes, request, best)
        for length in self._lengths:
            if length > len(path):
                break
            routes = self._prefixes.get(path[:length])
            if routes is not None:
                best = _first(routes, request, best)
        return best

    def routes(self) -> set[Route]:
        found = set(self._rest)
        for part in (self._exact, self._prefixes):
            found.update(*part.values())
        return found

    def replaced(self, removed: Iterable[Route], added: Iterable[Route]) -> Bucket:
        """A bucket without `removed`, all of which are here, and with `added`."""
        removed, added = list(removed), list(added)
        count = self.count + len(added) - len(removed)
        indexed = bool(self._exact or self._prefixes)
        if indexed == (count > _SMALL):
            return self._changed(removed, added, count, indexed=indexed)
        routes = (self.routes() - set(removed)) | set(added)
        return Bucket()._changed([], list(routes), count, indexed=count > _SMALL)

    def _changed(self, removed: list[Route], added: list[Route], count: int, *, indexed: bool) -> Bucket:
        draft = _Draft(self, indexed=indexed)
        for route in removed:
            draft.remove(route)
        for route in added:
            draft.add(route)
        return draft.finished(count)


class _Draft:
    """A bucket in the making: copies what it changes, and each part at most once."""

    def __init__(self, bucket: Bucket, *, indexed: bool) -> None:
        self._indexed = indexed
        self._rest = list(bucket._rest)
        self._exact = dict(bucket._exact)
        self._prefixes = dict(bucket._prefixes)
        self._length_counts = dict(bucket._length_counts)
        self._bulk: list[Route] = []

    def add(self, route: Route) -> None:
        for key in self._keys(route):
            part = self._exact if key.exact else self._prefixes
            routes = part.get(key.text, ())
            if not routes and not key.exact:
                self._count_length(len(key.text), 1)
            part[key.text] = _inserted(routes, route)
        if not self._keys(route):
            self._bulk.append(route)

    def remove(self, route: Route) -> None:
        for key in self._keys(route):
            part = self._exact if key.exact else self._prefixes
            routes = tuple(other for other in part[key.text] if other is not route)
            if routes:
                part[key.text] = routes
                continue
            del part[key.text]
            if not key.exact:
                self._count_length(len(key.text), -1)
        if not self._keys(route):
            del self._rest[bisect_left(self._rest, route.rank, key=lambda other: other.rank)]

    def finished(self, count: int) -> Bucket:
        if self._bulk:
            # Nearly sorted already: Python's sort takes such lists in linear time.
            self._rest.extend(sorted(self._bulk, key=lambda route: route.rank))
            self._rest.sort(key=lambda route: route.rank)
        return Bucket(
            tuple(self._rest),
            self._exact or _NO_ROUTES,
            self._prefixes or _NO_ROUTES,
            self._length_counts or _NO_LENGTHS,
            count,
        )

    def _keys(self, route: Route) -> tuple[PathKey, ...]:
        return route.path_keys or () if self._indexed else ()

    def _count_length(self, length: int, change: int) -> None:
        count = self._length_counts.get(length, 0) + change
        if count:
            self._length_counts[length] = count
        else:
            del self._length_counts[length]


def _first(routes: tuple[Route, ...], request: RoutedRequest, best: Route | None) -> Route | None:
    if best is None:
        for route in routes:
            if route.matches(request):
                return route
        return None
    rank = best.rank
    for route in routes:
        if route.rank > rank:
            break
        if route.matches(request):
            return route
    return best


def _inserted(routes: tuple[Route, ...], route: Route) -> tuple[Route, ...]:
    place = bisect_left(routes, route.rank, key=lambda other: other.rank)
    return (*routes[:place], route, *routes[place:])
