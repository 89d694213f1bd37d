"""Custom request and response headers: set, or removed where the value is empty.

Nothing here frames a message: Content-Length, Transfer-Encoding and their kin are never taken from configuration,
because a server that believes another length than we do would see requests that nobody sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workers.building import BuildError
from workers.exchange import Exchange, Handler, Header, Request, ResponseHead
from workers.headers import ANONYMOUS, HOP_BY_HOP, MANAGED_NAMES, connection_tokens
from workers.http1.target import canonical_host
from workers.middlewares.base import Context, Wrap
from workers.middlewares.fields import canonical
from workers.middlewares.values import is_field_name, is_field_value, one_line, replaced

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"host"})
_NEEDS_CARE: Final = HOP_BY_HOP | MANAGED_NAMES
"""Names that the entry point adds to or the proxy step looks at."""
_FORWARDED_FOR: Final = "X-Forwarded-For"


class RequestHeaders:
    """Changes of requests. Raises BuildError for what cannot be sent."""

    __slots__ = ("_anonymous", "_ends_upgrade", "_host", "_lines", "_names", "_with_care")

    def __init__(self, given: Mapping[str, str]) -> None:
        self._host: bytes | None = None
        self._lines: list[Header] = []
        names = set()
        for name, value in given.items():
            if not is_field_name(name) or not is_field_value(value.encode()):
                raise BuildError(f"customRequestHeaders: {name!r} with the value {value!r} is no header")
            lower = name.lower().encode()
            if lower == b"host" and value:
                self._host = value.strip(" \t").encode()
                if not canonical_host(self._host):
                    raise BuildError(f"customRequestHeaders: {value!r} is no host")
            if lower in _FRAMING:
                continue
            names.add(lower)
            if value:
                self._lines.append((canonical(name.encode()), value.strip(" \t").encode()))
        self._names = frozenset(names)
        self._with_care = not names.isdisjoint(_NEEDS_CARE)
        gone = {name.lower() for name, value in given.items() if not value}
        self._ends_upgrade = not gone.isdisjoint(("upgrade", "connection"))
        self._anonymous = given.get(_FORWARDED_FOR) == ""

    def __bool__(self) -> bool:
        return bool(self._names) or self._host is not None

    def apply(self, request: Request) -> None:
        if self._host is not None:
            request.headers  # noqa: B018 - X-Forwarded-Host is what the client asked for: made before Host changes
            request.host_header = self._host
        if not self._with_care:
            request.replace_headers(self._names, self._lines)
            return
        request.headers = replaced(request.headers, self._names, self._lines)
        if self._ends_upgrade:
            request.upgrade = b""
        if self._anonymous:
            request.marks |= ANONYMOUS
        elif b"x-forwarded-for" in self._names:
            request.marks &= ~ANONYMOUS


class ResponseHeaders:
    """Changes of responses. What cannot be sent is left out, as the original does, with a warning."""

    __slots__ = ("_closes", "_date", "_lines", "_names")

    def __init__(self, given: Mapping[str, str], context: Context) -> None:
        self._lines: list[Header] = []
        self._closes = False
        self._date: bool | None = None
        names = set()
        for name, text in given.items():
            lower, value = name.lower().encode(), one_line(text)
            if not is_field_name(name) or not is_field_value(value):
                context.surroundings.log.warning(
                    "middleware %s: customResponseHeaders: %r is not set, it is no header", context.name, name
                )
                continue
            if lower == b"connection":
                self._closes = b"close" in connection_tokens(value)
            if lower in _FRAMING or lower in HOP_BY_HOP:
                continue
            if lower == b"date":
                self._date = bool(value)
            names.add(lower)
            if text:
                self._lines.append((canonical(name.encode()), value))
        self._names = frozenset(names)

    def __bool__(self) -> bool:
        return bool(self._names) or self._closes

    def hook(self, exchange: Exchange, head: ResponseHead) -> None:
        """Of every final response."""
        head.headers = replaced(head.headers, self._names, self._lines)
        if self._date is not None:
            head.has_date = self._date
        if self._closes:
            exchange.end_connection()


def with_custom_headers(requests: RequestHeaders, responses: ResponseHeaders) -> Wrap:
    """Both around a handler; either may be empty."""
    apply = requests.apply if requests else None
    hook = responses.hook if responses else None

    def wrap(handler: Handler) -> Handler:
        def changed(exchange: Exchange) -> None:
            if apply is not None:
                apply(exchange.request)
            if hook is not None:
                exchange.add_hook(hook)
            handler(exchange)

        return changed

    return wrap
