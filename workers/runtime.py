"""What became of every router and service: the ledger behind the routing tables and the API.

A Runtime is immutable once published. `updated` makes the next one at a cost that follows the change: only
routers that changed, or whose service had to be rebuilt, are compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from config.http import Router, Server, ServersTransport, Service
from config.layer4 import TCPMiddleware, TCPRouter, TCPServersTransport, TCPService, UDPRouter, UDPService
from config.middlewares import Middleware
from tls.certificates import Certificate
from tls.claims import OptionBook
from tls.selection import OptionClaim, TLSTable
from workers.building import BuildError
from workers.environment import Environment
from workers.middlewares.chains import Chains, MiddlewareState
from workers.router_tls import Books, Copy, claims_of, copies, updated_books
from workers.router_trees import Children, children_of, families_of
from workers.routers import Builders, RouterState, build_router, build_unreachable
from workers.routing.table import Route, RoutingTable
from workers.services import ServiceBuilder, ServiceState
from workers.tcp.environment import TCPEnvironment
from workers.tcp.runtime import TCPChanges, TCPRuntime
from workers.tls_state import TLSChanges, TLSState
from workers.udp.runtime import UDPRuntime
from workers.upstream.servers import Servers


class Changes(msgspec.Struct):
    """What differs from the running configuration; None means: gone. Names are qualified."""

    routers: dict[str, Router | None] = {}
    services: dict[str, Service | None] = {}
    endpoints: dict[str, list[Server] | None] = {}
    middlewares: dict[str, Middleware | None] = {}
    servers_transports: dict[str, ServersTransport | None] = {}
    tcp_routers: dict[str, TCPRouter | None] = {}
    tcp_services: dict[str, TCPService | None] = {}
    tcp_middlewares: dict[str, TCPMiddleware | None] = {}
    tcp_servers_transports: dict[str, TCPServersTransport | None] = {}
    udp_routers: dict[str, UDPRouter | None] = {}
    udp_services: dict[str, UDPService | None] = {}
    tls: TLSChanges = msgspec.field(default_factory=TLSChanges)

    @property
    def tcp(self) -> TCPChanges:
        return TCPChanges(self.tcp_routers, self.tcp_services, self.tcp_middlewares, self.tcp_servers_transports)


Swap = tuple[ServiceState, Servers]
"""A service whose load balancer lives on, and its new servers."""

Pause = Callable[[], None]
"""Called between units of work, so that requests never wait long for a change."""


class Runtime:
    """Routers, services, and for each entry point two routing tables and what TLS handshakes are decided by.

    `configured` holds the routers as they came, `routers` what became of them. `tables` are for requests in
    plaintext, `secure_tables` for those through TLS.
    """

    __slots__ = (
        "books",
        "checked",
        "children",
        "configured",
        "endpoints",
        "environment",
        "middlewares",
        "number",
        "routers",
        "secure_tables",
        "services",
        "tables",
        "tcp",
        "tls",
        "tls_tables",
        "transports",
        "udp",
    )

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.number = 0
        self.configured: dict[str, Router] = {}
        self.children: Children = {}
        self.routers: dict[str, RouterState] = {}
        self.services: dict[str, ServiceState] = {}
        self.checked: set[str] = set()
        """Names of services with health checks."""
        self.middlewares: dict[str, MiddlewareState] = {}
        self.endpoints: dict[str, list[Server]] = {}
        self.tls = TLSState(environment.default_certificate)
        self.books: Books = {name: OptionBook() for name in environment.entry_points}
        self.tables: dict[str, RoutingTable] = {name: RoutingTable.build(()) for name in environment.entry_points}
        self.secure_tables = self.tables.copy()
        self.tls_tables = self._hello_tables()
        self.tcp = TCPRuntime(TCPEnvironment.of(environment))
        self.udp = UDPRuntime(environment.udp_entry_points)
        self.transports = environment.transports

    def updated(self, number: int, changes: Changes, pause: Pause) -> Runtime:
        """The next runtime, to be put in force at once.

        Of this one only the servers behind surviving load balancers are touched, and nothing if it fails.
        """
        new = Runtime(self.environment)
        new.number = number
        new.configured = self.configured.copy()
        new.routers = self.routers.copy()
        new.services = self.services.copy()
        new.endpoints = self.endpoints.copy()
        new.middlewares = self.middlewares.copy()
        new.checked = self.checked.copy()
        swaps: list[Swap] = []
        other = new._update_middlewares(changes.middlewares)
        new.transports, reached = self.transports.updated(changes.servers_transports, pause)
        rebuilt = new._update_services(changes, other, reached, swaps, pause)
        new.tls, stale_options = self.tls.updated(changes.tls, pause)
        names = set(changes.routers)
        if rebuilt or other:
            names.update(
                one.source
                for one in self.routers.values()
                if not (one.services.isdisjoint(rebuilt) and one.middlewares.isdisjoint(other))
            )
        if stale_options:
            names.update(
                one.source for one in self.routers.values() if one.config.tls and one.asked_option in stale_options
            )
        new.books, turned = updated_books(self.books, changes.routers, new._claims, pause)
        names |= turned
        new._update_configured(changes.routers, self)
        touched = new._update_routers(names, changes, pause, self)
        new.tables = _updated_tables(self.tables, self, new, touched, _mounted)
        new.secure_tables = _updated_tables(self.secure_tables, self, new, touched, _mounted_secure)
        if changes.tls or new.books != self.books:
            new.tls_tables = new._hello_tables()
        else:
            new.tls_tables = self.tls_tables
        new.tcp = self.tcp.updated(changes.tcp, new.tls, stale_options, pause)
        new.udp = self.udp.updated(changes.udp_routers, changes.udp_services, self.environment, pause)
        for state, servers in swaps:  # last: no request may meet new servers behind an old route
            assert state.balanced is not None
            state.balanced.balancer = servers
            if state.monitor is not None:
                state.monitor.refresh()
        new._settle_monitors(self)
        new.transports.retire()
        return new

    def _hello_tables(self) -> dict[str, TLSTable]:
        tls = self.tls
        return {
            name: TLSTable(tls.store, tls.settings, book.hosts, hostless=book.hostless > 0)
            for name, book in self.books.items()
        }

    def _claims(self, name: str, config: Router) -> dict[str, OptionClaim]:
        """What the router asks of TLS, by entry point."""
        where = self.environment
        return claims_of(
            name, config, where.default_entry_points, where.models, where.entry_points, where.default_rule_syntax
        )

    def _update_middlewares(self, changes: Mapping[str, Middleware | None]) -> set[str]:
        """Apply; return the names of all that are other ones now."""
        for name, config in changes.items():
            self.middlewares.pop(name, None)
            if config is not None:
                self.middlewares[name] = MiddlewareState(name, config)
        return set(changes)

    def _update_services(
        self, changes: Changes, middlewares: set[str], transports: set[str], swaps: list[Swap], pause: Pause
    ) -> set[str]:
        """Apply service and endpoint changes; return the names of services whose handler is another now.

        `middlewares`, `transports`: those that changed. Load balancers that go on living with other servers are
        added to `swaps`.
        """
        for name, servers in changes.endpoints.items():
            if servers is None:
                self.endpoints.pop(name, None)
            else:
                self.endpoints[name] = servers
        stale: set[str] = set()
        for name, config in changes.services.items():
            self.services.pop(name, None)
            self.checked.discard(name)
            if config is not None:
                state = self.services[name] = ServiceState(name, config, self.endpoints.get(name, []))
                if state.is_checked:
                    self.checked.add(name)
            stale.add(name)
        for name, state in list(self.services.items()) if middlewares or transports else ():
            if not state.middlewares.isdisjoint(middlewares) or state.transport in transports:
                self.services[name] = ServiceState(name, state.config, self.endpoints.get(name, []))
                stale.add(name)
        for name, servers in changes.endpoints.items():
            if name not in stale and name in self.services and not self._swap_servers(name, servers or [], swaps):
                stale.add(name)
            pause()
        return self._with_parents(stale, pause)

    def _swap_servers(self, name: str, servers: list[Server], swaps: list[Swap]) -> bool:
        """Plan to give a living load balancer its new servers; False if it has to be built again."""
        old = self.services[name]
        if old.balanced is None:
            self.services[name] = ServiceState(name, old.config, servers)
            return not old.built
        try:
            self.services[name], fresh = old.with_servers(servers)
        except BuildError:
            self.services[name] = ServiceState(name, old.config, servers)
            return False
        swaps.append((self.services[name], fresh))
        return True

    def _settle_monitors(self, before: Runtime) -> None:
        """Watch the servers of services that are in use, and those of no others."""
        for name in before.checked | self.checked:
            old, state = before.services.get(name), self.services.get(name)
            monitor = state.monitor if state is not None and state.handler is not None else None
            if old is not None and old.monitor is not None and old.monitor is not monitor:
                old.monitor.stop()
            if monitor is not None and (old is None or old.monitor is not monitor):
                monitor.start()

    def _with_parents(self, stale: set[str], pause: Pause) -> set[str]:
        """Services that are stale because one below them is; they are marked to be built anew."""
        parents: dict[str, list[str]] = {}
        if stale:
            for state in self.services.values():
                for child in state.children():
                    parents.setdefault(child, []).append(state.name)
                pause()
        pending, result = list(stale), set(stale)
        while pending:
            for parent in parents.get(pending.pop(), ()):
                if parent not in result:
                    result.add(parent)
                    pending.append(parent)
                    old = self.services[parent]
                    self.services[parent] = ServiceState(parent, old.config, old.servers)
        return result

    def _update_routers(self, names: Iterable[str], changes: Changes, pause: Pause, before: Runtime) -> set[str]:
        """Compile the named routers again; return the names of all states that went, came or changed."""
        touched: set[str] = set()
        names = families_of(names, (before.children, self.children), before.configured | self.configured)
        for name in names:
            for copy in before._copies(name, before.configured.get(name)):
                touched.add(copy.name)
            touched.add(name)
        for name in touched:
            self._forget_failures(self.routers.pop(name, None))
        builders = self._builders()
        for name in sorted(names):
            for copy in self._copies(name, self.configured.get(name)):
                self.routers[copy.name] = build_router(copy, name, builders)
                touched.add(copy.name)
            pause()
        for name in names:
            if name in self.configured and self.configured[name].parent_refs:
                self.routers[name] = builders.built.get(name) or build_unreachable(name, builders)
        return touched

    def _update_configured(self, changes: Mapping[str, Router | None], before: Runtime) -> None:
        has_family = False
        for name, config in changes.items():
            old = self.configured.pop(name, None)
            if config is not None:
                self.configured[name] = config
            has_family |= bool((old and old.parent_refs) or (config and config.parent_refs))
        self.children = children_of(self.configured) if has_family else before.children

    def _builders(self) -> Builders:
        where = self.environment
        chains = Chains(self.middlewares, where.surroundings)
        services = ServiceBuilder(self.services, where.internal, self.transports, chains, where.health)
        return Builders(where, services, chains, self.tls, self.configured, self.children, {})

    def _forget_failures(self, router: RouterState | None) -> None:
        """What middlewares could not be built for the router is not true any more."""
        if router is None:
            return
        for name in router.middlewares:
            if name in self.middlewares:
                self.middlewares[name].failures.pop(router.name, None)

    def attached_as(self, name: str) -> list[str]:
        """Names of the copies that the router configured as `name` is attached as; its own if there are none."""
        return [copy.name for copy in self._copies(name, self.configured.get(name))] or [name]

    def _copies(self, name: str, config: Router | None) -> Iterable[Copy]:
        if config is None:
            return ()
        where = self.environment
        return copies(name, config, where.default_entry_points, where.models, self.books)


def _updated_tables(
    tables: Mapping[str, RoutingTable],
    old: Runtime,
    new: Runtime,
    names: Iterable[str],
    mounted: Callable[[RouterState | None], Sequence[str]],
) -> dict[str, RoutingTable]:
    """`tables` with the routes of `names` exchanged; one that nothing touched stays the same object."""
    removed: dict[str, set[str]] = {}
    added: dict[str, list[Route]] = {}
    for name in names:
        for entry_point in mounted(old.routers.get(name)):
            removed.setdefault(entry_point, set()).add(name)
        state = new.routers.get(name)
        for entry_point in mounted(state):
            assert state is not None
            assert state.route is not None
            added.setdefault(entry_point, []).append(state.route)
    updated = dict(tables)
    for entry_point in removed.keys() | added.keys():
        updated[entry_point] = updated[entry_point].replaced(
            removed.get(entry_point, ()), added.get(entry_point, ())
        )
    return updated


def _mounted(state: RouterState | None) -> Sequence[str]:
    """Entry points whose plaintext table holds the router; one with `tls` never answers plaintext."""
    if state is None or state.route is None or state.critical or state.config.tls is not None:
        return ()
    return state.using


def _mounted_secure(state: RouterState | None) -> Sequence[str]:
    """Entry points whose table for TLS holds the router."""
    if state is None or state.route is None or state.critical or state.config.tls is None:
        return ()
    return state.using


def shown_certificates(runtime: Runtime) -> list[Certificate]:
    """All that handshakes may show, but for the one of last resort."""
    store, generated = runtime.tls.store, runtime.environment.default_certificate
    default = store.default.certificates if store.default is not None and store.default != generated else ()
    return [*store.certificates, *default]
