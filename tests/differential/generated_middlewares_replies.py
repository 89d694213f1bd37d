"""Drawn answers of the server behind drawn middlewares."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.differential.generated_middlewares_values import one, some

Header = tuple[str, str]

_TYPES: Final = ["text/plain", "text/html; charset=utf-8", "image/png", "", "application/grpc", "application/xml"]
_BODIES: Final = [
    b"",
    b"ok",
    b"hello",
    b"<html>",
    b"0123456789",
    b"0123456789x",
    b"\x89PNG\r\n\x1a\n",
    b"{}",
    b"\0\1",
]
_STATUSES: Final = [200, 200, 200, 201, 204, 301, 304, 400, 401, 404, 418, 429, 500, 502, 503, 504, 599, 299]
_LINES: Final[list[Header]] = [
    *(
        ("X-A", "server"),
        ("x-b", "server"),
        ("Vary", "Accept"),
        ("Vary", "Origin"),
        ("Server", "s"),
        ("Etag", '"e"'),
    ),
    *(
        ("Set-Cookie", "sid=0; Path=/"),
        ("Set-Cookie", "b=3; HttpOnly"),
        ("Location", "/login?a=b"),
        ("X-User", "u"),
    ),
    *(("Access-Control-Allow-Origin", "https://s"), ("X-Frame-Options", "s"), ("Www-Authenticate", "Own")),
    *(("Content-Encoding", "x"), ("Accept-Ranges", "bytes"), ("Retry-After", "5"), ("Cache-Control", "no-store")),
    *(("X-User", "v"), ("Authorization", "auth"), ("Location", "login"), ("No-Gzip-Compression", "1")),
    *(("Strict-Transport-Security", "max-age=1"), ("Grpc-Status", "0"), ("Content-Encoding", "")),
]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers. `framing`: length, chunked (with trailers) or close; status 0: it just closes."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    framing: str = "length"
    trailers: tuple[Header, ...] = ()

    def data(self, method: str) -> bytes:
        if not self.status:
            return b""
        lines = [*self.headers, *self._framing(), ("Connection", "close")]
        head = (
            f"HTTP/1.1 {self.status} Words\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" or self.status in (204, 304) else self._content())

    def _framing(self) -> list[Header]:
        if self.status in (204, 304) or self.framing == "close":
            return []
        if self.framing == "length":
            return [("Content-Length", str(len(self.body)))]
        names = ", ".join(name for name, _ in self.trailers)
        return [*([("Trailer", names)] if names else []), ("Transfer-Encoding", "chunked")]

    def _content(self) -> bytes:
        if self.framing != "chunked":
            return self.body
        chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
        return (
            chunk + b"0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in self.trailers).encode() + b"\r\n"
        )

    def __str__(self) -> str:
        body = self.body if len(self.body) < 20 else f"{len(self.body)} bytes"
        return f"{self.status} {list(self.headers)} {self.framing} {body!r} {list(self.trailers)}"


def reply(random: Random, kinds: list[str], has_body: bool) -> Reply:
    """Without a length behind gRPC-web, which adds a frame, and with one where the original may flush too early.

    Where there is a body the connection's end is not that of the reply: the original may not be done with sending.
    """
    status = 0 if random.random() < 0.05 else random.choice(_STATUSES)
    body = random.choice([*_BODIES, b"some text " * 100, b"some text " * 200, b"x" * 1023, b"x" * 1024])
    kind = random.choice(_TYPES)
    lines = some(random, _LINES, 4) + ([("Content-Type", kind)] if kind else [])
    framing = one(random, "length", "length", "length", "chunked", "close")
    if "grpcWeb" in kinds:
        framing = one(random, "chunked", "close")
    elif "retry" in kinds or "contentType" in kinds:
        framing = "length"
    if has_body and framing == "close":
        framing = "chunked"
    trailers = (("X-T", "1"),) if framing == "chunked" and random.random() < 0.3 else ()
    return Reply(status, tuple(lines), body, framing, trailers)
