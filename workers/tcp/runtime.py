"""What became of every TCP router, service and middleware: the ledger behind the entry points' tables and the API.

A TCPRuntime is immutable once published; `updated` makes the next one and builds again only what changed or leads
to something that did. Living tunnels hold on to what they began with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from config.layer4 import TCPMiddleware, TCPRouter, TCPServersTransport, TCPService
from workers.layer4 import renew_parents
from workers.tcp.environment import TCPEnvironment
from workers.tcp.middlewares import TCPMiddlewareState
from workers.tcp.routers import Parts, TCPRouterState, build_router
from workers.tcp.services import TCPServiceBuilder, TCPServiceState
from workers.tcp.table import NO_ROUTES, TCPRoute, TCPTable
from workers.tcp.transports import TransportBook
from workers.tls_state import TLSState


class TCPChanges(msgspec.Struct):
    """What differs from the running configuration; None means: gone. Names are qualified."""

    routers: Mapping[str, TCPRouter | None] = {}
    services: Mapping[str, TCPService | None] = {}
    middlewares: Mapping[str, TCPMiddleware | None] = {}
    transports: Mapping[str, TCPServersTransport | None] = {}

    def __bool__(self) -> bool:
        return bool(self.routers or self.services or self.middlewares or self.transports)


class TCPRuntime:
    """Routers, services and middlewares by qualified name, tables by entry point."""

    __slots__ = ("_transports", "environment", "middlewares", "routers", "services", "tables")

    def __init__(self, environment: TCPEnvironment) -> None:
        self.environment = environment
        self.routers: dict[str, TCPRouterState] = {}
        self.services: dict[str, TCPServiceState] = {}
        self.middlewares: dict[str, TCPMiddlewareState] = {}
        self.tables: dict[str, TCPTable] = dict.fromkeys(environment.entry_points, NO_ROUTES)
        self._transports = TransportBook(environment.transport)

    def updated(
        self, changes: TCPChanges, tls: TLSState, stale_options: Collection[str], pause: Callable[[], None]
    ) -> TCPRuntime:
        """The next runtime; this one stays as it is, and is returned if nothing changes.

        `stale_options`: TLS options that came, went, broke or were mended in `tls`.
        """
        names = set(changes.routers)
        names.update(one.name for one in self.routers.values() if stale_options and one.option in stale_options)
        if not changes and not names:
            return self
        new = TCPRuntime.__new__(TCPRuntime)
        new.environment = self.environment
        new.routers, new.services = self.routers.copy(), self.services.copy()
        new.middlewares = self.middlewares.copy()
        new._transports = self._transports.updated(changes.transports)
        stale = new._update_services(changes)
        stale_middlewares = new._update_middlewares(changes)
        for state in self.routers.values() if stale or stale_middlewares else ():
            if state.service in stale or (
                stale_middlewares and not stale_middlewares.isdisjoint(state.middlewares)
            ):
                names.add(state.name)
        parts = Parts(new.environment, TCPServiceBuilder(new.services, new._transports), new.middlewares, tls)
        new._update_routers(sorted(names), changes.routers, parts, pause)
        new.tables = _updated_tables(self, new, names)
        return new

    def _update_services(self, changes: TCPChanges) -> set[str]:
        """Apply the changes; return the names of services that are built anew, or gone."""
        for name, config in changes.services.items():
            self.services.pop(name, None)
            if config is not None:
                self.services[name] = TCPServiceState(name, config)
        stale = set(changes.services)
        if changes.transports:
            for name, state in self.services.items():
                if state.wanted_transport() in changes.transports:
                    stale.add(name)
        return renew_parents(self.services, stale, lambda one: TCPServiceState(one.name, one.config))

    def _update_middlewares(self, changes: TCPChanges) -> set[str]:
        for name, config in changes.middlewares.items():
            self.middlewares.pop(name, None)
            if config is not None:
                self.middlewares[name] = TCPMiddlewareState(name, config)
        return set(changes.middlewares)

    def _update_routers(
        self,
        names: Iterable[str],
        changed: Mapping[str, TCPRouter | None],
        parts: Parts,
        pause: Callable[[], None],
    ) -> None:
        for name in names:
            former = self.routers.pop(name, None)
            config = changed.get(name, former.config if former is not None else None)
            if config is not None:
                self.routers[name] = build_router(name, config, parts)
            pause()

    def used_by_service(self) -> dict[str, list[str]]:
        """Qualified service name to the sorted names of the routers that name it."""
        used_by: dict[str, list[str]] = {}
        for name in sorted(self.routers):
            service = self.routers[name].service
            if service:
                used_by.setdefault(service, []).append(name)
        return used_by

    def __repr__(self) -> str:
        return f"<TCPRuntime {len(self.routers)} routers, {len(self.services)} services>"


def _updated_tables(old: TCPRuntime, new: TCPRuntime, names: Iterable[str]) -> dict[str, TCPTable]:
    """Tables with the routes of `names` exchanged; one that nothing touched stays the same object."""
    removed: dict[str, list[str]] = {}
    added: dict[str, list[TCPRoute]] = {}
    for name in names:
        before, after = old.routers.get(name), new.routers.get(name)
        for entry_point in before.routes if before is not None else ():
            removed.setdefault(entry_point, []).append(name)
        for entry_point, route in after.routes.items() if after is not None else ():
            added.setdefault(entry_point, []).append(route)
    updated = dict(old.tables)
    for entry_point in removed.keys() | added.keys():
        updated[entry_point] = updated[entry_point].replaced(
            removed.get(entry_point, ()), added.get(entry_point, ())
        )
    return updated
