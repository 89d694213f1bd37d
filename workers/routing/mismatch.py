"""Why a rule does not match a request: the first test that fails, with what the request has in its place.

For people who look at one request; the routing table never comes here. Each matcher is asked through the same
predicate as in the table, so the answer cannot differ from what is served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from config.rules import And, Matcher, Not, Tree
from workers.routing.predicate import predicate_of
from workers.routing.request import RoutedRequest


class Mismatch(msgspec.Struct, frozen=True, rename="camel"):
    """`matcher` as a rule spells it, `!` in front where it is negated; `found`: what the request has."""

    matcher: str
    found: str


def mismatches(tree: Tree, syntax: str, request: RoutedRequest) -> list[Mismatch]:
    """Nothing if the rule matches. Of an `&&` the first part that fails; of an `||` every alternative."""
    if isinstance(tree, Matcher | Not):
        if predicate_of(tree, syntax)(request):
            return []
        matcher = tree.item if isinstance(tree, Not) else tree
        sign = "!" if isinstance(tree, Not) else ""
        return [Mismatch(sign + spelled(matcher), found(matcher, request))]
    if isinstance(tree, And):
        return next(filter(None, (mismatches(item, syntax, request) for item in tree.items)), [])
    alternatives = [mismatches(item, syntax, request) for item in tree.items]
    return [one for failed in alternatives for one in failed] if all(alternatives) else []


def spelled(matcher: Matcher) -> str:
    """The matcher as a rule would write it."""
    return f"{matcher.name}({', '.join(f'`{_text(value)}`' for value in matcher.args)})"


def found(matcher: Matcher, request: RoutedRequest) -> str:
    """In words, what the request has where the matcher looks."""
    look = _LOOKS.get(matcher.name)
    return look(matcher.args, request) if look else ""


def _host(_: Sequence[bytes], request: RoutedRequest) -> str:
    return f"the host is {_text(request.host)}" if request.host else "there is no host"


def _path(_: Sequence[bytes], request: RoutedRequest) -> str:
    return f"the path is {_text(request.routing_path)}"


def _method(_: Sequence[bytes], request: RoutedRequest) -> str:
    return f"the method is {_text(request.method)}"


def _client_ip(_: Sequence[bytes], request: RoutedRequest) -> str:
    return f"the client is {request.peer_ip}"


def _header(args: Sequence[bytes], request: RoutedRequest) -> str:
    names = dict.fromkeys(args[::2])
    return "; ".join(_values(f"header {_text(name)}", request.header_values(name.lower())) for name in names)


def _query(args: Sequence[bytes], request: RoutedRequest) -> str:
    name = args[0].partition(b"=")[0]
    return _values(f"query parameter {_text(name)}", request.query_values().get(name, ()))


def _values(what: str, values: Sequence[bytes]) -> str:
    return f"{what} is {', '.join(map(_text, values))}" if values else f"there is no {what}"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


_LOOKS: Final[dict[str, Callable[[Sequence[bytes], RoutedRequest], str]]] = {
    "Host": _host,
    "HostHeader": _host,
    "HostRegexp": _host,
    "Path": _path,
    "PathPrefix": _path,
    "PathRegexp": _path,
    "Method": _method,
    "ClientIP": _client_ip,
    "Header": _header,
    "Headers": _header,
    "HeaderRegexp": _header,
    "HeadersRegexp": _header,
    "Query": _query,
    "QueryRegexp": _query,
}
"""The matchers of both syntaxes; a test compares with the tables of predicates."""
