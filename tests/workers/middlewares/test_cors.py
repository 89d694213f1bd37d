"""CORS at the level of handlers."""

from __future__ import annotations

import pytest

from config.middlewares_responses import Headers
from tests.workers.middlewares.calls import Answered, call, made, request, server
from workers.building import BuildError
from workers.middlewares.base import Wrap
from workers.middlewares.headers import headers


def cors(**options: object) -> Wrap:
    given = {f"access_control_{name}": value for name, value in options.items() if name != "add_vary_header"}
    return made(headers, Headers(add_vary_header="add_vary_header" in options, **given))  # type: ignore[arg-type]


def preflight(wrap: Wrap, origin: str = "https://a", method: str = "PUT", *lines: str) -> Answered:
    asked = f"Access-Control-Request-Method: {method}"
    return call(wrap, request("/", f"Origin: {origin}", asked, *lines, method="OPTIONS"))


def get(wrap: Wrap, *lines: str, vary: bytes = b"") -> Answered:
    return call(wrap, request("/", *lines), server(200, *([(b"Vary", vary)] if vary else [])))


BASIC = {"allow_methods": ["GET", "PUT"], "allow_origin_list": ["https://a"], "max_age": 100}


@pytest.mark.behaviour("MW-80")
def test_preflight() -> None:
    answer = preflight(cors(**BASIC))
    assert (answer.served, answer.status, answer.body) == (None, 200, b"")
    assert dict(answer.headers) == {
        b"Access-Control-Allow-Origin": b"https://a",
        b"Access-Control-Allow-Methods": b"GET,PUT",
        b"Access-Control-Max-Age": b"100",
    }


@pytest.mark.behaviour("MW-81")
def test_preflight_from_elsewhere() -> None:
    answer = preflight(cors(**BASIC), "https://b")
    assert (answer.status, answer.values(b"access-control-allow-methods")) == (200, [b"GET,PUT"])
    assert answer.values(b"access-control-allow-origin") == []


@pytest.mark.behaviour("MW-82")
@pytest.mark.parametrize("line", ["Origin: https://a", "Access-Control-Request-Method: PUT", "X: y"])
def test_other_options_requests_are_served(line: str) -> None:
    assert call(cors(**BASIC), request("/", line, method="OPTIONS")).served is not None


@pytest.mark.behaviour("MW-83")
def test_everybody_with_credentials() -> None:
    answer = get(cors(allow_origin_list=["*"], allow_credentials=True), "Origin: https://x")
    assert answer.values(b"access-control-allow-origin") == [b"https://x"]
    assert answer.values(b"access-control-allow-credentials") == [b"true"]


@pytest.mark.behaviour("MW-84")
def test_everybody() -> None:
    for lines in ([], ["Origin: https://x"]):
        assert get(cors(allow_origin_list=["*"]), *lines).values(b"access-control-allow-origin") == [b"*"]


@pytest.mark.behaviour("MW-85")
@pytest.mark.parametrize(("asked", "expected"), [(["X-Q, x-r"], [b"X-Q, x-r"]), ([], [])])
def test_all_headers_with_credentials(asked: list[str], expected: list[bytes]) -> None:
    lines = [f"Access-Control-Request-Headers: {one}" for one in asked]
    answer = preflight(cors(allow_headers=["*"], allow_credentials=True), "https://a", "PUT", *lines)
    assert answer.values(b"access-control-allow-headers") == expected


@pytest.mark.behaviour("MW-86")
@pytest.mark.parametrize(("origin", "allowed"), [("https://z.a.org", True), ("https://b.org", False)])
def test_expressions(origin: str, allowed: bool) -> None:
    answer = get(cors(allow_origin_list_regex=[r"https://.*\.a\.org"]), f"Origin: {origin}")
    assert answer.values(b"access-control-allow-origin") == ([origin.encode()] if allowed else [])


def test_an_expression_that_is_none() -> None:
    with pytest.raises(BuildError, match="error occurred during origin parsing: error parsing regexp: missing"):
        cors(allow_origin_list_regex=["("])


@pytest.mark.behaviour("MW-87")
@pytest.mark.parametrize(
    ("given", "expected"), [(b"Accept", b"Accept,Origin"), (b"", b"Origin"), (b"Origin", b"Origin")]
)
def test_vary(given: bytes, expected: bytes) -> None:
    assert get(cors(allow_origin_list=["https://a"], add_vary_header=True), vary=given).values(b"vary") == [
        expected
    ]


def test_the_servers_own_word_stays_without_a_match() -> None:
    service = server(200, (b"Access-Control-Allow-Origin", b"mine"))
    for origin, expected in (("https://b", b"mine"), ("https://a", b"https://a")):
        answer = call(cors(**BASIC), request("/", f"Origin: {origin}"), service)
        assert answer.values(b"access-control-allow-origin") == [expected]


def test_exposed_headers() -> None:
    assert get(cors(expose_headers=["X-A", "X-B"])).headers == [(b"Access-Control-Expose-Headers", b"X-A,X-B")]
    answer = get(cors(expose_headers=["*"], allow_credentials=True))
    assert answer.values(b"access-control-expose-headers") == []


def test_nothing_is_said_of_other_methods_and_headers() -> None:
    answer = get(cors(**BASIC), "Origin: https://a")
    assert answer.headers == [(b"Access-Control-Allow-Origin", b"https://a")]
