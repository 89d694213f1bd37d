"""Lines of the formats common and genericCLF."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.static_observability import AccessLogFields, FieldHeaders, QueryParameters
from tests.workers.observed import Observed, noted, route
from workers.access_line import escaped, escaped_word, line_formatter

MOMENT = re.compile(rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")


def line(exchange: Observed, fields: AccessLogFields | None = None, *, is_generic: bool = False) -> str:
    note = exchange.note or noted(exchange)
    make = line_formatter(fields or AccessLogFields(), is_generic=is_generic)
    return MOMENT.sub(b"[moment]", make("web", exchange, note, 0.0129, exchange.status, 4)).decode()


def seen(**fields: Any) -> Observed:
    exchange = Observed(
        b'GET /a?b=c HTTP/1.1\r\nHost: a\r\nUser-Agent: x "y" \\ \x09z\r\nReferer: http://r/\r\n\r\n'
    )
    noted(exchange, route=route(), server="http://10.0.0.7:80", **fields)
    return exchange


@pytest.mark.behaviour("OP-49")
def test_by_default() -> None:
    assert line(seen()) == (
        '10.0.0.1 - - [moment] "GET /a?b=c HTTP/1.1" 200 5 "-" "-" 4 "r@p" "http://10.0.0.7:80" 12ms\n'
    )
    assert line(seen(), is_generic=True) == '10.0.0.1 - - [moment] "GET /a?b=c HTTP/1.1" 200 5 "-" "-"\n'


@pytest.mark.behaviour("OP-52")
def test_nothing_matched() -> None:
    exchange = Observed(b"GET /a HTTP/1.0\r\n\r\n")
    noted(exchange, 404, 19)
    assert line(exchange) == '10.0.0.1 - - [moment] "GET /a HTTP/1.0" 404 19 "-" "-" 4 "-" "-" 12ms\n'


@pytest.mark.behaviour("OP-49")
def test_headers_are_shown_if_asked_for() -> None:
    keep = AccessLogFields(headers=FieldHeaders(names={"user-AGENT": "keep", "Referer": "redact"}))
    assert '200 5 "REDACTED" "x \\"y\\" \\\\ \\tz" 4' in line(seen(), keep)
    everything = AccessLogFields(headers=FieldHeaders(default_mode="keep"))
    assert '200 5 "http://r/"' in line(seen(), everything)
    exchange = Observed()
    noted(exchange)
    assert '200 5 "-" "-" 4' in line(exchange, everything)


def test_dropped_fields_have_placeholders() -> None:
    nothing = AccessLogFields(default_mode="drop")
    make = line_formatter(nothing, is_generic=False)
    exchange = seen()
    assert exchange.note is not None
    assert make("web", exchange, exchange.note, 9.0, 200, 4) == b'- - - [-] "- - -" - - "-" "-" - "-" "-" 0ms\n'
    some = AccessLogFields(names={"requestcount": "drop", "ROUTERNAME": "drop"})
    assert line(seen(), some).endswith('"-" "-" - "-" "http://10.0.0.7:80" 12ms\n')
    assert line(seen(), some, is_generic=True).endswith('200 5 "-" "-"\n')


@pytest.mark.behaviour("OP-53")
def test_the_query_can_be_dropped() -> None:
    fields = AccessLogFields(query_parameters=QueryParameters(default_mode="drop"))
    assert '"GET /a HTTP/1.1"' in line(seen(), fields)


def test_nobody_forges_a_line_or_a_field() -> None:
    exchange = seen(user='b"o\nb x', forwarded_for=b'9.9.9.9, 8.8.8.8" \x1b')
    exchange.note.target = b'/a?"\\\xc3\xa9'  # type: ignore[union-attr]
    assert line(exchange).startswith(
        '9.9.9.9, 8.8.8.8\\" \\x1b - b\\"o\\nb\\x20x [moment] "GET /a?\\"\\\\\u00e9 HTTP/1.1" 200'
    )


@given(st.binary(max_size=40))
def test_escapes_are_safe_and_can_be_undone(value: bytes) -> None:
    text = escaped(value)
    assert not re.search(rb"[\x00-\x1f\x7f]", text)
    assert not re.search(rb'(?<!\\)(?:\\\\)*"', text)
    undone = re.sub(
        rb"\\(x..|.)",
        lambda found: (
            bytes.fromhex(found[1][1:].decode())
            if found[1][:1] == b"x"
            else {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(found[1], found[1])
        ),
        text,
    )
    assert undone == value
    assert b" " not in escaped_word(value)


def test_the_router_that_answered_of_several() -> None:
    assert '"up@p -> low@p"' in line(seen(router="up@p -> low@p"))
