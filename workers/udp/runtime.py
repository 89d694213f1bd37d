"""What became of every UDP router and service: the ledger behind the entry points' tables and the API.

A datagram says nothing that a rule could look at, so an entry point has one router: of those that could be
built, the one whose qualified name sorts last. A runtime is immutable once made; `updated` makes the next one
and builds again only what changed or leads to something that did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from config.layer4 import UDPRouter, UDPService
from config.names import resolve_reference
from workers.building import BuildError
from workers.layer4 import renew_parents
from workers.udp.services import UDPServiceBuilder, UDPServiceState, UDPTarget
from workers.upstream.balancer import Nested

log = logging.getLogger(__name__)


class UDPEnvironment(Protocol):
    """What the runtime needs of the static configuration."""

    @property
    def udp_entry_points(self) -> Iterable[str]: ...


class UDPTable(NamedTuple):
    """What an entry point asks at each new session. Without a balancer there is no router: nothing is served."""

    router: str = ""
    balancer: Nested[UDPTarget] | None = None

    def pick(self) -> UDPTarget | None:
        """The server for one new session, None if there is no router or no server."""
        return self.balancer.pick() if self.balancer is not None else None


NO_ROUTER = UDPTable()


class UDPRouterState:
    """One router: its configuration, where it is attached, and why it is not if it is not.

    `using` is as the original shows it: in the order of the configuration, repetitions included.
    """

    __slots__ = ("balancer", "config", "critical", "errors", "name", "service", "using")

    def __init__(self, name: str, config: UDPRouter) -> None:
        self.name = name
        self.config = config
        self.using: list[str] = []
        self.errors: list[str] = []
        self.critical = False
        self.balancer: Nested[UDPTarget] | None = None
        self.service = resolve_reference(config.service, name) if config.service else ""
        """Qualified name of the service, empty if there is none."""

    @property
    def status(self) -> str:
        if self.critical:
            return "disabled"
        return "warning" if self.errors else "enabled"

    def fail(self, message: str) -> None:
        self.critical = True
        if message not in self.errors:
            self.errors.append(message)

    def __repr__(self) -> str:
        return f"<UDPRouterState {self.name} {self.status} {'; '.join(self.errors)}>"


class UDPRuntime:
    """Routers and services by qualified name, tables by entry point."""

    __slots__ = ("entry_points", "routers", "services", "tables")

    def __init__(self, entry_points: Iterable[str] = ()) -> None:
        self.entry_points = sorted(entry_points)
        self.routers: dict[str, UDPRouterState] = {}
        self.services: dict[str, UDPServiceState] = {}
        self.tables: dict[str, UDPTable] = dict.fromkeys(self.entry_points, NO_ROUTER)

    def updated(
        self,
        routers: Mapping[str, UDPRouter | None],
        services: Mapping[str, UDPService | None],
        environment: UDPEnvironment,
        pause: Callable[[], None] = lambda: None,
    ) -> UDPRuntime:
        """The next runtime; None means: gone. This one stays as it is, and is returned if nothing changes.

        `pause` is called between routers, so that datagrams never wait long for a change.
        """
        has_moved = sorted(environment.udp_entry_points) != self.entry_points
        if not routers and not services and not has_moved:
            return self
        new = UDPRuntime(environment.udp_entry_points)
        new.services = self.services.copy()
        new.routers = self.routers.copy()
        stale = new._update_services(services)
        names = set(routers)
        if stale or has_moved:
            names.update(one.name for one in self.routers.values() if has_moved or one.service in stale)
        touched = new._update_routers(names, routers, pause)
        new._update_tables(self, touched)
        return new

    def _update_services(self, services: Mapping[str, UDPService | None]) -> set[str]:
        """Apply the changes; return the names of services that are built anew, or gone."""
        for name, config in services.items():
            self.services.pop(name, None)
            if config is not None:
                self.services[name] = UDPServiceState(name, config)
        return renew_parents(self.services, services, lambda one: UDPServiceState(one.name, one.config))

    def _update_routers(
        self, names: set[str], routers: Mapping[str, UDPRouter | None], pause: Callable[[], None]
    ) -> set[str]:
        """Build the named routers again; return the entry points that one of them is or was attached to."""
        builder = UDPServiceBuilder(self.services)
        touched: set[str] = set()
        for name in sorted(names):
            former = self.routers.pop(name, None)
            if former is not None:
                touched.update(former.using)
            config = routers.get(name, former.config if former is not None else None)
            if config is not None:
                state = build_router(name, config, self.entry_points, builder)
                self.routers[name] = state
                touched.update(state.using)
            pause()
        return touched

    def _update_tables(self, before: UDPRuntime, touched: set[str]) -> None:
        """Tables of entry points that nothing touched stay the same objects."""
        candidates: dict[str, dict[str, UDPRouterState]] = {}
        for state in self.routers.values() if touched else ():
            for entry_point in state.using:
                if entry_point in touched:
                    candidates.setdefault(entry_point, {})[state.name] = state
        for entry_point in self.entry_points:
            if entry_point in touched:
                self.tables[entry_point] = _table_of(entry_point, candidates.get(entry_point, {}).values())
            else:
                self.tables[entry_point] = before.tables.get(entry_point, NO_ROUTER)

    def __repr__(self) -> str:
        return f"<UDPRuntime {len(self.routers)} routers, {len(self.services)} services>"


def build_router(
    name: str, config: UDPRouter, entry_points: Sequence[str], builder: UDPServiceBuilder
) -> UDPRouterState:
    """Attach and build one router; whatever is wrong ends in its errors, never in an exception."""
    state = UDPRouterState(name, config)
    for entry_point in config.entry_points or entry_points:
        if entry_point in entry_points:
            state.using.append(entry_point)
        else:
            message = f'entryPoint "{entry_point}" doesn\'t exist'
            if message not in state.errors:
                state.errors.append(message)
    if not state.using:
        state.fail("no valid entryPoint for this router")
    elif not config.service:
        state.fail("the service is missing on the udp router")
    else:
        try:
            state.balancer = builder.balancer(state.service)
        except BuildError as error:
            state.fail(str(error))
    return state


def _table_of(entry_point: str, candidates: Collection[UDPRouterState]) -> UDPTable:
    """The last by name of those that were built."""
    built = [state for state in candidates if state.balancer is not None]
    if not built:
        return NO_ROUTER
    chosen = max(built, key=lambda state: state.name)
    if len(candidates) > 1:
        log.warning("entry point %s has %d UDP routers; %s serves it", entry_point, len(candidates), chosen.name)
    return UDPTable(chosen.name, chosen.balancer)


def used_by_service(runtime: UDPRuntime) -> dict[str, list[str]]:
    """Qualified service name to the sorted names of the routers that name it."""
    used_by: dict[str, list[str]] = {}
    for name in sorted(runtime.routers):
        service = runtime.routers[name].service
        if service:
            used_by.setdefault(service, []).append(name)
    return used_by
