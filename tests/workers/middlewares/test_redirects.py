"""RedirectRegex and RedirectScheme at the level of handlers."""

from __future__ import annotations

import pytest

from config.middlewares_paths import RedirectRegex, RedirectScheme, StripPrefix
from tests.workers.middlewares.calls import Answered, call, client, made, request
from workers.building import BuildError
from workers.middlewares.base import Wrap
from workers.middlewares.paths import strip_prefix
from workers.middlewares.redirects import redirect_regex, redirect_scheme


def to_scheme(scheme: str = "https", port: str = "", permanent: bool = False) -> Wrap:
    return made(redirect_scheme, RedirectScheme(scheme=scheme, port=port, permanent=permanent))


def by_regex(regex: str, replacement: str = "", permanent: bool = False) -> Wrap:
    return made(redirect_regex, RedirectRegex(regex=regex, replacement=replacement, permanent=permanent))


def location(answer: Answered) -> bytes | None:
    """Where the client is sent; None if the server was asked instead."""
    if answer.served is not None:
        return None
    assert [name.lower() for name, _ in answer.headers] == [b"location"]
    return answer.headers[0][1]


@pytest.mark.behaviour("MW-36")
@pytest.mark.parametrize(
    ("permanent", "method", "status", "body"),
    [
        (False, "GET", 302, b"Found"),
        pytest.param(False, "POST", 307, b"Temporary Redirect", marks=pytest.mark.behaviour("MW-38")),
        pytest.param(False, "HEAD", 307, b"Temporary Redirect", marks=pytest.mark.behaviour("MW-38")),
        pytest.param(True, "GET", 301, b"Moved Permanently", marks=pytest.mark.behaviour("MW-37")),
        pytest.param(True, "POST", 308, b"Permanent Redirect", marks=pytest.mark.behaviour("MW-37")),
        pytest.param(True, "HEAD", 308, b"Permanent Redirect", marks=pytest.mark.behaviour("MW-37")),
    ],
)
def test_statuses(permanent: bool, method: str, status: int, body: bytes) -> None:
    for wrap in (to_scheme(permanent=permanent), by_regex("^http:", "https:", permanent)):
        answer = call(wrap, request("/p?q=1", method=method))
        assert (answer.status, answer.body, location(answer)) == (status, body, b"https://h/p?q=1")


@pytest.mark.behaviour("MW-39")
@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("h:8080", "", b"https://h/"),
        ("h", "8443", b"https://h:8443/"),
        ("h:80", "443", b"https://h/"),
        ("[::1]:8080", "", b"https://[::1]/"),
        ("[::1]", "8443", b"https://[::1]:8443/"),
    ],
)
def test_ports(host: str, port: str, expected: bytes) -> None:
    assert location(call(to_scheme(port=port), request(host=host))) == expected


@pytest.mark.behaviour("MW-40")
@pytest.mark.parametrize(
    ("trusted", "proto", "redirected"),
    [
        (True, "https", False),
        (True, "WSS", False),
        (True, "http", True),
        (True, "x", True),
        (False, "https", True),
    ],
)
def test_whose_word_counts(trusted: bool, proto: str, redirected: bool) -> None:
    sent = request("/", f"X-Forwarded-Proto: {proto}", peer=client(trusted))
    assert (location(call(to_scheme(), sent)) is not None) == redirected


@pytest.mark.behaviour("MW-41")
@pytest.mark.parametrize(("host", "expected"), [("h:8000", b"https://h/"), ("h", None), ("h:443", None)])
def test_through_tls(host: str, expected: bytes | None) -> None:
    assert location(call(to_scheme(), request(host=host, peer=client(is_tls=True)))) == expected


@pytest.mark.behaviour("MW-42")
def test_a_scheme_is_wanted() -> None:
    with pytest.raises(BuildError, match="you must provide a target scheme"):
        to_scheme("")


@pytest.mark.parametrize(("scheme", "port"), [("ht tp", ""), ("https", "x")])
def test_what_makes_no_url(scheme: str, port: str) -> None:
    answer = call(to_scheme(scheme, port), request())
    assert (answer.status, answer.body, answer.headers) == (502, b"Bad Gateway", [])


@pytest.mark.parametrize("host", ["h%41", "%zz"])
def test_a_host_that_makes_no_url(host: str) -> None:
    assert call(to_scheme(), request(host=host)).status == 502


def test_semicolons_stay() -> None:
    for wrap in (to_scheme(), by_regex("^http:", "https:")):
        for target in ("/a;b?x=1;y=2&z", "/a;b", "/a;b?", "/a?b&c"):
            assert location(call(wrap, request(target))) == b"https://h" + target.encode()


@pytest.mark.behaviour("MW-43")
def test_replacement() -> None:
    wrap = by_regex("^http://localhost/(.*)", "http://mydomain/${1}")
    answer = call(wrap, request("/foo?x=1", host="localhost"))
    assert (answer.status, location(answer)) == (302, b"http://mydomain/foo?x=1")


@pytest.mark.behaviour("MW-44")
@pytest.mark.parametrize(("regex", "replacement"), [("^https:", "x"), ("(.*)", "$1")])
def test_no_match_or_no_change(regex: str, replacement: str) -> None:
    answer = call(by_regex(regex, replacement), request("/a%2Fb?x"))
    assert (answer.target, location(answer)) == (b"/a%2Fb?x", None)


@pytest.mark.behaviour("MW-45")
def test_a_result_that_is_no_url() -> None:
    answer = call(by_regex("^http://foo(.*)$", "http://%zz"), request(host="foo"))
    assert (answer.status, answer.body, answer.headers, answer.served) == (502, b"Bad Gateway", [], None)


@pytest.mark.behaviour("MW-46")
def test_the_scheme_is_that_of_the_connection() -> None:
    sent = request("/", "X-Forwarded-Proto: https", peer=client(trusted=True))
    assert location(call(by_regex("^http://h", "http://seen"), sent)) == b"http://seen/"
    assert location(call(by_regex("^https://h", "http://seen"), request(peer=client(is_tls=True)))) is not None


@pytest.mark.behaviour("MW-47")
def test_behind_another_middleware() -> None:
    strip = made(strip_prefix, StripPrefix(prefixes=["/a"]))
    redirect = by_regex("^http://h/(.*)", "http://o/${1}")
    assert location(call(lambda handler: strip(redirect(handler)), request("/a/b"))) == b"http://o/b"


def test_an_expression_that_is_none() -> None:
    with pytest.raises(BuildError, match=r"^error parsing regexp: missing closing \]: `\[`$"):
        by_regex("[")
