"""Matchers of the v2 rule syntax: several values, templates in braces. The table has the same shape as v3's."""

from __future__ import annotations

from typing import Final

from config import rule_templates
from config.regex import compile_search
from workers.routing import matchers
from workers.routing.matchers import Maker, Predicate, all_of, any_of
from workers.routing.request import RoutedRequest


def host(values: tuple[bytes, ...]) -> Predicate:
    names = frozenset().union(*map(matchers.host_names, values))
    return lambda request: request.host in names


def host_regexp(values: tuple[bytes, ...]) -> Predicate:
    return any_of(tuple(map(_host_template, values)))


def _host_template(template: bytes) -> Predicate:
    search = compile_search(rule_templates.host(template), ignore_case=True)
    return lambda request: search(_without_port(request.host_header))


def _without_port(host: bytes) -> bytes:
    # v2 templates see the name as the client wrote it; an IPv6 address keeps its brackets where no port follows.
    if host.startswith(b"["):
        inside, _, port = host[1:].partition(b"]")
        return inside if port.startswith(b":") else host
    return host.partition(b":")[0] if host.count(b":") == 1 else host


def path(values: tuple[bytes, ...]) -> Predicate:
    return any_of(tuple(map(_path_template, values)))


def _path_template(template: bytes) -> Predicate:
    if rule_templates.is_literal(template):
        return matchers.path((template,))
    return matchers.path_regexp((rule_templates.path(template),))


def path_prefix(values: tuple[bytes, ...]) -> Predicate:
    return any_of(tuple(map(_path_prefix_template, values)))


def _path_prefix_template(template: bytes) -> Predicate:
    if rule_templates.is_literal(template):
        return matchers.path_prefix((template,))
    return matchers.path_regexp((rule_templates.path_prefix(template),))


def headers(values: tuple[bytes, ...]) -> Predicate:
    return all_of(tuple(map(matchers.header, _last_pairs(values))))


def headers_regexp(values: tuple[bytes, ...]) -> Predicate:
    return all_of(tuple(map(matchers.header_regexp, _last_pairs(values))))


def _last_pairs(values: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """Pairs of name and value; where a name comes twice in the same spelling only its last value counts."""
    return list(dict(zip(values[::2], values[1::2], strict=True)).items())


def query(values: tuple[bytes, ...]) -> Predicate:
    return all_of(tuple(_query_template(*pair) for pair in rule_templates.query_pairs(values)))


def _query_template(name: bytes, template: bytes) -> Predicate:
    search = compile_search(rule_templates.query(name, template))

    def matches(request: RoutedRequest) -> bool:
        # Only a parameter's first value is looked at, unlike v3.
        found = request.query_values().get(name, ())
        return bool(found) and search(name + b"=" + found[0])

    return matches


MATCHERS: Final[dict[str, Maker]] = {
    "Host": host,
    "HostHeader": host,
    "HostRegexp": host_regexp,
    "Path": path,
    "PathPrefix": path_prefix,
    "Method": matchers.method,
    "Headers": headers,
    "HeadersRegexp": headers_regexp,
    "Query": query,
    "ClientIP": matchers.client_ip,
}
