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
from workers.exchange import Handler
from workers.models import Model, per_entry_point
from workers.proxy import Balancer, ServiceHandler
from workers.routing.table import Route, RoutingTable, compile_route
from workers.services import BuildError, ServiceBuilder, ServiceState, server_balancer
from workers.upstream.transport import Transport

LARGEST_USER_PRIORITY: Final = (1 << 63) - 1 - 1000
DEFAULT_TLS_OPTIONS: Final = "default"


class Changes(msgspec.Struct):
    """What differs from the running configuration; None means: gone. Names are qualified."""

    routers: dict[str, Router | None] = {}
    services: dict[str, Service | None] = {}
    endpoints: dict[str, list[Server] | None] = {}


class RouterState:
    """One router: its configuration, where it is attached, and why it is not if it is not.

    `source` is the name it was configured under; copies for entry points with a model have names of their own.
    """

    __slots__ = (
        "config",
        "critical",
        "errors",
        "name",
        "priority",
        "qualified_middlewares",
        "route",
        "source",
        "using",
    )

    def __init__(self, name: str, config: Router, source: str) -> None:
        self.name = name
        self.source = source
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

    def precedence_of(self, router: str) -> int:
        """Place of the router's provider; one that is not listed comes last."""
        provider = provider_of(router)
        return self.precedence.index(provider) if provider in self.precedence else len(self.precedence)


Swap = tuple[ServiceHandler, Balancer]
"""A living load balancer and its new servers."""

Pause = Callable[[], None]
"""Called between units of work, so that requests never wait long for a change."""


class Runtime:
    """Routers, services and a routing table for each entry point.

    `configured` holds the routers as they came, `routers` what became of them.
    """

    __slots__ = ("configured", "endpoints", "environment", "number", "routers", "services", "tables")

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.number = 0
        self.configured: dict[str, Router] = {}
        self.routers: dict[str, RouterState] = {}
        self.services: dict[str, ServiceState] = {}
        self.endpoints: dict[str, list[Server]] = {}
        self.tables: dict[str, RoutingTable] = {name: RoutingTable.build(()) for name in environment.entry_points}

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
        names = set(changes.routers)
        if rebuilt:
            names.update(state.source for state in self.routers.values() if state.service in rebuilt)
        touched = new._update_routers(names, changes, pause)
        new.tables = _updated_tables(self, new, touched)
        for handler, balancer in swaps:  # last: no request may meet new servers behind an old route
            handler.balancer = balancer
        return new

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

    def _update_routers(self, names: Iterable[str], changes: Changes, pause: Pause) -> set[str]:
        """Compile the named routers again; return the names of all states that went, came or changed."""
        environment, touched = self.environment, set()
        builder = ServiceBuilder(self.services, environment.internal, environment.transports)
        for name in sorted(names):
            old = self.configured.pop(name, None)
            config = changes.routers.get(name, old)
            for own_name, _, _ in self._attached(name, old):
                self.routers.pop(own_name, None)
                touched.add(own_name)
            for own_name, router, model in self._attached(name, config):
                self.routers[own_name] = build_router(own_name, router, name, model, environment, builder)
                touched.add(own_name)
            if config is not None:
                self.configured[name] = config
            pause()
        return touched

    def _attached(self, name: str, config: Router | None) -> Iterable[tuple[str, Router, Model | None]]:
        if config is None:
            return ()
        if config.parent_refs:
            return ((name, config, None),)
        environment = self.environment
        return per_entry_point(name, config, environment.default_entry_points, environment.models)


def build_router(
    name: str,
    config: Router,
    source: str,
    model: Model | None,
    environment: Environment,
    builder: ServiceBuilder,
) -> RouterState:
    """Compile one router; whatever is wrong ends in its errors, never in an exception."""
    state = RouterState(name, config, source)
    if config.parent_refs:
        state.fail("multi-layer routing (parentRefs) is not served by this version of Pointsman")
        return state
    _attach(state, environment)
    if not state.using:
        state.fail("no valid entryPoint for this router")
        return state
    if state.priority == 0:
        state.priority = len(config.rule.encode())
    try:
        state.route = _compile(state, model, environment, builder)
    except BuildError as error:
        state.fail(str(error))
    return state


def _attach(state: RouterState, environment: Environment) -> None:
    for entry_point in state.config.entry_points or environment.default_entry_points:
        if entry_point not in environment.entry_points:
            state.errors.append(f'entryPoint "{entry_point}" doesn\'t exist')
        elif entry_point not in state.using:
            state.using.append(entry_point)
    state.using.sort()


def _compile(state: RouterState, model: Model | None, environment: Environment, builder: ServiceBuilder) -> Route:
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
    handler = builder.handler(state.service)
    if model is not None:
        handler = model(handler)
    if config.middlewares:
        missing = resolve_reference(config.middlewares[-1], name)
        raise BuildError(f'middleware "{missing}" does not exist')
    options = config.tls.options if config.tls else ""
    if options and options != DEFAULT_TLS_OPTIONS:
        raise BuildError(f"building router handler: unknown TLS options: {resolve_reference(options, name)}")
    syntax = "v3" if is_internal else config.rule_syntax or environment.default_rule_syntax
    try:
        precedence = environment.precedence_of(name)
        return compile_route(name, config.rule, syntax, state.priority, handler, precedence)
    except RuleError as error:
        raise BuildError(f"error while parsing rule {config.rule}: {error}") from error


def _updated_tables(old: Runtime, new: Runtime, names: Iterable[str]) -> dict[str, RoutingTable]:
    """Tables with the routes of `names` exchanged; a table that nothing touched stays the same object."""
    removed: dict[str, set[str]] = {}
    added: dict[str, list[Route]] = {}
    for name in names:
        for entry_point in _mounted(old.routers.get(name)):
            removed.setdefault(entry_point, set()).add(name)
        state = new.routers.get(name)
        for entry_point in _mounted(state):
            assert state is not None
            assert state.route is not None
            added.setdefault(entry_point, []).append(state.route)
    tables = old.tables.copy()
    for entry_point in removed.keys() | added.keys():
        tables[entry_point] = tables[entry_point].replaced(
            removed.get(entry_point, ()), added.get(entry_point, ())
        )
    return tables


def _mounted(state: RouterState | None) -> Sequence[str]:
    """Entry points whose plaintext table holds the router; one with `tls` never answers plaintext."""
    if state is None or state.route is None or state.critical or state.config.tls is not None:
        return ()
    return state.using
