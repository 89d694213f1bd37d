"""One compiled route."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from config import rules
from config.http import IngressSource
from config.rules import Tree
from workers.routing.implied import PathKey, host_keys, path_keys
from workers.routing.matchers import Predicate
from workers.routing.predicate import predicate_of

if TYPE_CHECKING:
    from workers.exchange import Handler


COUNTED: Final = 1
LOGGED: Final = 2
"""Bits of `Route.visible`."""


class Route:
    """A rule that can be asked, and the handler of what it matches.

    `hosts` and `path_keys` are what every matching request has one of, None where the rule requires nothing there;
    `rank` sorts routes: highest priority first, of equal priorities the lowest `precedence`, then by name.
    `visible` says whether metrics and access log see its requests; `service` is what metrics show with it.
    """

    __slots__ = (
        "handler",
        "hosts",
        "matches",
        "name",
        "path_keys",
        "priority",
        "rank",
        "rule",
        "service",
        "source",
        "visible",
    )

    def __init__(
        self,
        name: str,
        rule: str,
        priority: int,
        matches: Predicate,
        handler: Handler,
        hosts: tuple[bytes, ...] | None = None,
        path_keys: tuple[PathKey, ...] | None = None,
        precedence: int = 0,
    ) -> None:
        self.name = name
        self.rule = rule
        self.priority = priority
        self.matches = matches
        self.handler = handler
        self.hosts = hosts
        self.path_keys = path_keys
        self.rank = (-priority, precedence, name)
        self.visible = COUNTED | LOGGED
        self.service = ""
        self.source: IngressSource | None = None
        """The Kubernetes object that the router was made from, for the access log."""

    def __repr__(self) -> str:
        return f"<Route {self.name} priority {self.priority}: {self.rule}>"


def compile_route(
    name: str,
    rule: str,
    syntax: str,
    priority: int,
    handler: Handler,
    precedence: int = 0,
    predicate: Callable[[Tree, str], Predicate] = predicate_of,
) -> Route:
    """The route of a router. `syntax` other than v2 is v3; `priority` 0 means the number of bytes of `rule`.

    `predicate` makes of the rule what requests are asked. How high a user's priority may be is for the caller to
    check. Raises config.rules.RuleError.
    """
    tree = rules.parse(rule, syntax)
    return Route(
        name,
        rule,
        priority or len(rule.encode()),
        predicate(tree, syntax),
        handler,
        host_keys(tree, syntax),
        path_keys(tree, syntax),
        precedence,
    )
