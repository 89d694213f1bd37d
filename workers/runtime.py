"""What became of every router and service: the ledger behind the routing tables and the API.

A Runtime is immutable once published. `updated` makes the next one at a cost that follows the change: only
routers that changed, or whose service had to be rebuilt, are compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from config.http import Router, Server, Service
from config.names import PROVIDER_INTERNAL, provider_of, resolve_reference
from config.rules import RuleError
from tls.claims import Fall, OptionBook
from tls.selection import DEFAULT_OPTION, OptionClaim, TLSTable
from tls.store import Bundle
from workers.exchange import Handler
from workers.models import Model
from workers.proxy import Balancer, ServiceHandler
from workers.router_tls import (
    CONFLICT,
    Books,
    Copy,
    claims_of,
    copies,
    fall_message,
    option_of,
    same_option,
    updated_books,
)
from workers.routing.table import Route, RoutingTable, compile_route
from workers.services import BuildError, ServiceBuilder, ServiceState, server_balancer
from workers.tls_state import TLSChanges, TLSState
from workers.upstream.transport import Transport

LARGEST_USER_PRIORITY: Final = (1 << 63) - 1 - 1000


class Changes(msgspec.Struct):
    """What differs from the running configuration; None means: gone. Names are qualified."""

    routers: dict[str, Router | None] = {}
    services: dict[str, Service | None] = {}
    endpoints: dict[str, list[Server] | None] = {}
    tls: TLSChanges = msgspec.field(default_factory=TLSChanges)


class RouterState:
    """One router: its configuration, where it is attached, and why it is not if it is not.

    `source` is the name it was configured under; copies for entry points with a model, or with a quarrel over
    TLS options, have names of their own. `fall`: why it gets the default option instead of the one it asks for.
    """

    __slots__ = (
        "config",
        "critical",
        "errors",
        "fall",
        "name",
        "priority",
        "qualified_middlewares",
        "route",
        "source",
        "using",
    )

    def __init__(self, name: str, config: Router, source: str, fall: Fall | None = None) -> None:
        self.name = name
        self.source = source
        self.fall = fall
        self.config = config
        self.using: list[str] = []
        self.errors: list[str] = []
        self.critical = False
        self.priority = config.priority
        self.qualified_middlewares = False
        self.route: Route | None = None

    @property
    def status(self) -> str:
        if self.critical:
            return "disabled"
        return "warning" if self.errors else "enabled"

    @property
    def asked_option(self) -> str:
        """Qualified name of the TLS option that it asks for."""
        return option_of(self.name, self.config)

    @property
    def tls_option(self) -> str:
        """Qualified name of the TLS option that connections for it are made with."""
        return DEFAULT_OPTION if self.fall is not None else self.asked_option

    @property
    def service(self) -> str:
        """Qualified name of the service, empty if there is none."""
        return resolve_reference(self.config.service, self.name) if self.config.service else ""

    def fail(self, message: str) -> None:
        self.critical = True
        if message not in self.errors:
            self.errors.append(message)

    def __repr__(self) -> str:
        return f"<RouterState {self.name} {self.status} {'; '.join(self.errors)}>"


class Environment(msgspec.Struct, frozen=True):
    """What does not change with the dynamic configuration."""

    entry_points: frozenset[str]
    default_entry_points: Sequence[str]
    default_rule_syntax: str
    internal: Callable[[str], Handler | str]
    transports: Mapping[str, Transport]
    models: Mapping[str, Model]
    precedence: Sequence[str] = ()
    """Providers whose routers win among equal priorities, first to last."""
    default_certificate: Bundle | None = None
    strict_tls_options: bool = False

    def precedence_of(self, router: str) -> int:
        """Place of the router's provider; one that is not listed comes last."""
        provider = provider_of(router)
        return self.precedence.index(provider) if provider in self.precedence else len(self.precedence)


Swap = tuple[ServiceHandler, Balancer]
"""A living load balancer and its new servers."""

Pause = Callable[[], None]
"""Called between units of work, so that requests never wait long for a change."""


class Runtime:
    """Routers, services, and for each entry point two routing tables and what TLS handshakes are decided by.

    `configured` holds the routers as they came, `routers` what became of them. `tables` are for requests in
    plaintext, `secure_tables` for those through TLS.
    """

    __slots__ = (
        "books",
        "configured",
        "endpoints",
        "environment",
        "number",
        "routers",
        "secure_tables",
        "services",
        "tables",
        "tls",
        "tls_tables",
    )

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.number = 0
        self.configured: dict[str, Router] = {}
        self.routers: dict[str, RouterState] = {}
        self.services: dict[str, ServiceState] = {}
        self.endpoints: dict[str, list[Server]] = {}
        self.tls = TLSState(environment.default_certificate)
        self.books: Books = {name: OptionBook() for name in environment.entry_points}
        self.tables: dict[str, RoutingTable] = {name: RoutingTable.build(()) for name in environment.entry_points}
        self.secure_tables = self.tables.copy()
        self.tls_tables = self._hello_tables()

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
        swaps: list[Swap] = []
        rebuilt = new._update_services(changes, swaps)
        new.tls, stale_options = self.tls.updated(changes.tls, pause)
        names = set(changes.routers)
        if rebuilt:
            names.update(state.source for state in self.routers.values() if state.service in rebuilt)
        if stale_options:
            names.update(
                one.source for one in self.routers.values() if one.config.tls and one.asked_option in stale_options
            )
        new.books, turned = updated_books(self.books, changes.routers, new._claims, pause)
        names |= turned
        touched = new._update_routers(names, changes, pause, self)
        new.tables = _updated_tables(self.tables, self, new, touched, _mounted)
        new.secure_tables = _updated_tables(self.secure_tables, self, new, touched, _mounted_secure)
        if changes.tls or new.books != self.books:
            new.tls_tables = new._hello_tables()
        else:
            new.tls_tables = self.tls_tables
        for handler, balancer in swaps:  # last: no request may meet new servers behind an old route
            handler.balancer = balancer
        return new

    def _hello_tables(self) -> dict[str, TLSTable]:
        tls = self.tls
        return {name: TLSTable(tls.store, tls.settings, book.hosts) for name, book in self.books.items()}

    def _claims(self, name: str, config: Router) -> dict[str, OptionClaim]:
        """What the router asks of TLS, by entry point."""
        where = self.environment
        return claims_of(
            name, config, where.default_entry_points, where.models, where.entry_points, where.default_rule_syntax
        )

    def _update_services(self, changes: Changes, swaps: list[Swap]) -> set[str]:
        """Apply service and endpoint changes; return the names of services whose handler is another now.

        Load balancers that go on living with other servers are added to `swaps`.
        """
        for name, servers in changes.endpoints.items():
            if servers is None:
                self.endpoints.pop(name, None)
            else:
                self.endpoints[name] = servers
        stale: set[str] = set()
        for name, config in changes.services.items():
            self.services.pop(name, None)
            if config is not None:
                self.services[name] = ServiceState(name, config, self.endpoints.get(name, []))
            stale.add(name)
        for name, servers in changes.endpoints.items():
            if name not in stale and name in self.services and not self._swap_servers(name, servers or [], swaps):
                stale.add(name)
        return self._with_parents(stale)

    def _swap_servers(self, name: str, servers: list[Server], swaps: list[Swap]) -> bool:
        """Plan to give a living load balancer its new servers; False if it has to be built again."""
        old = self.services[name]
        state = ServiceState(name, old.config, servers)
        self.services[name] = state
        handler = old.handler
        if not isinstance(handler, ServiceHandler):
            return not old.built
        try:
            swaps.append((handler, server_balancer(servers)))
        except BuildError:
            return False
        state.handler, state.built = handler, True
        return True

    def _with_parents(self, stale: set[str]) -> set[str]:
        """Services that are stale because one below them is; they are marked to be built anew."""
        parents: dict[str, list[str]] = {}
        if stale:
            for state in self.services.values():
                for child in state.children():
                    parents.setdefault(child, []).append(state.name)
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
        builder = ServiceBuilder(self.services, self.environment.internal, self.environment.transports)
        for name in sorted(names):
            old = self.configured.pop(name, None)
            config = changes.routers.get(name, old)
            for copy in before._copies(name, old):
                self.routers.pop(copy.name, None)
                touched.add(copy.name)
            for copy in self._copies(name, config):
                self.routers[copy.name] = build_router(copy, name, self.environment, builder, self.tls)
                touched.add(copy.name)
            if config is not None:
                self.configured[name] = config
            pause()
        return touched

    def _copies(self, name: str, config: Router | None) -> Iterable[Copy]:
        if config is None:
            return ()
        where = self.environment
        return copies(name, config, where.default_entry_points, where.models, self.books)


def build_router(
    copy: Copy, source: str, environment: Environment, builder: ServiceBuilder, tls: TLSState
) -> RouterState:
    """Compile one router; whatever is wrong ends in its errors, never in an exception."""
    config = copy.config
    state = RouterState(copy.name, config, source, copy.fall)
    if config.parent_refs:
        state.fail("multi-layer routing (parentRefs) is not served by this version of Pointsman")
        return state
    _attach(state, environment)
    if not state.using:
        state.fail("no valid entryPoint for this router")
        return state
    if state.priority == 0:
        state.priority = len(config.rule.encode())
    if copy.fall is not None and environment.strict_tls_options:
        state.fail(CONFLICT)
    else:
        try:
            state.route = _compile(state, copy.model, environment, builder, tls)
        except BuildError as error:
            state.fail(str(error))
    if copy.fall is not None:
        _note_fall(state, copy.fall, environment)
    return state


def _note_fall(state: RouterState, fall: Fall, environment: Environment) -> None:
    message = fall_message(fall, state.asked_option, state.config.rule, strict=environment.strict_tls_options)
    if message:
        state.errors.append(message)


def _attach(state: RouterState, environment: Environment) -> None:
    for entry_point in state.config.entry_points or environment.default_entry_points:
        if entry_point not in environment.entry_points:
            state.errors.append(f'entryPoint "{entry_point}" doesn\'t exist')
        elif entry_point not in state.using:
            state.using.append(entry_point)
    state.using.sort()


def _compile(
    state: RouterState, model: Model | None, environment: Environment, builder: ServiceBuilder, tls: TLSState
) -> Route:
    name, config = state.name, state.config
    is_internal = provider_of(name) == PROVIDER_INTERNAL
    if state.priority > LARGEST_USER_PRIORITY and not is_internal:
        raise BuildError(
            f"the router priority {state.priority} exceeds the max user-defined priority {LARGEST_USER_PRIORITY}"
        )
    if not config.service:
        state.fail("router has no service and no child routers")
        raise BuildError("router must have either a service or child routers")
    state.qualified_middlewares = True
    problem = tls.problem(state.asked_option) if config.tls is not None else ""
    if problem:
        raise BuildError(f"building router handler: {problem}")
    handler = builder.handler(state.service)
    if config.middlewares:
        missing = resolve_reference(config.middlewares[-1], name)
        raise BuildError(f'middleware "{missing}" does not exist')
    if config.tls is not None:
        handler = same_option(state.tls_option, handler)
    if model is not None:
        handler = model(handler)
    syntax = "v3" if is_internal else config.rule_syntax or environment.default_rule_syntax
    try:
        precedence = environment.precedence_of(name)
        return compile_route(name, config.rule, syntax, state.priority, handler, precedence)
    except RuleError as error:
        if config.tls is not None:
            state.fail(f"error while parsing rule {config.rule}: {error}")
            raise BuildError(f"invalid rule {config.rule}, error: error while {error}") from error
        raise BuildError(f"error while parsing rule {config.rule}: {error}") from error


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
