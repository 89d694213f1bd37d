"""A rule's tree -> one predicate, with as few calls between them as possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from config.rules import And, Matcher, Not, Or, Tree
from workers.routing import matchers, matchers_v2
from workers.routing.matchers import Maker, Predicate

_TABLES: Final[Mapping[str, Mapping[str, Maker]]] = {"v2": matchers_v2.MATCHERS, "v3": matchers.MATCHERS}
_ONE_HOST: Final = (matchers.host, matchers_v2.host)
"""Matchers of hosts that look at nothing but `request.host`."""


def predicate_of(tree: Tree, syntax: str = "v3") -> Predicate:
    """What `tree`, parsed with the same `syntax`, says of a request."""
    return predicate_with(_TABLES["v2" if syntax == "v2" else "v3"], tree)


def predicate_with(table: Mapping[str, Maker], tree: Tree) -> Predicate:
    """As predicate_of, by these matchers."""
    if isinstance(tree, Matcher):
        return table[tree.name](tree.args)
    if isinstance(tree, Not):
        return _negation(table[tree.item.name](tree.item.args))
    if isinstance(tree, Or):
        return _disjunction([predicate_with(table, item) for item in tree.items])
    fused, items = _fused(tree) if table["Host"] in _ONE_HOST else ([], list(tree.items))
    return _conjunction(fused + [predicate_with(table, item) for item in items])


def _negation(inner: Predicate) -> Predicate:
    return lambda request: not inner(request)


def _disjunction(items: list[Predicate]) -> Predicate:
    if len(items) == 2:
        first, second = items
        return lambda request: first(request) or second(request)
    return matchers.any_of(tuple(items))


def _conjunction(items: list[Predicate]) -> Predicate:
    if len(items) == 2:
        first, second = items
        return lambda request: first(request) and second(request)
    return matchers.all_of(tuple(items))


def _fused(tree: And) -> tuple[list[Predicate], list[Tree]]:
    """Exact Host && Path or PathPrefix, the commonest pair, as one predicate; and the items it leaves."""
    host = next((item for item in tree.items if _is_exact_host(item)), None)
    path = next((item for item in tree.items if _is_plain_path(item)), None)
    if host is None or path is None:
        return [], list(tree.items)
    assert isinstance(host, Matcher)
    assert isinstance(path, Matcher)
    left = [item for item in tree.items if item is not host and item is not path]
    return [_host_and_path(matchers.host_names(host.args[0]), path)], left


def _host_and_path(names: frozenset[bytes], path: Matcher) -> Predicate:
    text = path.args[0]
    if path.name == "Path":
        return lambda request: request.routing_path == text and request.host in names
    return lambda request: request.host in names and request.routing_path.startswith(text)


def _is_exact_host(item: Tree) -> bool:
    return isinstance(item, Matcher) and item.name == "Host" and len(item.args) == 1 and item.args[0][:1] != b"*"


def _is_plain_path(item: Tree) -> bool:
    names = {"Path", "PathPrefix"}
    return isinstance(item, Matcher) and item.name in names and len(item.args) == 1 and b"{" not in item.args[0]
