"""Telling the clients of an entry point that it serves HTTP/3 too: Alt-Svc (RFC 7838, RFC 9114 section 3.1.1).

A wrap around the entry point's observer, so that nothing is asked of requests where there is no HTTP/3. As in the
original the header is there before any middleware looks, so that one that sets or removes response headers has the
last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from workers.exchange import Exchange, Header, HeadHook, ResponseHead
from workers.http1.options import Observer

MAX_AGE_SECONDS: Final = 2592000
_HTTP_3: Final = b"HTTP/3.0"


class _Hooks(list[HeadHook]):
    """Hooks of an exchange, which are called in reverse, and one that is called before them all."""

    def __init__(self, first: HeadHook, others: Iterable[HeadHook]) -> None:
        super().__init__(others)
        self._first = first

    def __reversed__(self) -> Iterator[HeadHook]:
        yield self._first
        yield from super().__reversed__()


class Advertising:
    """An Observer that adds the header to what is answered through TLS over TCP; `inner` may be None."""

    __slots__ = ("_header", "_inner")

    def __init__(self, inner: Observer | None, port: int) -> None:
        self._inner = inner
        self._header: Header = (b"Alt-Svc", b'h3=":%d"; ma=%d' % (port, MAX_AGE_SECONDS))

    def begin(self, exchange: Exchange, /) -> None:
        if self._inner is not None:
            self._inner.begin(exchange)
        request = exchange.request
        if request.client.is_tls and request.protocol != _HTTP_3 and request.raw_target != b"*":
            exchange.hooks = _Hooks(self._advertise, exchange.hooks or ())

    def _advertise(self, exchange: Exchange, head: ResponseHead) -> None:
        head.headers.insert(0, self._header)

    def end(self, exchange: Exchange, /) -> None:
        if self._inner is not None:
            self._inner.end(exchange)
