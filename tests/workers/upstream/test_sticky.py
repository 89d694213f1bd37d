"""Sticky cookies: names, values, attributes, and when a client is told."""

from __future__ import annotations

import pytest

from config.http import Cookie, LoadBalancer, Server, Sticky
from tests.workers.fakes import FakeExchange
from workers.exchange import ResponseHead
from workers.upstream.candidate import cookie_value
from workers.upstream.servers import Servers
from workers.upstream.sticky import attributes, cookie_name, old_values, read_cookie

A, B = "http://127.0.0.1:8081", "http://127.0.0.1:8082"


def pool(*urls: str, fenced: tuple[str, ...] = (), before: Servers | None = None, **cookie: object) -> Servers:
    config = LoadBalancer(pass_host_header=True, sticky=Sticky(cookie=Cookie(**cookie)))  # type: ignore[arg-type]
    servers = [Server(url=url, fenced=url in fenced) for url in urls]
    return Servers("backend", config, servers, before)


def request(servers: Servers, *cookies: bytes) -> tuple[str | None, list[bytes]]:
    """URL of the server that was chosen, and the Set-Cookie lines of the answer."""
    exchange = FakeExchange()
    exchange.request._headers = [(b"Cookie", line) for line in cookies]
    chosen = servers.pick(exchange)
    head = ResponseHead(200, [(b"Set-Cookie", b"own=1")])
    exchange.run_hooks(head)
    lines = [value for name, value in head.headers if name == b"Set-Cookie"]
    assert lines.pop() == b"own=1"
    return chosen.name if chosen is not None else None, lines


@pytest.mark.behaviour("DP-90")
def test_a_new_client_is_told_and_comes_back() -> None:
    servers = pool(A)
    assert request(servers) == (A, [b"_76eb3=08d5f409490f61fc; Path=/"])
    assert request(servers, b"x=y; _76eb3=08d5f409490f61fc") == (A, [])


@pytest.mark.behaviour("DP-91")
@pytest.mark.parametrize("old", [A, "5a1cc52f3f46040d", "7d49894b220072d2"])
def test_values_of_older_releases_are_rewritten(old: str) -> None:
    told = [b"_76eb3=%b; Path=/" % cookie_value(A).encode()]
    for _ in range(5):
        assert request(pool(A, B), b"_76eb3=" + old.encode()) == (A, told)


@pytest.mark.behaviour("DP-91")
def test_an_unknown_value_gets_a_new_one() -> None:
    url, lines = request(pool(A, B), b"_76eb3=nobody")
    assert lines == [b"_76eb3=%b; Path=/" % cookie_value(url or "").encode()]


@pytest.mark.behaviour("DP-92")
def test_name_and_attributes() -> None:
    cookie = Cookie(
        name="my cookie",
        secure=True,
        http_only=True,
        same_site="lax",
        max_age=60,
        domain="a.com",
        path="/x",
    )
    assert cookie_name("any", cookie) == "my_cookie"
    assert attributes(cookie) == "; Path=/x; Domain=a.com; Max-Age=60; HttpOnly; Secure; SameSite=Lax"


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (Cookie(domain=".a.com", max_age=-1), "; Path=/; Domain=a.com; Max-Age=0"),
        (Cookie(domain="a..com", same_site="other"), "; Path=/"),
        (Cookie(domain="a.com; HttpOnly", path="/a;b"), ""),
        (Cookie(path="", same_site="NONE"), "; SameSite=None"),
    ],
)
def test_odd_attributes(cookie: Cookie, expected: str) -> None:
    assert attributes(cookie) == expected


@pytest.mark.parametrize(
    ("service", "name"),
    [("backend", "_76eb3"), ("default-whoami-80@kubernetescrd", "_9fb22"), ("my-service@file", "_4fcce")],
)
def test_names_made_from_services(service: str, name: str) -> None:
    assert cookie_name(service, Cookie()) == name


def test_digests() -> None:
    assert cookie_value("http://10.42.0.5:80") == "bef67460d38c7acf"
    assert old_values(A) == (A, "5a1cc52f3f46040d", "7d49894b220072d2")


@pytest.mark.behaviour("DP-93")
def test_a_server_that_is_down_is_left_and_the_client_told() -> None:
    servers = pool(A, B)
    down = next(one for one in servers.candidates if one.name == A)
    down.is_up = False
    assert request(servers, b"_76eb3=" + cookie_value(A).encode()) == (
        B,
        [b"_76eb3=%b; Path=/" % cookie_value(B).encode()],
    )
    servers.candidates[1].is_up = False
    assert request(servers) == (None, [])


def test_a_fenced_server_serves_those_who_stick_to_it() -> None:
    servers = pool(A, B, fenced=(A,))
    assert request(servers, b"_76eb3=" + cookie_value(A).encode()) == (A, [])
    assert {request(servers)[0] for _ in range(6)} == {B}


@pytest.mark.behaviour("DP-125")
def test_more_servers_and_old_cookies() -> None:
    before = pool(A, B)
    after = pool(A, B, "http://127.0.0.1:8083", before=before)
    for url in (A, B):
        assert request(after, b"_76eb3=" + cookie_value(url).encode()) == (url, [])
    assert [after.candidates[0], after.candidates[1]] == before.candidates


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([b"a=1; _c=2; _c=3"], "2"),
        ([b"a=1", b"_c=2"], "2"),
        ([b"_cc=1; x_c=2"], None),
        ([b'_c="q"'], "q"),
        ([b"_c"], None),
        ([b";;_c=;"], ""),
        ([], None),
    ],
)
def test_reading(lines: list[bytes], value: str | None) -> None:
    assert read_cookie(lines, "_c") == value


def test_rendezvous_takes_no_cookie() -> None:
    config = LoadBalancer(pass_host_header=True, strategy="hrw", sticky=Sticky(cookie=Cookie()))
    servers = Servers("s", config, [Server(url=A)])
    exchange = FakeExchange()
    exchange.request.client = type("Peer", (), {"ip": "10.0.0.1"})()
    assert servers.pick(exchange) is servers.candidates[0]
    assert exchange.hooks is None
