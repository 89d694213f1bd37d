"""Cross-origin resource sharing, as the Headers middleware has it: preflights answered, other responses marked.

(Fetch standard, section 3.2.) An origin that is not allowed is not refused: the response lacks the header without
which browsers keep it from the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from config.middlewares_responses import Headers
from workers.building import BuildError
from workers.exchange import Exchange, Handler, Header, Request, ResponseHead
from workers.middlewares.fields import first
from workers.middlewares.patterns import compile_test
from workers.middlewares.values import is_field_value, one_line, replaced

_ALLOW_ORIGIN: Final = b"Access-Control-Allow-Origin"
_ALLOW_CREDENTIALS: Final = (b"Access-Control-Allow-Credentials", b"true")


def uses_cors(options: Headers) -> bool:
    return bool(
        options.access_control_allow_credentials
        or options.access_control_allow_headers
        or options.access_control_allow_methods
        or options.access_control_allow_origin_list
        or options.access_control_allow_origin_list_regex
        or options.access_control_expose_headers
        or options.access_control_max_age is not None
        or options.add_vary_header
    )


class CORS:
    """Raises BuildError for an expression that is none."""

    __slots__ = (
        "_add_vary",
        "_credentials",
        "_headers",
        "_lines",
        "_max_age",
        "_methods",
        "_names",
        "_origins",
        "_patterns",
    )

    def __init__(self, options: Headers) -> None:
        self._credentials = options.access_control_allow_credentials
        self._headers = _joined(options.access_control_allow_headers, "accessControlAllowHeaders")
        self._methods = _joined(options.access_control_allow_methods, "accessControlAllowMethods")
        age = options.access_control_max_age
        self._max_age = None if age is None else b"%d" % age
        self._origins = [one_line(origin) for origin in options.access_control_allow_origin_list]
        self._patterns = [
            compile_test(text, "error occurred during origin parsing: ")
            for text in options.access_control_allow_origin_list_regex
        ]
        self._add_vary = options.add_vary_header
        self._lines: list[Header] = [_ALLOW_CREDENTIALS] if self._credentials else []
        exposed = _joined(options.access_control_expose_headers, "accessControlExposeHeaders")
        if exposed and not (self._credentials and b"*" in exposed.split(b",")):
            self._lines.append((b"Access-Control-Expose-Headers", exposed))
        self._names = frozenset(name.lower() for name, _ in self._lines)

    def wrap(self, handler: Handler) -> Handler:
        def shared(exchange: Exchange) -> None:
            if exchange.request.method == b"OPTIONS":
                answer = self._preflight(exchange.request)
                if answer is not None:
                    exchange.respond(200, answer, b"")
                    return
            exchange.add_hook(self._mark)
            handler(exchange)

        return shared

    def _allowed(self, origin: bytes) -> bytes | None:
        """What Access-Control-Allow-Origin says to this origin; None: nothing."""
        for one in self._origins:
            if one == b"*":
                return origin if self._credentials else one
            if one == origin:
                return one
        return origin if any(search(origin) for search in self._patterns) else None

    def _preflight(self, request: Request) -> list[Header] | None:
        """The answer's headers; None if the request is no preflight.

        Looked up among the client's own headers: the entry point adds none of these.
        """
        origin = first(request._headers, b"origin")
        method = first(request._headers, b"access-control-request-method")
        if not origin or not method:
            return None
        lines = list(self._lines)
        asked = first(request._headers, b"access-control-request-headers")
        for name, given, wanted in (
            (b"Access-Control-Allow-Headers", self._headers, asked),
            (b"Access-Control-Allow-Methods", self._methods, method),
        ):
            value = wanted if self._credentials and b"*" in given.split(b",") else given
            if value:
                lines.append((name, value))
        allowed = self._allowed(origin)
        if allowed is not None:
            lines.append((_ALLOW_ORIGIN, allowed))
        if self._max_age is not None:
            lines.append((b"Access-Control-Max-Age", self._max_age))
        return lines

    def _mark(self, exchange: Exchange, head: ResponseHead) -> None:
        """Hook: the headers of an ordinary response."""
        names, lines = self._names, self._lines
        allowed = self._allowed(first(exchange.request._headers, b"origin"))
        if allowed is not None:
            names, lines = names | {b"access-control-allow-origin"}, [*lines, (_ALLOW_ORIGIN, allowed)]
        if self._add_vary:
            vary = first(head.headers, b"vary")
            if vary != b"Origin":
                names, lines = names | {b"vary"}, [*lines, (b"Vary", vary + b",Origin" if vary else b"Origin")]
        head.headers = replaced(head.headers, names, lines)


def _joined(values: Sequence[str], option: str) -> bytes:
    text = one_line(",".join(values))
    if not is_field_value(text):
        raise BuildError(f"{option}: {text.decode()!r} cannot be sent in a header; remove what is unprintable")
    return text
