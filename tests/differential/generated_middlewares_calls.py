"""Drawn requests that aim at a middleware's options."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.differential.generated_middlewares_replies import Header, Reply, reply
from tests.differential.generated_middlewares_values import ORIGINS, one, some

_METHODS: Final = ["GET", "GET", "GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "PURGE"]
_PIECES: Final = [
    *("a", "b", "/", "/a", "/a/b", ".", "..", "%2e", "%20", "!", "%C3%A9", ";", "x", "%41", "*", "1", "~", "api"),
    *("%5c", "%ff", "%00", "%3b", "%3F", "%23", "'", "(x)", "[]", "$", "&", "@", ":", "//"),
]
_QUERIES: Final = ["", "", "", "?", "?x=1", "?a=%2F&b", "?a+b", "?a=/../", "?%zz", "?a=1;b=2", "?$1", "??", "?é"]
_STARTS: Final = ["/", "/a", "/a/", "/a/b", "/api", "/api/", "/A/", "/b/42", "/a.", "/a:b", "/a%62", "/%61/"]
_ACCEPTED: Final = [
    *(
        "gzip",
        "br",
        "zstd",
        "gzip, br, zstd",
        "br;q=0.8, gzip;q=0.6",
        "gzip;q=0, br",
        "*",
        "identity",
        "",
        "deflate",
    ),
    *("gzip;q=1.0", "GZIP", "*;q=0.5, gzip;q=0.1", "gzip ; q=0.5", "br;q=x, zstd", "identity;q=0, *", "gzip;q=0"),
    *("zstd;q=0.9,br;q=0.9", "gzip;a=b;q=0.2, br;q=0.1", ",gzip", "x-gzip", "identity, gzip;q=0.5"),
]
_ADDRESSES: Final = [
    *("10.1.1.1", "1.2.3.4", "127.0.0.1", "9.9.9.9, 10.1.1.1", "2001:db8::1", "10.1.1.1, 1.2.3.4, 10.2.2.2"),
    *("unknown", " 1.2.3.9 ", ",", "1.2.3.4,", "::1", "2001:db8:0:0:1::1, 9.9.9.9", "0127.0.0.1"),
]
_PASSWORDS: Final = [
    "test:test",
    "test2:test2",
    "test:wrong",
    "nobody:test",
    "test",
    ":",
    "typed:pass",
    "test:te:st",
]


def _basic(words: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(words.encode()).decode()}"


_POOL: Final[dict[str, list[str]]] = {
    "Accept-Encoding": _ACCEPTED,
    "Authorization": [
        *(_basic(words) for words in _PASSWORDS),
        _basic("test:test", "basic"),
        *("Basic", "Basic !", "Bearer x", "", _basic("test:test") + " ", _basic("test:test", "Basic ")),
    ],
    "Origin": [*ORIGINS, "", "https://q.org", "https://a.evil"],
    "Access-Control-Request-Method": ["GET", "PUT", "", "post", "DELETE"],
    "Access-Control-Request-Headers": ["X-Q", "x-grpc-web, x-q", "content-type", "X-Grpc-Web", "a b", ""],
    "X-Forwarded-For": _ADDRESSES,
    "X-Forwarded-Proto": ["https", "http", "wss", "HTTPS", "ws", "x", ""],
    "X-Forwarded-Host": ["HOST", "evil", ""],
    "X-Forwarded-Prefix": ["/out", ""],
    "X-Forwarded-Uri": ["/evil"],
    "X-Forwarded-Method": ["EVIL"],
    "X-Forwarded-Port": ["81", "x"],
    "X-Real-Ip": ["9.9.9.9"],
    "X-Replaced-Path": ["evil"],
    "X-A": ["1", "", "other.test:8080", "a, b"],
    "x-b": ["2"],
    "X-K": ["one", "two", "", "ONE"],
    "X-User": ["evil"],
    "x-gone": ["evil"],
    "X-WebAuth-User": ["evil"],
    "Cookie": ["a=b", "sid=1; b=2"],
    "Accept": ["*/*", "text/html"],
    "Content-Type": [
        *("text/plain", "application/grpc-web", "application/grpc-web-text+proto", "application/grpc"),
        *("application/grpc-web+proto", "application/grpc; a=b", "x"),
    ],
    "X-Forwarded-Tls-Client-Cert": ["forged"],
    "X-Forwarded-Tls-Client-Cert-Info": ["forged"],
}
AIMED: Final[dict[str, tuple[str, ...]]] = {
    "basicAuth": ("Authorization",),
    "compress": ("Accept-Encoding", "Accept-Encoding", "Content-Type"),
    "errors": ("Cookie", "Authorization", "X-A"),
    "forwardAuth": ("X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Port", "X-User", "X-A", "Cookie"),
    "grpcWeb": ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers", "Content-Type"),
    "headers": (
        "Origin",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
        "X-A",
        "X-Forwarded-Proto",
    ),
    "inFlightReq": ("X-K", "X-Forwarded-For"),
    "ipAllowList": ("X-Forwarded-For",),
    "ipWhiteList": ("X-Forwarded-For",),
    "passTLSClientCert": ("X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info"),
    "rateLimit": ("X-K", "X-Forwarded-For"),
    "redirectScheme": ("X-Forwarded-Proto",),
}
"""Headers that a middleware looks at: mostly there."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, without Host and framing. `is_trusted`: by the entry point that believes forwarded headers."""

    method: str
    target: str
    host: str
    headers: tuple[Header, ...]
    body: bytes | None = None
    is_chunked: bool = False
    is_trusted: bool = True
    replies: tuple[Reply, ...] = (Reply(200, (), b"ok"),)
    side_replies: tuple[Reply, ...] = field(default=(Reply(200, (), b"page"),))

    def wire(self, *more: Header) -> bytes:
        lines = [("Host", self.host), *self.headers, *more]
        content = self.body or b""
        if self.body is not None and self.is_chunked:
            lines.append(("Transfer-Encoding", "chunked"))
            content = (b"%x\r\n%b\r\n" % (len(content), content) if content else b"") + b"0\r\n\r\n"
        elif self.body is not None:
            lines.append(("Content-Length", str(len(content))))
        head = f"{self.method} {self.target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines
        )
        return head.encode() + b"\r\n" + content


def call(random: Random, kinds: list[str], host: str) -> Call:
    """A request for a route with these kinds of middlewares."""
    method = random.choice(_METHODS)
    if "grpcWeb" in kinds:
        method = one(random, "POST", "OPTIONS", method)
    elif "headers" in kinds:
        method = one(random, "OPTIONS", method)
    has_body = method in ("POST", "PUT", "PATCH") or random.random() < 0.1
    return Call(
        method,
        random.choice(_STARTS) + "".join(some(random, _PIECES, 4)) + random.choice(_QUERIES),
        one(random, host, host, host, f"{host}:8080", f"{host}:80", f"{host}:443", host.upper()),
        tuple(_headers(random, kinds, host)),
        random.choice([b"", b"hello", b"0123456789", b"0123456789x", b"AAAAAAIIAQ=="]) if has_body else None,
        random.random() < 0.4,
        random.random() < 0.7,
        tuple(reply(random, kinds, has_body) for _ in range(random.randint(1, 3))),
        tuple(reply(random, kinds, has_body) for _ in range(random.randint(1, 2))),
    )


def _headers(random: Random, kinds: list[str], host: str) -> list[Header]:
    names = [name for kind in kinds for name in AIMED.get(kind, ()) if random.random() < 0.75]
    names += some(random, list(_POOL), 3)
    lines = [("User-Agent", "tests")]
    for name in names:
        value = random.choice(_POOL[name]).replace("HOST", host)
        lines.append((one(random, name, name, name.lower(), name.upper()), value))
    random.shuffle(lines)
    return lines


def described(specs: list[dict[str, Any]], given: Call) -> str:
    """For whoever is to look into a difference."""
    replies = [*map(str, given.replies), *(f"auth or page: {one}" for one in given.side_replies)]
    return "\n".join([str(specs), f"{given.wire()!r} trusted: {given.is_trusted}", *replies])
