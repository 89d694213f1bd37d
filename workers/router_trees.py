"""Routers under routers (`parentRefs`): who belongs together, and how a parent asks its children.

A parent has no service. Its rule and middlewares come first, then its children's rules are asked, with their
own priorities; where none matches the answer is 404, other roots are not tried. Children are matched against
the request as the parent's middlewares left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from config.http import Router
from config.names import resolve_reference
from workers.errors import NOT_FOUND
from workers.exchange import Exchange, Handler
from workers.http1.target import routing_path
from workers.routing.table import Route, RoutingTable

Children = Mapping[str, Sequence[str]]
"""Names of the routers under each, all names as configured."""


def parents_of(name: str, config: Router | None) -> Iterator[str]:
    """Qualified names of the routers that this one wants to be under."""
    for reference in config.parent_refs if config is not None else ():
        yield resolve_reference(reference, name)


def children_of(configured: Mapping[str, Router]) -> dict[str, list[str]]:
    """The index of all routers, each list sorted."""
    found: dict[str, list[str]] = {}
    for name in sorted(name for name, config in configured.items() if config.parent_refs):
        for parent in dict.fromkeys(parents_of(name, configured[name])):
            found.setdefault(parent, []).append(name)
    return found


def families_of(
    names: Iterable[str], children: Iterable[Children], configured: Sequence[Mapping[str, Router]]
) -> set[str]:
    """`names` and every router that is above or below one of them, however far.

    `children`: the index before a change and after it; `configured`: all routers before it and after it. One that
    has other parents now concerns those that it had, too.
    """
    indexes = [index for index in children if index]
    result, pending = set(names), list(names) if indexes else []
    while pending:
        name = pending.pop()
        near = [parent for routers in configured for parent in parents_of(name, routers.get(name))]
        for index in indexes:
            near += index.get(name, ())
        for one in near:
            if one not in result:
                result.add(one)
                pending.append(one)
    return result


def misplaced(config: Router) -> Iterator[str]:
    """What a router under another one must not have."""
    if config.tls is not None:
        yield "non-root router cannot have TLS configuration"
    if config.observability is not None and _says_something(config):
        yield "non-root router cannot have Observability configuration"
    if config.entry_points:
        yield "non-root router cannot have Entrypoints configuration"


def _says_something(config: Router) -> bool:
    seen = config.observability
    return seen is not None and (seen.access_logs, seen.metrics, seen.tracing, seen.trace_verbosity) != (
        None,
        None,
        None,
        "",
    )


def muxer(routes: Sequence[Route], table_type: type[RoutingTable] = RoutingTable) -> Handler:
    """A handler that leads to the first of `routes` that matches."""
    table = table_type.build(routes)

    def ask(exchange: Exchange) -> None:
        request = exchange.request
        request.routing_path = routing_path(request.path)
        route = table.find(request)
        if route is None:
            exchange.respond_error(NOT_FOUND)
            return
        note = exchange.note
        if note is not None:
            above = note.router or (note.route.name if note.route is not None else "")
            note.router = f"{above} -> {route.name}"
            note.below = (*note.below, route)
        route.handler(exchange)

    return ask
