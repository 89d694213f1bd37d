"""From a router's configuration to a compiled route, or to the reasons why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from config.http import Router
from config.names import PROVIDER_INTERNAL, provider_of, resolve_reference
from config.rules import RuleError
from tls.claims import Fall
from tls.selection import DEFAULT_OPTION
from workers.building import BuildError
from workers.environment import Environment
from workers.exchange import Handler
from workers.middlewares.chains import Chains
from workers.models import Model
from workers.router_tls import CONFLICT, Copy, fall_message, option_of, same_option
from workers.router_trees import Children, misplaced, muxer, parents_of
from workers.routing.flat import flat_predicate
from workers.routing.predicate import predicate_of
from workers.routing.table import Route, compile_route
from workers.services import ServiceBuilder
from workers.tls_state import TLSState
from workers.visibility import visibility

LARGEST_USER_PRIORITY: Final = (1 << 63) - 1 - 1000


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
        "is_contradictory",
        "middlewares",
        "name",
        "priority",
        "qualified_middlewares",
        "route",
        "services",
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
        self.is_contradictory = False
        """It is shown as disabled, but it is served."""
        self.priority = config.priority
        self.qualified_middlewares = False
        self.route: Route | None = None
        self.middlewares: set[str] = set()
        """Qualified names of all that it was built with, or could not be built without."""
        self.services: set[str] = {self.service} if config.service else set()
        """Qualified names of those that it leads to, by way of middlewares too."""

    @property
    def status(self) -> str:
        if self.critical or self.is_contradictory:
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


class Builders(NamedTuple):
    """What routers are built from, in one configuration."""

    environment: Environment
    services: ServiceBuilder
    chains: Chains
    tls: TLSState
    configured: Mapping[str, Router]
    children: Children
    built: dict[str, RouterState]
    """Routers under others, by name: they are built with the first of their parents."""


def build_router(copy: Copy, source: str, builders: Builders) -> RouterState:
    """Compile one router; whatever is wrong ends in its errors, never in an exception."""
    config, environment = copy.config, builders.environment
    state = RouterState(copy.name, config, source, copy.fall)
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
            state.route = _compile(state, copy.model, builders)
        except BuildError as error:
            state.fail(str(error))
    if copy.fall is not None:
        _note_fall(state, copy.fall, environment)
    if copy.usual:
        state.errors.append(f"the name {copy.usual} is another router's, this one is called {copy.name} instead")
    return state


def _child(name: str, builders: Builders, above: tuple[str, ...]) -> RouterState:
    """A router under others, built once for all of them."""
    state = builders.built.get(name)
    if state is not None:
        return state
    config = builders.configured[name]
    state = builders.built[name] = RouterState(name, config, name)
    for message in orphaned(name, builders):
        state.fail(message)
    for child in builders.children.get(name, ()):
        if child in (*above, name):
            ring = (*above, name)[(*above, name).index(child) :]
            state.errors.append(f"cyclic reference detected in router tree: {' -> '.join((*ring, child))}")
    if state.priority == 0:
        state.priority = len(config.rule.encode())
    if not state.errors:
        try:
            state.route = _compile(state, None, builders, above)
        except BuildError as error:
            state.fail(str(error))
    return state


def orphaned(name: str, builders: Builders) -> Iterator[str]:
    """Why a router cannot be under those that it names."""
    config = builders.configured[name]
    for parent in parents_of(name, config):
        if parent not in builders.configured:
            yield f'parent router "{parent}" does not exist'
    yield from misplaced(config)


def build_unreachable(name: str, builders: Builders) -> RouterState:
    """The state of a router under others to which no root leads."""
    state = RouterState(name, builders.configured[name], name)
    for message in (*orphaned(name, builders), "router is not reachable"):
        state.fail(message)
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


def _compile(state: RouterState, model: Model | None, builders: Builders, above: tuple[str, ...] = ()) -> Route:
    name, config, environment = state.name, state.config, builders.environment
    is_internal = provider_of(name) == PROVIDER_INTERNAL
    if state.priority > LARGEST_USER_PRIORITY and not is_internal:
        raise BuildError(
            f"the router priority {state.priority} exceeds the max user-defined priority {LARGEST_USER_PRIORITY}"
        )
    if not config.service and state.source not in builders.children:
        state.fail("router has no service and no child routers")
        raise BuildError("router must have either a service or child routers")
    state.qualified_middlewares = True
    problem = builders.tls.problem(state.asked_option) if config.tls is not None else ""
    if problem:
        raise BuildError(f"building router handler: {problem}")
    handler = _chained(state, _target(state, builders, above), builders)
    if config.tls is not None:
        handler = same_option(builders.tls.admission(state.tls_option), handler)
    if model is not None:
        handler = model(handler)
    syntax = "v3" if is_internal else config.rule_syntax or environment.default_rule_syntax
    try:
        precedence = environment.precedence_of(name)
        predicate = flat_predicate if environment.flattens else predicate_of
        route = compile_route(name, config.rule, syntax, state.priority, handler, precedence, predicate)
        route.visible = visibility(config, state.service, environment.surroundings.static)
        route.service = state.service or f"{name}-muxer"
        metadata = config.observability.metadata if config.observability is not None else None
        route.source = metadata.ingress if metadata is not None else None
        return route
    except RuleError as error:
        if config.tls is not None:
            state.fail(f"error while parsing rule {config.rule}: {error}")
            raise BuildError(f"invalid rule {config.rule}, error: error while {error}") from error
        raise BuildError(f"error while parsing rule {config.rule}: {error}") from error


def _target(state: RouterState, builders: Builders, above: tuple[str, ...]) -> Handler:
    """What the router leads to: its children, if it has some, else its service."""
    children = builders.children.get(state.source)
    if not children:
        return builders.services.handler(state.service)
    if state.config.service:
        state.is_contradictory = True
        state.errors.append("router has both a service and is referenced as a parent by other routers")
    path = (*above, state.source)
    states = [_child(name, builders, path) for name in children if name not in path]
    usable = [one.route for one in states if one.route is not None and not one.errors]
    if not usable:
        skipped = len(states)
        raise BuildError(
            f"building child routers muxer: no child routers could be added to muxer ({skipped} skipped)"
        )
    return muxer(usable, builders.environment.table_type)


def _chained(state: RouterState, handler: Handler, builders: Builders) -> Handler:
    """The router's target behind its middlewares."""

    def service(name: str) -> Handler:
        state.services.add(name)
        return builders.services.handler(name)

    wrap = builders.chains.build(state.config.middlewares, state.name, state.name, service, state.middlewares)
    return wrap(handler) if wrap is not None else handler
