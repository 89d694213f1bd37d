"""Compressed responses: what the client accepts is settled with the request, the rest when the head is there.

Bodies of known length are compressed in large pieces; those whose end nobody announced (chunks, events) are
flushed with every piece, so that nothing is held back that the server has sent. A piece is compressed in slices,
with a turn for everybody else between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import gevent

from config.middlewares_responses import Compress
from workers.exchange import UNKNOWN_LENGTH, Exchange, Handler, Header, ResponseHead
from workers.middlewares import fields
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.encoders import ENCODERS, Encoder
from workers.middlewares.negotiation import IDENTITY, accepts_word, negotiate
from workers.middlewares.sniffing import media_type_of
from workers.wrapping import WrappedExchange, answered

if TYPE_CHECKING:
    from workers.stream import Stream

DEFAULT_MINIMUM_BYTES: Final = 1024
SLICE_BYTES: Final = 65536
_GRPC: Final = "application/grpc"
_ACCEPT_ENCODING: Final = b"accept-encoding"
_WITHOUT_BODY: Final = frozenset({204, 304})
_NO_GZIP: Final = b"no-gzip-compression"
_VARY: Final = (b"Vary", b"Accept-Encoding")


def compress(options: Compress, context: Context) -> Wrap:
    policy = _Policy(options)

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            coding = policy.coding(exchange)
            if coding == IDENTITY:
                inner(exchange)
            else:
                answered(inner, _Compressed(exchange, policy, coding))

        return handler

    return wrap


class _Policy:
    """Checked options, and the decisions they make."""

    def __init__(self, options: Compress) -> None:
        if options.excluded_content_types and options.included_content_types:
            raise BuildError("excludedContentTypes and includedContentTypes options are mutually exclusive")
        self._excluded = {_GRPC, *_media_types("excludedContentTypes", options.excluded_content_types)}
        self._included = set(_media_types("includedContentTypes", options.included_content_types))
        self._offered = options.encodings
        self._default = options.default_encoding
        self.minimum = options.min_response_body_bytes or DEFAULT_MINIMUM_BYTES
        if self.minimum < 0:
            raise BuildError("minResponseBodyBytes: a size is not negative")
        if not self._offered:
            raise BuildError("at least one encoding must be specified")
        for name in self._offered:
            if name not in ENCODERS:
                raise BuildError(f"unsupported encoding: {name}")
        if self._default and self._default not in self._offered:
            raise BuildError(f"unsupported default encoding: {self._default}")
        self._filters = bool(options.excluded_content_types or self._included)

    def coding(self, exchange: Exchange) -> str:
        """IDENTITY if this exchange is none of our business."""
        request = exchange.request
        if request.method == b"HEAD":
            return IDENTITY
        kinds = request.received_values(b"content-type")
        if kinds and media_type(kinds[0]) in self._excluded:
            return IDENTITY
        return negotiate(request.received_values(_ACCEPT_ENCODING), self._offered, self._default)

    def takes(self, kind: bytes, coding: str, body: bytes) -> bool:
        """May a response of this Content-Type be compressed? Without one, gzip looks at its first bytes."""
        if not kind and (coding != "gzip" or not self._filters):
            return True
        found = media_type(kind or media_type_of(body))
        return found in self._included if self._included else found not in self._excluded


class _Compressed(WrappedExchange):
    """For a client that gets `coding` if the response is worth it."""

    __slots__ = ("_coding", "_encoder", "_flushes", "_policy")

    def __init__(self, inner: Exchange, policy: _Policy, coding: str) -> None:
        super().__init__(inner)
        self._policy = policy
        self._coding = coding
        self._encoder: Encoder | None = None
        self._flushes = False

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        head.headers = [_VARY, *head.headers]
        if not self._is_worth(head, body, complete):
            self.inner.send(head, body, complete)
            return
        self._encoder = ENCODERS[self._coding]()
        self._flushes = head.content_length < 0
        dropped = (b"content-encoding", b"accept-ranges") if self._coding == "gzip" else (b"content-encoding",)
        fields.remove(head.headers, dropped)
        head.headers.append((b"Content-Encoding", self._coding.encode()))
        head.content_length = UNKNOWN_LENGTH
        data = self._encoded(body)
        if complete:
            data += self._encoder.finish()
        elif body and self._flushes:
            data += self._encoder.flush()
        self.inner.send(head, data, complete)

    def _is_worth(self, head: ResponseHead, body: bytes, complete: bool) -> bool:
        headers, length = head.headers, head.content_length
        takes_it = self._coding != "gzip" or self._takes_gzip(headers)
        if head.status in _WITHOUT_BODY or (complete and not body):
            return False
        if fields.first(headers, b"content-encoding") or fields.values(headers, b"content-range"):
            return False
        if not takes_it or 0 <= length < self._policy.minimum:
            return False
        return self._policy.takes(fields.first(headers, b"content-type"), self._coding, body)

    def _takes_gzip(self, headers: list[Header]) -> bool:
        """The client must say the word itself, and the server must not object."""
        objects = bool(fields.first(headers, _NO_GZIP))
        fields.remove(headers, (_NO_GZIP,))
        lines = self.request.received_values(_ACCEPT_ENCODING)
        return not objects and bool(lines) and accepts_word(lines[0], "gzip")

    def write(self, data: bytes) -> None:
        encoder = self._encoder
        if encoder is not None and data:
            data = self._encoded(data)
            if self._flushes:
                data += encoder.flush()
        if data:
            self.inner.write(data)

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        if self._encoder is not None:
            data = self._encoded(data) + self._encoder.finish()
        self.inner.finish(data, trailers)

    def _encoded(self, data: bytes) -> bytes:
        encoder = self._encoder
        assert encoder is not None
        if len(data) <= SLICE_BYTES:
            return encoder.feed(data) if data else b""
        out = []
        for start in range(0, len(data), SLICE_BYTES):
            if start:
                gevent.sleep(0)
            out.append(encoder.feed(data[start : start + SLICE_BYTES]))
        return b"".join(out)

    def upgrade(self, head: ResponseHead, first: bytes) -> tuple[Stream, bytes]:
        head.headers = [_VARY, *head.headers]
        return self.inner.upgrade(head, first)


def media_type(value: bytes) -> str:
    """`text/html` of `Text/HTML; charset=utf-8`; empty if there is none."""
    return value.partition(b";")[0].strip().lower().decode("latin-1")


def _media_types(field: str, values: Sequence[str]) -> list[str]:
    result = []
    for value in values:
        name = media_type(value.encode())
        kind, slash, subtype = name.partition("/")
        if not kind or (slash and not subtype) or any(character in name for character in ' ,=:"()<>@[]?\\'):
            raise BuildError(f"{field}: {value!r} is no media type; write one such as text/html")
        result.append(name)
    return result
