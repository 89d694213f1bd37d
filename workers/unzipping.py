"""Compression between us and a server that the client knows nothing of.

A client that asks for no encoding gets none; as in the original its request goes on with `Accept-Encoding: gzip`,
and an answer that comes compressed is unpacked on its way (Go's net/http does so in its client).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import gevent

from workers.errors import MALFORMED_RESPONSE, ProxyError
from workers.exchange import UNKNOWN_LENGTH, Exchange, Header, ResponseHead
from workers.stream import StreamError
from workers.wrapping import WrappedExchange

PIECE_BYTES: Final = 64 * 1024
PIECES_AT_ONCE: Final = 16
"""After so many pieces others get their turn: a small body may unpack to a thousand times its size."""
_WITHOUT_BODY: Final = frozenset({101, 204, 304})
_GZIP: Final = 31  # zlib's number for gzip with the largest window


def unzipped(exchange: Exchange, response: ResponseHead) -> Exchange:
    """The exchange to relay `response` on: one that unpacks it, if it is compressed and the client did not ask."""
    if response.content_length == 0 or response.status in _WITHOUT_BODY:
        return exchange
    for name, value in response.headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            return Unzipping(exchange) if value.lower() == b"gzip" else exchange
    return exchange


class Unzipping(WrappedExchange):
    """Passes a gzip body (RFC 1952) on as what it unpacks to, in pieces."""

    __slots__ = ("_unpacker",)

    def __init__(self, inner: Exchange) -> None:
        super().__init__(inner)
        self._unpacker = zlib.decompressobj(_GZIP)

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        head.headers = [header for header in head.headers if header[0].lower() != b"content-encoding"]
        head.content_length = UNKNOWN_LENGTH
        pieces = self._unpacked(body)
        self.inner.send(head, next(pieces, b""), False)
        self._pass_on(pieces)
        if complete:
            self._end(())

    def write(self, data: bytes) -> None:
        self._pass_on(self._unpacked(data))

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self._pass_on(self._unpacked(data))
        self._end(trailers)

    def _pass_on(self, pieces: Iterator[bytes]) -> None:
        for number, piece in enumerate(pieces, 1):
            self.inner.write(piece)
            if number % PIECES_AT_ONCE == 0:
                gevent.sleep(0)

    def _end(self, trailers: Sequence[Header]) -> None:
        if not self._unpacker.eof:
            self._fail("the compressed body is not complete")
        self.inner.finish(b"", trailers)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._unpacker.eof:  # another member follows
                self._unpacker = zlib.decompressobj(_GZIP)
            try:
                piece = self._unpacker.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                self._fail(str(error))
            if piece:
                yield piece
            data = self._unpacker.unconsumed_tail or self._unpacker.unused_data

    def _fail(self, reason: str) -> None:
        if not self.status:
            raise ProxyError(MALFORMED_RESPONSE, reason)
        self.inner.abort()
        raise StreamError(reason)
