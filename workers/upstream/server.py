"""One server of a load balancer: what its URL says about reaching it.

The scheme decides the protocol: `http` is HTTP/1.1, `https` what ALPN agrees on, `h2c` HTTP/2 without asking.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from workers.upstream.dial import Address, numeric_address

_PORTS: Final = {"http": 80, "https": 443, "h2c": 80}
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=-._~%"
_PLAIN: Final = re.compile(r"(https?|h2c)://(([0-9]{1,3}(?:\.[0-9]{1,3}){3}):([1-9][0-9]{0,4}))", re.ASCII)
_LARGEST_PORT: Final = 65535

_Parts = tuple[str, str, int, bytes, str]
"""Scheme, host, port, Host header, path."""


class UpstreamServer:
    """One server, parsed from its URL. Query and fragment of the URL are ignored, and so is the path unless
    `preserve_path` is set: then it stands before the path of every request.

    Raises ValueError for a URL without a host or with another scheme. `name` is the URL as configured: the
    server's identity for sticky sessions and health.
    """

    __slots__ = (
        "_base",
        "address",
        "host",
        "host_header",
        "is_secure",
        "key",
        "name",
        "port",
        "scheme",
        "wire_scheme",
    )

    def __init__(self, url: str, preserve_path: bool = False) -> None:
        scheme, self.host, self.port, self.host_header, path = _plain_parts(url) or _parts(url)
        self.name = url
        self.scheme = scheme
        self.is_secure = scheme == "https"
        self.wire_scheme = b"https" if self.is_secure else b"http"
        self.key = (scheme, self.host, self.port)
        self.address: Address | None = numeric_address(self.host, self.port)
        self._base = quote(path, safe=_PATH_CHARACTERS).encode().rstrip(b"/") if preserve_path else b""

    def with_path(self, head: bytes, method: bytes) -> bytes:
        """A request head as upstream_head makes it, its target behind the path of the URL if that counts."""
        if not self._base:
            return head
        start = len(method) + 1
        slash = b"" if head.startswith(b"/", start) else b"/"
        return b"%b%b%b%b" % (head[:start], self._base, slash, head[start:])

    def __repr__(self) -> str:
        return f"<UpstreamServer {self.name}>"


def is_plain(url: str) -> bool:
    """Whether it looks like that of a pod, so that there can be nothing wrong with it."""
    return _plain_parts(url) is not None


def _plain_parts(url: str) -> _Parts | None:
    """The same as `_parts` for what pods look like, `http://10.1.2.3:8080`, in a fifth of the time."""
    found = _PLAIN.fullmatch(url)
    if found is None or int(found[4]) > _LARGEST_PORT:
        return None
    return found[1], found[3], int(found[4]), found[2].encode(), ""


def _parts(url: str) -> _Parts:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError(f"unsupported protocol scheme {parts.scheme!r}; write http, https or h2c://host:port")
    if not parts.hostname:
        raise ValueError(f"no host in the URL; write {scheme}://host:port")
    host_header = parts.netloc.rpartition("@")[2].encode("idna" if not parts.netloc.isascii() else "ascii")
    return scheme, parts.hostname, parts.port or _PORTS[scheme], host_header, parts.path
