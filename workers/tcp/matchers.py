"""TCP rules as predicates, and what of a rule decides its place: priority, catch-all, the names it needs.

A rule is asked before any byte is passed on; it sees a `Caller`. HostSNI compares normalized server names, so
upper case and trailing dots never lead to another router.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from config import rule_templates
from config.networks import address_of, parse_network
from config.regex import compile_search
from config.rule_matchers_tcp import ANY_NAME
from config.rules import And, Matcher, Not, Or, Tree
from tls.server_names import normalize_server_name, parent_name, wildcard_suffix

CATCH_ALL_PRIORITY: Final = -1


class Caller(NamedTuple):
    """A client connection as rules see it. `server_name` is normalized, empty without TLS or without SNI."""

    ip: str
    server_name: str = ""
    alpn: tuple[bytes, ...] = ()


Predicate = Callable[[Caller], bool]
Values = tuple[bytes, ...]
Maker = Callable[[Values], Predicate]


def _name(value: bytes) -> str:
    return normalize_server_name(value.decode("ascii"))


def _host_sni(values: Values) -> Predicate:
    (value,) = values
    if value == ANY_NAME:
        return lambda caller: True
    name = _name(value)
    suffix = wildcard_suffix(name)
    if suffix:
        return lambda caller: parent_name(caller.server_name) == suffix
    return lambda caller: caller.server_name == name


def _host_sni_v2(values: Values) -> Predicate:
    if ANY_NAME in values:
        return lambda caller: True
    names = frozenset(map(_name, values))
    return lambda caller: caller.server_name in names


def _host_sni_regexp(values: Values) -> Predicate:
    search = compile_search(values[0])
    return lambda caller: search(caller.server_name.encode())


def _host_sni_regexp_v2(values: Values) -> Predicate:
    searches = [compile_search(rule_templates.host(value), ignore_case=True) for value in values]
    return lambda caller: any(search(caller.server_name.encode()) for search in searches)


def _client_ip(values: Values) -> Predicate:
    networks = tuple(parse_network(value.decode()) for value in values)

    def matches(caller: Caller) -> bool:
        address = address_of(caller.ip)
        return address is not None and any(network.contains(address) for network in networks)

    return matches


def _alpn(values: Values) -> Predicate:
    wanted = frozenset(values)
    return lambda caller: not wanted.isdisjoint(caller.alpn)


_V3: Final[dict[str, Maker]] = {
    "HostSNI": _host_sni,
    "HostSNIRegexp": _host_sni_regexp,
    "ClientIP": _client_ip,
    "ALPN": _alpn,
}
_V2: Final = _V3 | {"HostSNI": _host_sni_v2, "HostSNIRegexp": _host_sni_regexp_v2}


def predicate_of(tree: Tree, syntax: str = "v3") -> Predicate:
    """What `tree`, parsed as a TCP rule with the same `syntax`, says of a connection."""
    table = _V2 if syntax == "v2" else _V3
    if isinstance(tree, Matcher):
        return table[tree.name](tree.args)
    if isinstance(tree, Not):
        inner = table[tree.item.name](tree.item.args)
        return lambda caller: not inner(caller)
    items = [predicate_of(item, syntax) for item in tree.items]
    if isinstance(tree, And):
        return lambda caller: all(item(caller) for item in items)
    return lambda caller: any(item(caller) for item in items)


def is_catch_all(tree: Tree) -> bool:
    """Is the whole rule HostSNI(`*`)? As in the original its negation counts too."""
    matcher = tree.item if isinstance(tree, Not) else tree
    return isinstance(matcher, Matcher) and matcher.name == "HostSNI" and matcher.args == (ANY_NAME,)


def priority_of(rule: str, tree: Tree | None) -> int:
    """Priority of a rule without one of its own; `tree` None: it could not be read."""
    return CATCH_ALL_PRIORITY if tree is not None and is_catch_all(tree) else len(rule.encode())


def needed_names(tree: Tree) -> frozenset[str] | None:
    """Server names of which a connection must have one for the rule to hold; None: it could be any."""
    if isinstance(tree, Matcher):
        if tree.name != "HostSNI" or any(b"*" in value for value in tree.args):
            return None
        return frozenset(map(_name, tree.args))
    if isinstance(tree, Not):
        return None
    found = [needed_names(item) for item in tree.items]
    if isinstance(tree, Or):
        return None if None in found else frozenset().union(*(names for names in found if names is not None))
    return next((names for names in found if names is not None), None)
