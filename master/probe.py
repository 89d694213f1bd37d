"""A URL -> the request a client would send, read by the parser that reads it in production.

So host and path that rules see are the real ones: normalised, sanitised, or refused before any router is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from config.static import EntryPoint, StaticConfiguration
from workers.errors import Failure
from workers.forwarded import Client, ForwardedPolicy
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.target import TargetPolicy

_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_USUAL: Final[Mapping[str, str]] = {"http": "web", "https": "websecure"}
_INTERNAL: Final = "traefik"
_CLIENT_PORT: Final = 50000


class ProbeError(ValueError):
    """The URL or an option cannot be used; the message says how to write it."""


class Target(msgspec.Struct, frozen=True):
    """A URL taken apart. `host` as a Host header has it, `path` with its query as written."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"


def target_of(url: str) -> Target:
    """Take a URL apart; `host/path` means http. Raises ProbeError.

    >>> target_of("shop.example:8000/a?b#c")
    Target(scheme='http', host='shop.example:8000', port=8000, path='/a?b')
    """
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ProbeError(f"{url} is no URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ProbeError(f"{url} is no URL of a web site; write https://host/path")
    rest = url.partition("://")[2].partition("#")[0]
    cut = min((rest.index(char) for char in "/?" if char in rest), default=len(rest))
    host, path = rest[:cut].rpartition("@")[2], rest[cut:]
    if not host.isascii():
        host = host.encode("idna").decode()
    path = path if path.startswith("/") else f"/{path}"
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def entry_point_of(static: StaticConfiguration, target: Target, named: str) -> str:
    """The entry point that takes the connection. Raises ProbeError where that cannot be told.

    By port; where none has the port (a Service in front maps it), by the usual name, else the only one there is.
    """
    points = {name: point for name, point in static.entry_points.items() if point.protocol == "tcp"}
    if named:
        if named not in points:
            raise ProbeError(f"there is no entry point {named}; known are {', '.join(sorted(points))}")
        return named
    by_port = [name for name, point in points.items() if point.port == target.port]
    if by_port:
        return by_port[0]
    if _USUAL[target.scheme] in points:
        return _USUAL[target.scheme]
    others = [name for name in points if name != _INTERNAL]
    if len(others) == 1:
        return others[0]
    raise ProbeError(
        f"no entry point listens on port {target.port}; name one with --entrypoint: {', '.join(sorted(points))}"
    )


def request_of(
    target: Target, method: str, headers: Sequence[str], client_ip: str, name: str, point: EntryPoint
) -> IncomingRequest | Failure:
    """What the entry point `name` makes of the request; a Failure is its refusal. Raises ProbeError."""
    lines = [_header(text) for text in headers]
    if not any(header.lower() == "host" for header, _ in lines):
        lines.insert(0, ("Host", target.host))
    path = quote(target.path, safe="%/:?#[]@!$&'()*+,;=-._~|\\^`{}\"<>")
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{header}: {value}\r\n" for header, value in lines) + "\r\n"
    client = Client(client_ip, _CLIENT_PORT, target.is_tls, name, ForwardedPolicy(point))
    policy = TargetPolicy(point.http.sanitize_path, point.http.encode_query_semicolons)
    request = parse_request(head.encode(), client, policy)
    if request is None:
        raise ProbeError("method, path and headers do not make a request")
    return request


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.replace("\t", " ").isprintable():
        raise ProbeError(f"{text!r} is no header; write 'Name: value'")
    return name.strip(), value.strip()
