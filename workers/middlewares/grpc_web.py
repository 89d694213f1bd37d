"""gRPC-Web to gRPC: browsers speak HTTP without trailers, servers end every call with them.

The request is passed on under gRPC's own content type; the trailers of the response become a last frame of its
body, with the top bit of its first byte set. In the text variant both bodies are base64, each piece of the
response on its own, so that a stream can be read as it comes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from config.middlewares_responses import GrpcWeb
from workers.errors import MALFORMED_BODY, ProxyError
from workers.exchange import UNKNOWN_LENGTH, Exchange, Handler, Header, Request, ResponseHead
from workers.middlewares import fields
from workers.middlewares.base import Context, Wrap
from workers.middlewares.bodies import copied
from workers.wrapping import WrappedExchange, answered

_WEB: Final = b"application/grpc-web"
_TEXT: Final = b"application/grpc-web-text"
_GRPC: Final = b"application/grpc"
_METHODS: Final = frozenset({b"GET", b"POST", b"HEAD"})
_LONGEST_ASKED_BYTES: Final = 16384
"""Of names in a preflight; no browser asks for more."""
_TRAILER_FRAME: Final = b"\x80"
_PREFLIGHT_VARY: Final[Sequence[Header]] = (
    (b"Vary", b"Origin"),
    (b"Vary", b"Access-Control-Request-Method"),
    (b"Vary", b"Access-Control-Request-Headers"),
)


def grpc_web(options: GrpcWeb, context: Context) -> Wrap:
    origins = {origin.encode() for origin in options.allow_origins}

    def allowed(request: Request) -> bytes:
        """The request's origin if it may read the answer, else b""."""
        origin = fields.first(request.headers, b"origin")
        return origin if b"*" in origins or origin in origins else b""

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            request = exchange.request
            kind = fields.first(request.headers, b"content-type")
            asks = request.method == b"OPTIONS" and _names_us(request)
            if asks and fields.first(request.headers, b"access-control-request-method"):
                exchange.respond(200, _preflight(request, allowed(request)), b"")
            elif asks or (request.method == b"POST" and kind.startswith(_WEB)):
                answered(inner, _Call(exchange, kind, allowed(request)))
            else:
                inner(exchange)

        return handler

    return wrap


def _names_us(request: Request) -> bool:
    return b"x-grpc-web" in fields.first(request.headers, b"access-control-request-headers").lower()


def _preflight(request: Request, origin: bytes) -> list[Header]:
    headers = list(_PREFLIGHT_VARY)
    method = fields.first(request.headers, b"access-control-request-method").upper()
    asked = fields.first(request.headers, b"access-control-request-headers")
    if origin and method in _METHODS and len(asked) <= _LONGEST_ASKED_BYTES:
        names = [fields.canonical(name) for part in asked.split(b",") if (name := part.strip())]
        headers += [
            (b"Access-Control-Allow-Origin", origin),
            (b"Access-Control-Allow-Methods", method),
            (b"Access-Control-Allow-Headers", b", ".join(names)),
            (b"Access-Control-Allow-Credentials", b"true"),
            (b"Access-Control-Max-Age", b"600"),
        ]
    return headers


class _Call(WrappedExchange):
    """One call, translated in both directions."""

    __slots__ = ("_is_text", "_origin", "_unread", "_web_type")

    def __init__(self, inner: Exchange, kind: bytes, origin: bytes) -> None:
        super().__init__(inner)
        self._is_text = kind.startswith(_TEXT)
        self._web_type = _TEXT if self._is_text else _WEB
        self._origin = origin
        self._unread = b""
        """Base64 that is not a whole group yet."""
        request = self.request = copied(inner.request)
        fields.remove(request.headers, (b"content-type", b"content-length", b"te"))
        request.headers.append((b"Te", b"trailers"))
        if kind:
            request.headers.append((b"Content-Type", kind.replace(self._web_type, _GRPC, 1)))
        if request.content_length or request.method == b"POST":
            request.content_length = UNKNOWN_LENGTH

    # The request body

    def read_body(self) -> bytes:
        while not self.body_complete:
            data = self.inner.read_body()
            piece = self._decoded(data)
            if piece or not data:
                return piece
        return b""

    def take_body(self) -> bytes:
        return self._decoded(self.inner.take_body())

    @property
    def body_complete(self) -> bool:
        return self.inner.body_complete

    def _decoded(self, data: bytes) -> bytes:
        if not self._is_text:
            return data
        text = self._unread + data.translate(None, b"\r\n")
        end = len(text) - len(text) % 4
        self._unread = text[end:]
        if self._unread and self.inner.body_complete:
            raise ProxyError(MALFORMED_BODY, "the base64 of a gRPC-Web body ends early")
        try:
            return base64.b64decode(text[:end], validate=True)
        except binascii.Error as error:
            raise ProxyError(MALFORMED_BODY, "a gRPC-Web body is not base64") from error

    # The response

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        headers = [
            (name, value.replace(_GRPC, self._web_type, 1) if name.lower() == b"content-type" else value)
            for name, value in head.headers
        ]
        if b"origin" not in b",".join(fields.values(headers, b"vary")).lower().replace(b" ", b"").split(b","):
            headers.append((b"Vary", b"Origin"))
        if self._origin:
            _add_missing(headers, b"Access-Control-Allow-Origin", self._origin)
            _add_missing(headers, b"Access-Control-Allow-Credentials", b"true")
        fields.remove(headers, (b"access-control-expose-headers", b"trailer"))
        names = dict.fromkeys(fields.canonical(name) for name, _ in headers)
        names |= {b"grpc-status": None, b"grpc-message": None}
        headers.append((b"Access-Control-Expose-Headers", b", ".join(names)))
        head.headers, head.trailer, head.content_length = headers, b"", UNKNOWN_LENGTH
        self.inner.send(head, self._encoded(body + _frame(()) if complete else body), complete)

    def write(self, data: bytes) -> None:
        self.inner.write(self._encoded(data))

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self.inner.finish(self._encoded(data + _frame(trailers)))

    def _encoded(self, data: bytes) -> bytes:
        return base64.b64encode(data) if self._is_text else data


def _add_missing(headers: list[Header], name: bytes, value: bytes) -> None:
    """What the server says about origins counts: browsers refuse an answer that says it twice."""
    if not fields.values(headers, name.lower()):
        headers.append((name, value))


def _frame(trailers: Sequence[Header]) -> bytes:
    """The trailers as the last frame of a body."""
    block = b"".join(b"%b: %b\r\n" % (name.lower(), value) for name, value in trailers)
    return _TRAILER_FRAME + len(block).to_bytes(4, "big") + block
