"""A request as rules see it, made from what a client would send, and random rules to try on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from hypothesis import strategies as st

_KEPT = b":/?#[]@!$&'()*+,;=%"


@dataclass
class FakeRequest:
    """Has the attributes that matchers read."""

    method: bytes = b"GET"
    host: bytes = b""
    routing_path: bytes = b"/"
    peer_ip: str = "127.0.0.1"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    query: bytes = b""
    host_header: bytes = b""

    def header_values(self, lower_name: bytes, /) -> list[bytes]:
        return [value for name, value in self.headers if name.lower() == lower_name]

    def query_values(self) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for pair in self.query.replace(b";", b"&").split(b"&"):
            name, _, value = pair.partition(b"=")
            if pair and not re.search(rb"%(?![0-9a-fA-F]{2})", pair):
                decoded = unquote_to_bytes(value.replace(b"+", b" "))
                found.setdefault(unquote_to_bytes(name.replace(b"+", b" ")), []).append(decoded)
        return found


def request(
    target: str = "/",
    host: str = "",
    method: str = "GET",
    headers: Sequence[tuple[str, str]] = (),
    peer_ip: str = "127.0.0.1",
) -> FakeRequest:
    """What rules see of a request line, a Host line and other lines; text stands for its UTF-8 bytes."""
    path, _, query = target.encode().partition(b"?")
    return FakeRequest(
        method.encode(),
        _canonical(host.encode()),
        _routing_path(path),
        peer_ip,
        [(name.encode(), value.encode()) for name, value in headers],
        query,
        host.encode(),
    )


def _canonical(host: bytes) -> bytes:
    bracketed = re.fullmatch(rb"\[([^]]*)\](?::\d*)?", host)
    if bracketed:
        return bracketed[1].lower()
    name, colon, port = host.rpartition(b":")
    return (name if colon and b":" not in name and port.isdigit() else host).lower()


def _routing_path(path: bytes) -> bytes:
    def decoded(triplet: re.Match[bytes]) -> bytes:
        byte = bytes([int(triplet[1], 16)])
        return triplet[0].upper() if byte in _KEPT else byte

    return re.sub(rb"%([0-9a-fA-F]{2})", decoded, path)


# Few names and many combinations, so that rules overlap and requests hit them.
_HOSTS = ["a", "b.a", "c.b.a", "B.a.", "*.a", "*.b.a", "*", "*.", "a..", "*.*.a", "**", "."]
_REQUEST_HOSTS = ["", "a", "a.", "a..", "b.a", "b.a.", "c.b.a", "x.a", "x.b.a", "z", ".", ".."]
_PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/b", "/a/b/c", "/c"]


def _calls(name: str, *values: Sequence[str]) -> st.SearchStrategy[str]:
    strategies = [st.sampled_from(list(choices)) for choices in values]
    return st.tuples(*strategies).map(lambda chosen: f"{name}({','.join(f'`{value}`' for value in chosen)})")


MATCHERS = st.one_of(
    _calls("Host", _HOSTS),
    _calls("Host", _HOSTS),
    _calls("Path", _PATHS),
    _calls("PathPrefix", _PATHS),
    _calls("PathPrefix", _PATHS),
    _calls("PathRegexp", ["^/a", "b$"]),
    _calls("HostRegexp", ["^.\\.a$", "b"]),
    _calls("Method", ["GET", "post"]),
    _calls("Header", ["X-K"], ["v", "w"]),
    _calls("Query", ["q"], ["1", "2"]),
    _calls("ClientIP", ["127.0.0.1", "10.0.0.0/8"]),
)
MATCHERS_V2 = st.one_of(
    _calls("Host", _HOSTS, _HOSTS),
    _calls("HostHeader", _HOSTS),
    _calls("Path", [*_PATHS, "/{x}"], _PATHS),
    _calls("PathPrefix", [*_PATHS, "/{x:a|b}"]),
    _calls("HostRegexp", ["{x}.a", "a"]),
    _calls("Method", ["GET", "post"], ["GET", "put"]),
    _calls("Headers", ["X-K"], ["v", "w"]),
    _calls("Query", ["q=1", "q={x:[0-9]}"]),
)


def _joined(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(items, min_size=2, max_size=4)
    return st.one_of(
        several.map(lambda parts: "(" + " && ".join(parts) + ")"),
        several.map(lambda parts: "(" + " || ".join(parts) + ")"),
        items.map(lambda part: "!" + part),
    )


# What users write most: a host, a path or both, sometimes something else beside them.
_USUAL = st.tuples(
    _calls("Host", _HOSTS) | st.none(),
    _calls("Path", _PATHS) | _calls("PathPrefix", _PATHS) | st.none(),
    MATCHERS | st.none() | st.none(),
).map(lambda parts: " && ".join(filter(None, parts)) or "PathPrefix(`/`)")
RULES = st.tuples(st.just("v3"), st.one_of(_USUAL, _USUAL, st.recursive(MATCHERS, _joined, max_leaves=6)))
RULES_V2 = st.tuples(st.just("v2"), st.recursive(MATCHERS_V2, _joined, max_leaves=4))
"""Pairs of syntax and rule text."""

REQUESTS = st.builds(
    FakeRequest,
    method=st.sampled_from([b"GET", b"POST", b"PUT"]),
    host=st.sampled_from([host.encode() for host in _REQUEST_HOSTS]),
    host_header=st.sampled_from([b"x.a", b"a:80", b"z"]),
    routing_path=st.sampled_from([path.encode() for path in _PATHS]),
    peer_ip=st.sampled_from(["127.0.0.1", "10.1.1.1"]),
    headers=st.lists(st.sampled_from([(b"x-k", b"v"), (b"X-K", b"w")]), max_size=2),
    query=st.sampled_from([b"", b"q=1", b"q=2&q=1"]),
)
