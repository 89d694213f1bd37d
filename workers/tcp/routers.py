"""One TCP router: attached to entry points, compiled to a route on each, or the reasons why not.

The checks come in the original's order and in its words.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from config import rules
from config.layer4 import TCPRouter
from config.names import resolve_reference
from config.rule_matchers import Form, Table
from config.rule_matchers_tcp import ANY_NAME, TCP, V3
from config.rules import Matcher, Not, RuleError, Tree
from tls.selection import DEFAULT_OPTION
from workers.building import BuildError
from workers.tcp.environment import TCPEnvironment
from workers.tcp.matchers import is_catch_all, needed_names, predicate_of, priority_of
from workers.tcp.middlewares import TCPMiddlewareState, build_guards
from workers.tcp.services import TCPServiceBuilder
from workers.tcp.serving import TCPHandler
from workers.tcp.table import TCPRoute
from workers.tls_state import TLSState

_ANY_VALUES: Final = dict.fromkeys(V3, Form(0, None, lambda values: None))
_LENIENT: Final = Table("TCP", v2=_ANY_VALUES, v3=_ANY_VALUES)
"""The same matchers with any values: these are looked at last."""
LARGEST_USER_PRIORITY: Final = (1 << 63) - 1 - 1000


class TCPRouterState:
    """One router: its configuration, where it is attached, and why it is not if it is not.

    `routes`: by entry point; also where it only closes the connections that its rule fits.
    """

    __slots__ = ("config", "critical", "errors", "name", "priority", "qualified_middlewares", "routes", "using")

    def __init__(self, name: str, config: TCPRouter) -> None:
        self.name = name
        self.config = config
        self.using: list[str] = []
        self.errors: list[str] = []
        self.critical = False
        self.priority = config.priority
        self.qualified_middlewares = False
        self.routes: dict[str, TCPRoute] = {}

    @property
    def status(self) -> str:
        if self.critical:
            return "disabled"
        return "warning" if self.errors else "enabled"

    @property
    def service(self) -> str:
        """Qualified name of the service, empty if there is none."""
        return resolve_reference(self.config.service, self.name) if self.config.service else ""

    @property
    def middlewares(self) -> list[str]:
        """Qualified names."""
        return [resolve_reference(one, self.name) for one in self.config.middlewares]

    @property
    def option(self) -> str:
        """Qualified name of the TLS option that connections are ended with; empty if they are not ended here."""
        tls = self.config.tls
        if tls is None or tls.passthrough:
            return ""
        asked = tls.options
        return resolve_reference(asked, self.name) if asked and asked != DEFAULT_OPTION else DEFAULT_OPTION

    def fail(self, message: str) -> None:
        self.critical = True
        if message not in self.errors:
            self.errors.append(message)

    def __repr__(self) -> str:
        return f"<TCPRouterState {self.name} {self.status} {'; '.join(self.errors)}>"


class Parts(NamedTuple):
    """What routers are made from."""

    environment: TCPEnvironment
    services: TCPServiceBuilder
    middlewares: dict[str, TCPMiddlewareState]
    tls: TLSState


def build_router(name: str, config: TCPRouter, parts: Parts) -> TCPRouterState:
    """Attach and compile one router; whatever is wrong ends in its errors, never in an exception."""
    state = TCPRouterState(name, config)
    _attach(state, parts.environment)
    if not state.using:
        state.fail("no valid entryPoint for this router")
        return state
    try:
        _compile(state, parts)
    except BuildError as error:
        state.fail(str(error))
    return state


def _attach(state: TCPRouterState, environment: TCPEnvironment) -> None:
    for entry_point in state.config.entry_points or environment.default_entry_points:
        if entry_point not in environment.entry_points:
            state.errors.append(f'entryPoint "{entry_point}" doesn\'t exist')
        elif entry_point not in state.using:
            state.using.append(entry_point)


def _compile(state: TCPRouterState, parts: Parts) -> None:
    """Fill in the routes. Raises BuildError; what is built before a rule's values are looked at stays built."""
    syntax = state.config.rule_syntax or parts.environment.default_rule_syntax
    drafted = _drafted(state, syntax)
    handlers = _handlers(state, parts)
    try:
        tree = rules.parse(state.config.rule, syntax, TCP)
    except RuleError as error:
        raise BuildError(f"error while adding rule {state.config.rule}: {error}") from error
    matches, names = predicate_of(tree, syntax), needed_names(tree)
    rank = (-state.priority, parts.environment.precedence_of(state.name), state.name)
    for entry_point, handler in handlers.items():
        state.routes[entry_point] = TCPRoute(
            state.name,
            matches,
            names,
            rank,
            handler,
            is_catch_all=is_catch_all(drafted),
            option=state.option,
            passthrough=state.config.tls is not None and state.config.tls.passthrough,
        )


def _drafted(state: TCPRouterState, syntax: str) -> Tree:
    """The rule, its values not looked at yet. Raises BuildError unless the router can be made of it."""
    config = state.config
    problem = ""
    try:
        tree: Tree | None = rules.parse(config.rule, syntax, _LENIENT)
    except RuleError as error:
        tree, problem = None, str(error)
    if state.priority == 0 and config.rule:
        state.priority = priority_of(config.rule, tree)
    if not config.service:
        raise BuildError("the service is missing on the router")
    if not config.rule:
        raise BuildError("router has no rule")
    quoted = f'"{_escaped(config.rule)}"'
    if tree is None:
        raise BuildError(f"invalid rule: {quoted} , {problem}")
    if config.tls is None and _first_name(tree) not in (None, ANY_NAME):
        raise BuildError(f"invalid rule: {quoted} , has HostSNI matcher, but no TLS on router")
    if state.priority > LARGEST_USER_PRIORITY:
        raise BuildError(
            f"the router priority {state.priority} exceeds the max user-defined priority {LARGEST_USER_PRIORITY}"
        )
    return tree


def _first_name(tree: Tree) -> bytes | None:
    """The first value of HostSNI that is asked for; what a rule only excludes does not count."""
    if isinstance(tree, Matcher):
        return next(iter(tree.args), None) if tree.name == "HostSNI" else None
    if isinstance(tree, Not):
        return None
    return next((name for item in tree.items if (name := _first_name(item)) is not None), None)


def _handlers(state: TCPRouterState, parts: Parts) -> dict[str, TCPHandler | None]:
    """By entry point; None where a broken TLS option lets the router only close connections."""
    problem = parts.tls.problem(state.option) if state.option else ""
    if problem:
        state.fail(problem)
        return dict.fromkeys(state.using)
    state.qualified_middlewares = True
    balancer = parts.services.balancer(state.service)
    in_flight = parts.environment.in_flight
    return {
        entry_point: TCPHandler(
            build_guards(state.middlewares, state.name, parts.middlewares, in_flight, entry_point), balancer
        )
        for entry_point in state.using
    }


def _escaped(text: str) -> str:
    """As Go quotes it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
