"""Error pages: an answer with a listed status is dropped and a page of another service takes its place.

The page is asked for when the handlers inside are done, with what they made of the request; it is passed on as it
comes, under the status of the error. Inside of this nothing catches pages again, so there is no recursion.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Final
from urllib.parse import quote, quote_plus

from config.middlewares_responses import Errors
from workers.errors import CLIENT_GONE, Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler, Request, ResponseHead
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.bodies import Dropped, Sieve, copied
from workers.middlewares.statuses import StatusRange, is_in, parse_range
from workers.middlewares.urls import client_scheme
from workers.phrases import reason_phrase
from workers.wrapping import WrappedExchange, answered

_WITHOUT_BODY: Final = frozenset({204, 304})
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=-._~%?[]"
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def errors(options: Errors, context: Context) -> Wrap:
    ranges = [parse_range(text) for text in options.status]
    rewrites = [(parse_range(text), code) for text, code in options.status_rewrites.items()]
    pages = _Pages(context.service(options.service), options.query, options.error_request_headers)

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            watched = _Watched(exchange, ranges)
            with suppress(Dropped):
                answered(inner, watched)
            if watched.caught:
                if exchange.client_gone:
                    raise ProxyError(CLIENT_GONE)
                original = watched.caught
                code = next((new for listed, new in rewrites if is_in(original, [listed])), original)
                pages.send(exchange, watched.request, code, original)

        return handler

    if any(not 200 <= code <= 999 for _, code in rewrites):
        raise BuildError("statusRewrites: the status of an answer is a number from 200 to 999")
    return wrap


class _Watched(Sieve):
    """Catches answers with a listed status."""

    __slots__ = ("_ranges",)

    def __init__(self, inner: Exchange, ranges: Sequence[StatusRange]) -> None:
        super().__init__(inner)
        self._ranges = ranges

    def catches(self, status: int) -> bool:
        return is_in(status, self._ranges)


class _Pages:
    """Asks the service for pages. `headers`: names of those that go along, None for all."""

    def __init__(self, service: Handler, query: str, headers: list[str] | None) -> None:
        self._service = service
        self._query = "/" + query.removeprefix("/") if query else ""
        self._names = None if headers is None else {name.lower().encode() for name in headers}

    def send(self, exchange: Exchange, request: Request, code: int, original: int) -> None:
        target = self._target(request, code, original)
        if target is None:
            text = reason_phrase(code)
            exchange.respond_error(Failure("bad_page", Side.PROXY, code, Answer.TEXT, text + b"\n"))
            return
        page = _Page(exchange, self._request(request, target), code)
        answered(self._service, page)

    def _target(self, request: Request, code: int, original: int) -> bytes | None:
        """What is asked for; None if it is no URL."""
        text = self._query.replace("{status}", str(code)).replace("{originalStatus}", str(original))
        text = text.replace("{url}", quote_plus(_url(request), safe=""))
        path, mark, query = text.partition("?")
        if not _is_escaped_well(path) or any(character < " " or character == "\x7f" for character in text):
            return None
        path = quote(path, safe=_PATH_CHARACTERS) or "/"
        return (path + mark + query.replace(" ", "%20")).encode()

    def _request(self, request: Request, target: bytes) -> Request:
        """A GET without body, in the name of the same client but not of its address."""
        page = copied(request)
        page.method = b"GET"
        path, mark, query = target.partition(b"?")
        page.set_target(path, query if mark else None)
        page.raw_target = target
        page.routing_path = path
        page.content_length = 0
        page.expect_continue = False
        page.upgrade = b""
        page.marks = 0
        page.headers = [header for header in request.headers if self._goes_along(header[0].lower())]
        page.client = copy(request.client)
        page.client.policy = copy(request.client.policy)
        page.client.policy.append_peer = False
        return page

    def _goes_along(self, lower_name: bytes) -> bool:
        if lower_name in (b"content-length", b"expect", b"host"):
            return False
        return self._names is None or lower_name in self._names


def _url(request: Request) -> bytes:
    target = request.target.removesuffix(b"?") if not request.query else request.target
    return client_scheme(request) + b"://" + request.host_header + target


def _is_escaped_well(path: str) -> bool:
    return all(len(rest) >= 2 and rest[0] in _HEX and rest[1] in _HEX for rest in path.split("%")[1:])


class _Page(WrappedExchange):
    """The client's exchange for the handler that has the page: whatever its status, the client sees `code`."""

    __slots__ = ("_code",)

    def __init__(self, inner: Exchange, request: Request, code: int) -> None:
        super().__init__(inner)
        self.request = request
        self._code = code

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        if head.status in _WITHOUT_BODY:
            body, head.content_length = b"", 0
        head.status = self._code
        self.inner.send(head, body, complete)

    def read_body(self) -> bytes:
        return b""

    @property
    def body_complete(self) -> bool:
        return True

    def take_body(self) -> bytes:
        return b""

    def cancel_read(self) -> None:
        """Nobody reads."""
