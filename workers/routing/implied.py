"""What a rule requires of every request it matches, as keys for the routing table's index.

A key set says: whoever matches has one of these. Being too generous costs time only; being too narrow would lose
requests, so everything unclear gives None (no requirement known).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from config import rule_templates
from config.rules import And, Matcher, Not, Or, Tree
from workers.routing import matchers

Key = TypeVar("Key")

# A rule of many hosts and many paths would fill the index with their product.
_MOST_PATHS: Final = 16


class PathKey(NamedTuple):
    """`exact`: the routing path is `text`; otherwise it begins with it."""

    text: bytes
    exact: bool


def host_keys(tree: Tree, syntax: str) -> tuple[bytes, ...] | None:
    """Hosts and wildcards (`*.example.com`), lower case, without trailing dots."""
    keys = _required(tree, lambda matcher: _hosts(matcher, syntax))
    return None if keys is None else tuple(sorted(keys))


def path_keys(tree: Tree, syntax: str) -> tuple[PathKey, ...] | None:
    keys = _required(tree, lambda matcher: _paths(matcher, syntax))
    return None if keys is None or len(keys) > _MOST_PATHS else tuple(sorted(keys))


def _required(tree: Tree, keys_of: Callable[[Matcher], frozenset[Key] | None]) -> frozenset[Key] | None:
    if isinstance(tree, Matcher):
        return keys_of(tree)
    if isinstance(tree, Not):
        return None
    found = [_required(item, keys_of) for item in tree.items]
    known = [keys for keys in found if keys is not None]
    if isinstance(tree, And):
        return min(known, key=len, default=None)
    assert isinstance(tree, Or)
    return frozenset().union(*known) if len(known) == len(found) else None


def _hosts(matcher: Matcher, syntax: str) -> frozenset[bytes] | None:
    if matcher.name not in {"Host", "HostHeader"}:
        return None
    if syntax != "v2" and matchers.is_wildcard(matcher.args[0]):
        name = matcher.args[0]
        return None if name == b"*" else frozenset({name.lower().rstrip(b".")})
    return frozenset(name.lower().rstrip(b".") for name in matcher.args)


def _paths(matcher: Matcher, syntax: str) -> frozenset[PathKey] | None:
    if matcher.name not in {"Path", "PathPrefix"}:
        return None
    if syntax == "v2" and not all(map(rule_templates.is_literal, matcher.args)):
        return None
    return frozenset(PathKey(text, exact=matcher.name == "Path") for text in matcher.args)
