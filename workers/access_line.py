"""The line of the formats `common` and `genericCLF`.

As the original writes it, but for bytes with which a client could forge a line or a field: control characters, `"`
and `\\` are escaped everywhere, and in what stands without quotes blanks are too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from config.static_observability import AccessLogFields
from workers.exchange import Exchange, Note, Request

Formatter = Callable[[str, Exchange, Note, float, int, int], bytes]

_PLAIN: Final = bytes(byte for byte in range(32, 256) if byte not in b'"\\\x7f')
_UNSAFE: Final = re.compile(rb'[\x00-\x1f\x7f"\\]')
_BLANK: Final = re.compile(rb"[\x00-\x20\x7f\"\\]")
_SHORT: Final = {b'"': b'\\"', b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
_NONE: Final = b"-"
_REMEMBERED: Final = 1024


def escaped(value: bytes) -> bytes:
    """What may stand between quotes."""
    return _UNSAFE.sub(_escape, value) if value.translate(None, _PLAIN) else value


def escaped_word(value: bytes) -> bytes:
    """What may stand without quotes, as one word."""
    return _BLANK.sub(_escape, value)


def _escape(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0]) or b"\\x%02x" % match[0][0]


class Fields:
    """Which fields are shown; names in any letter case."""

    def __init__(self, fields: AccessLogFields) -> None:
        self._keeps = fields.default_mode != "drop"
        self._named = {name.lower(): mode != "drop" for name, mode in fields.names.items()}

    def keeps(self, name: str) -> bool:
        return self._named.get(name.lower(), self._keeps)


def header_mode(fields: AccessLogFields, name: str) -> str:
    """keep, drop or redact."""
    named = {key.lower(): mode for key, mode in fields.headers.names.items()}
    return named.get(name.lower(), fields.headers.default_mode)


def line_formatter(fields: AccessLogFields, *, is_generic: bool) -> Formatter:
    """Makes the lines; `is_generic`: they end behind the user agent."""
    keeps = Fields(fields).keeps
    clock = _Clock(keeps("StartUTC"), keeps("StartLocal"))
    drops_query = fields.query_parameters.default_mode == "drop"
    shows = {name: keeps(name) for name in _SHOWN}
    referer, agent = (header_mode(fields, name) for name in ("Referer", "User-Agent"))
    has_headers = "keep" in (referer, agent) or "redact" in (referer, agent)
    is_plain = all(shows.values()) and not drops_query
    routers, servers = _Quoted(), _Quoted()

    def common(
        entry_point: str, exchange: Exchange, note: Note, seconds: float, status: int, number: int
    ) -> bytes:
        request, route = exchange.request, note.route
        user, target = note.user, note.target
        values = (
            escaped(note.forwarded_for) if note.forwarded_for else request.client.plain_ip,
            escaped_word(user.encode("utf-8", "replace")) if user else _NONE,
            clock.text(seconds),
            note.method,
            escaped(target),
            request.protocol if request.minor_version else b"HTTP/1.0",
            status,
            exchange.sent_bytes,
            _header(request, b"referer", referer) if has_headers else b'"-"',
            _header(request, b"user-agent", agent) if has_headers else b'"-"',
            number,
            routers[note.router or (route.name if route is not None else "")],
            servers[note.server],
            int(seconds * 1000),
        )
        if is_plain:
            return (_GENERIC % values[:10]) if is_generic else (_COMMON % values)
        return _placeheld(values, shows, drops_query, is_generic=is_generic)

    return common


_COMMON: Final = b'%b - %b [%b] "%b %b %b" %d %d %b %b %d %b %b %dms\n'
_GENERIC: Final = b'%b - %b [%b] "%b %b %b" %d %d %b %b\n'
_SHOWN: Final = (
    "ClientHost",
    "ClientUsername",
    "RequestMethod",
    "RequestPath",
    "RequestProtocol",
    "DownstreamStatus",
    "DownstreamContentSize",
    "RequestCount",
    "RouterName",
    "ServiceURL",
    "Duration",
)


def _placeheld(
    values: tuple[bytes | int, ...], shows: dict[str, bool], drops_query: bool, *, is_generic: bool
) -> bytes:
    """The line with placeholders for what is dropped."""
    host, user, moment, method, target, protocol, status, size, referer, agent, number, router, server, ms = (
        value if isinstance(value, bytes) else b"%d" % value for value in values
    )
    if drops_query:
        target = target.partition(b"?")[0]

    def shown(name: str, value: bytes, placeholder: bytes = _NONE) -> bytes:
        return value if shows[name] else placeholder

    line = b'%b - %b [%b] "%b %b %b" %b %b %b %b' % (
        shown("ClientHost", host),
        shown("ClientUsername", user),
        moment,
        shown("RequestMethod", method),
        shown("RequestPath", target),
        shown("RequestProtocol", protocol),
        shown("DownstreamStatus", status),
        shown("DownstreamContentSize", size),
        referer,
        agent,
    )
    if is_generic:
        return line + b"\n"
    return b"%b %b %b %b %bms\n" % (
        line,
        shown("RequestCount", number),
        shown("RouterName", router, b'"-"'),
        shown("ServiceURL", server, b'"-"'),
        shown("Duration", ms, b"0"),
    )


def _header(request: Request, name: bytes, mode: str) -> bytes:
    if mode == "drop":
        return b'"-"'
    values = request.received_values(name)
    if not values:
        return b'"-"'
    return b'"REDACTED"' if mode == "redact" else b'"%b"' % escaped(b",".join(values))


class _Quoted(dict[str, bytes]):
    """Names and URLs in quotes, remembered: there are few."""

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        quoted = self[text] = b'"%b"' % escaped(text.encode()) if text else b'"-"'
        return quoted


class _Clock:
    """When a request began, formatted once a second."""

    def __init__(self, utc: bool, local: bool) -> None:
        self._local = local and not utc
        self._is_shown = utc or local
        self._second = -1
        self._text = b"-"

    def text(self, seconds_ago: float) -> bytes:
        second = int(time.time() - seconds_ago)
        if second != self._second and self._is_shown:
            self._second = second
            moment = time.localtime(second) if self._local else time.gmtime(second)
            zone = time.strftime("%z", moment) if self._local else "+0000"
            self._text = f"{time.strftime('%d/%b/%Y:%H:%M:%S', moment)} {zone}".encode()
        return self._text
