"""Matchers of the v3 rule syntax: one table, matcher name -> maker of its predicate.

A maker gets the matcher's values, already checked by `config.rules`, and prepares all it can; the predicate gets a
request and answers with a bool. Predicates have no side effects, so the routing table may ask them in any order.
Everything is bytes, compared exactly; host and routing path of the request are canonical before they come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from config.networks import address_of, parse_network
from config.regex import compile_search
from workers.routing.request import RoutedRequest

Predicate = Callable[[RoutedRequest], bool]
Maker = Callable[[tuple[bytes, ...]], Predicate]

# Go's server keeps these apart from the other header lines, so no rule has ever seen them.
UNSEEN_HEADERS: Final = frozenset({b"host", b"transfer-encoding"})


def any_of(predicates: tuple[Predicate, ...]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda request: any(predicate(request) for predicate in predicates)


def all_of(predicates: tuple[Predicate, ...]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda request: all(predicate(request) for predicate in predicates)


def with_and_without_dot(name: bytes) -> frozenset[bytes]:
    """`name` as requests may have it: one trailing dot more or less makes no difference."""
    shorter = {name[:-1]} if name.endswith(b".") else set()
    return frozenset({name, name + b"."} | shorter)


def host_names(name: bytes) -> frozenset[bytes]:
    """Request hosts that the exact rule host `name` stands for."""
    return with_and_without_dot(name.lower()) - {b""}


def host_rest(host: bytes) -> bytes:
    """What follows the first label of `host`, its dot included."""
    dot = host.find(b".")
    return host[dot:] if dot >= 0 else b""


def is_wildcard(name: bytes) -> bool:
    return name.startswith(b"*")


def host(values: tuple[bytes, ...]) -> Predicate:
    name = values[0]
    if name == b"*":
        return lambda request: True
    if is_wildcard(name):
        rests = with_and_without_dot(name[1:].lower())
        return lambda request: request.host != b"" and host_rest(request.host) in rests
    names = host_names(name)
    return lambda request: request.host in names


def host_regexp(values: tuple[bytes, ...]) -> Predicate:
    search = compile_search(values[0])
    if search(b""):
        # The original also tries the host that its resolver found, which is empty as a rule: such a pattern
        # matches every request, and routers in use may count on it.
        return lambda request: True
    return lambda request: search(request.host)


def path(values: tuple[bytes, ...]) -> Predicate:
    wanted = values[0]
    return lambda request: request.routing_path == wanted


def path_prefix(values: tuple[bytes, ...]) -> Predicate:
    prefix = values[0]
    return lambda request: request.routing_path.startswith(prefix)


def path_regexp(values: tuple[bytes, ...]) -> Predicate:
    search = compile_search(values[0])
    return lambda request: search(request.routing_path)


def method(values: tuple[bytes, ...]) -> Predicate:
    wanted = frozenset(value.upper() for value in values)
    return lambda request: request.method in wanted


def header(values: tuple[bytes, ...]) -> Predicate:
    name, wanted = values[0].lower(), values[1]
    if name in UNSEEN_HEADERS:
        return lambda request: False
    return lambda request: wanted in request.header_values(name)


def header_regexp(values: tuple[bytes, ...]) -> Predicate:
    name, search = values[0].lower(), compile_search(values[1])
    if name in UNSEEN_HEADERS:
        return lambda request: False
    return lambda request: any(map(search, request.header_values(name)))


def query(values: tuple[bytes, ...]) -> Predicate:
    name, wanted = values if len(values) == 2 else (values[0], b"")
    return lambda request: wanted in request.query_values().get(name, ())


def query_regexp(values: tuple[bytes, ...]) -> Predicate:
    if len(values) == 1:
        return query(values)
    name, search = values[0], compile_search(values[1])
    return lambda request: any(map(search, request.query_values().get(name, ())))


def client_ip(values: tuple[bytes, ...]) -> Predicate:
    networks = tuple(parse_network(value.decode()) for value in values)

    def matches(request: RoutedRequest) -> bool:
        address = address_of(request.peer_ip)
        return address is not None and any(network.contains(address) for network in networks)

    return matches


MATCHERS: Final[dict[str, Maker]] = {
    "Host": host,
    "HostRegexp": host_regexp,
    "Path": path,
    "PathPrefix": path_prefix,
    "PathRegexp": path_regexp,
    "Method": method,
    "Header": header,
    "HeaderRegexp": header_regexp,
    "Query": query,
    "QueryRegexp": query_regexp,
    "ClientIP": client_ip,
}
