"""What became of every router and service: the ledger behind the routing tables and the API.

A Runtime is immutable once published. `updated` makes the next one at a cost that follows the change: only
routers that changed, or whose service had to be rebuilt, are compiled again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy as shallow_copy

import msgspec

from config.http import Router, Server, ServersTransport, Service
from config.layer4 import TCPMiddleware, TCPRouter, TCPServersTransport, TCPService, UDPRouter, UDPService
from config.middlewares import Middleware
from tls.certificates import Certificate
from tls.claims import OptionBook
from tls.selection import OptionClaim, TLSTable
from workers.copy_names import CopyNames
from workers.environment import Environment
from workers.middlewares.chains import Chains, MiddlewareState
from workers.mounting import mounted, mounted_secure, updated_tables
from workers.pacing import Pause, paced
from workers.router_tls import Books, Copy, claims_of, copies, updated_books
from workers.router_trees import Children, children_of, families_of
from workers.routers import Builders, RouterState, build_router, build_unreachable
from workers.routing.table import RoutingTable
from workers.services import ServiceBuilder, ServiceState, Swap
from workers.tcp.environment import TCPEnvironment
from workers.tcp.runtime import TCPChanges, TCPRuntime
from workers.tls_state import TLSChanges, TLSState
from workers.udp.runtime import UDPRuntime
from workers.upstream.monitoring import Monitor
from workers.watching import settle, wanted_monitors


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
        "copy_names",
        "endpoints",
        "environment",
        "middlewares",
        "monitors",
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
        self.copy_names = CopyNames(environment.entry_points, environment.models)
        self.children: Children = {}
        self.routers: dict[str, RouterState] = {}
        self.services: dict[str, ServiceState] = {}
        self.checked: set[str] = set()
        """Names of services with health checks."""
        self.monitors: Mapping[str, Monitor] = {}
        """Those that are at work, by service."""
        self.middlewares: dict[str, MiddlewareState] = {}
        self.endpoints: dict[str, list[Server]] = {}
        self.tls = TLSState(environment.default_certificate)
        self.books: Books = {name: OptionBook() for name in environment.entry_points}
        self.tables: dict[str, RoutingTable] = {
            name: environment.table_type.build(()) for name in environment.entry_points
        }
        self.secure_tables = self.tables.copy()
        self.tls_tables = self._hello_tables()
        self.tcp = TCPRuntime(TCPEnvironment.of(environment))
        self.udp = UDPRuntime(environment.udp_entry_points)
        self.transports = environment.transports

    def updated(self, number: int, changes: Changes, pause: Pause) -> Runtime:
        """The next runtime, to be put in force at once.

        What nothing touched is shared with this one. Of this one only the servers behind surviving load balancers
        are touched, and nothing if it fails.
        """
        new = shallow_copy(self)
        new.number = number
        swaps: list[Swap] = []
        other = new._update_middlewares(changes.middlewares)
        new.transports, reached = self.transports.updated(changes.servers_transports, pause)
        rebuilt = new._update_services(changes, other, reached, swaps, pause)
        new.tls, stale_options = self.tls.updated(changes.tls, pause)
        names = set(changes.routers) | self._leading_to(rebuilt, other, stale_options, pause)
        new.books, turned = updated_books(self.books, changes.routers, new._claims, pause)
        names |= turned
        new._update_configured(changes.routers, self, pause)
        touched = new._update_routers(names, pause, self)
        new.tables = updated_tables(self.tables, self.routers, new.routers, touched, mounted, pause)
        new.secure_tables = updated_tables(
            self.secure_tables, self.routers, new.routers, touched, mounted_secure, pause
        )
        if changes.tls or new.books != self.books:
            new.tls_tables = new._hello_tables()
        new.tcp = self.tcp.updated(changes.tcp, new.tls, stale_options, pause)
        new.udp = self.udp.updated(changes.udp_routers, changes.udp_services, self.environment, pause)
        if touched or rebuilt:
            new.monitors = wanted_monitors(new.routers.values(), new.services, new.checked, pause)
        present = {name: one for name, one in paced(changes.endpoints.items(), pause) if one is not None}
        gone = changes.endpoints.keys() - present.keys()
        pause()
        new._commit(swaps, gone, present, self)
        return new

    def _leading_to(self, services: set[str], middlewares: set[str], options: set[str], pause: Pause) -> set[str]:
        """Names under which the routers are configured that have to do with one of these."""
        return {
            one.source
            for one in (paced(self.routers.values(), pause) if services or middlewares or options else ())
            if not (one.services.isdisjoint(services) and one.middlewares.isdisjoint(middlewares))
            or (one.config.tls and not options.isdisjoint((one.asked_option, one.tls_option)))
        }

    def _commit(
        self, swaps: Iterable[Swap], gone: Iterable[str], endpoints: dict[str, list[Server]], before: Runtime
    ) -> None:
        """What touches the living, last and in one go: no request may meet new servers behind an old route."""
        for swap in swaps:
            swap.carry_out()
        for name in gone:
            self.endpoints.pop(name, None)
        self.endpoints.update(endpoints)
        settle(before.monitors, self.monitors)
        self.transports.retire()

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
        if changes:
            self.middlewares = self.middlewares.copy()
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
        stale = set(changes.services)
        for state in paced(self.services.values(), pause) if middlewares or transports else ():
            if not state.middlewares.isdisjoint(middlewares) or state.transport in transports:
                stale.add(state.name)
        for name, servers in changes.endpoints.items():
            living = self.services.get(name)
            if living is not None and name not in stale:
                swap = living.swapped(servers or [])
                if swap is not None:
                    swaps.append(swap)
                else:
                    stale.add(name)
            pause()
        if stale:
            self.services, self.checked = self.services.copy(), self.checked.copy()
        for name in paced(stale, pause):
            before = self.services.pop(name, None)
            self.checked.discard(name)
            config = before.config if before is not None else None
            if before is not None:
                self._forget_failures(before.owner, before.middlewares)
            config = changes.services.get(name, config)
            if config is not None:
                self._renew(name, config, changes.endpoints)
        return self._with_parents(stale, changes.endpoints, pause)

    def _renew(self, name: str, config: Service, endpoints: Mapping[str, list[Server] | None]) -> None:
        """The service is to be built anew, with the servers that it will have."""
        servers = endpoints[name] if name in endpoints else self.endpoints.get(name)
        state = self.services[name] = ServiceState(name, config, servers or [])
        if state.is_checked:
            self.checked.add(name)

    def _with_parents(
        self, stale: set[str], endpoints: Mapping[str, list[Server] | None], pause: Pause
    ) -> set[str]:
        """Services that are stale because one below them is; they are marked to be built anew."""
        parents: dict[str, list[str]] = {}
        for state in paced(self.services.values(), pause) if stale else ():
            for child in state.children():
                parents.setdefault(child, []).append(state.name)
        pending, result = list(stale), set(stale)
        while pending:
            for parent in parents.get(pending.pop(), ()):
                if parent not in result:
                    result.add(parent)
                    pending.append(parent)
                    former = self.services[parent]
                    self._forget_failures(former.owner, former.middlewares)
                    self._renew(parent, former.config, endpoints)
            pause()
        return result

    def _update_routers(self, names: Iterable[str], pause: Pause, before: Runtime) -> set[str]:
        """Compile the named routers again; return the names of all states that went, came or changed."""
        touched: set[str] = set()
        names, families = self._with_renamed(names, before, pause), (before.children, self.children)
        names = families_of(names, families, (before.configured, self.configured))
        if not names:
            return touched
        self.routers = self.routers.copy()
        for name in paced(names, pause):
            for copy in before._copies(name, before.configured.get(name)):
                touched.add(copy.name)
            if name in before.configured:  # what is not may be what another router's copy is called
                touched.add(name)
        for name in paced(touched, pause):
            former = self.routers.pop(name, None)
            if former is not None:
                self._forget_failures(former.name, former.middlewares)
        builders = self._builders()
        for name in sorted(names):
            for copy in self._copies(name, self.configured.get(name)):
                self.routers[copy.name] = build_router(copy, name, builders)
                touched.add(copy.name)
            pause()
        for name in paced(names, pause):
            if name in self.configured and self.configured[name].parent_refs:
                self.routers[name] = builders.built.get(name) or build_unreachable(name, builders)
        return touched

    def _with_renamed(self, names: Iterable[str], before: Runtime, pause: Pause) -> set[str]:
        """With the routers whose copies may be called otherwise, since another came or went."""
        found = set(names)
        for name in paced(list(found), pause):
            if (name in self.configured) != (name in before.configured):
                found.update(other for other in self.copy_names.touched_by(name) if other in self.configured)
        return found

    def _update_configured(self, changes: Mapping[str, Router | None], before: Runtime, pause: Pause) -> None:
        has_family = False
        if changes:
            self.configured = self.configured.copy()
        for name, config in paced(changes.items(), pause):
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

    def _forget_failures(self, owner: str, middlewares: Iterable[str]) -> None:
        """That some of these could not be built for the router or service is not true any more."""
        for name in middlewares:
            if name in self.middlewares:
                self.middlewares[name].failures.pop(owner, None)

    def attached_as(self, name: str) -> list[str]:
        """Names of the copies that the router configured as `name` is attached as; its own if there are none."""
        return [copy.name for copy in self._copies(name, self.configured.get(name))] or [name]

    def _copies(self, name: str, config: Router | None) -> Iterable[Copy]:
        if config is None:
            return ()
        where = self.environment
        return copies(name, config, where.default_entry_points, where.models, self.books, self._copy_name)

    def _copy_name(self, usual: str, source: str) -> str:
        return self.copy_names.name_of(usual, source, self.configured)


def shown_certificates(runtime: Runtime) -> list[Certificate]:
    """All that handshakes may show, but for the one of last resort."""
    store, generated = runtime.tls.store, runtime.environment.default_certificate
    default = store.default.certificates if store.default is not None and store.default != generated else ()
    return [*store.certificates, *default]
