"""The Headers middleware at the level of handlers: custom headers, security headers, and the three together."""

from __future__ import annotations

import logging
import re

import pytest

from config.middlewares_responses import Headers
from tests.playbook import Stage
from tests.upstreams import Peer
from tests.workers.middlewares.calls import PEER, Answered, call, client, context, made, request, server
from workers.building import BuildError
from workers.middlewares.base import Wrap
from workers.middlewares.headers import headers


def middleware(**options: object) -> Wrap:
    return made(headers, Headers(**options))  # type: ignore[arg-type]


def changed(given: dict[str, str], *lines: str, trusted: bool = False) -> Answered:
    """A request through custom request headers."""
    return call(middleware(custom_request_headers=given), request("/", *lines, peer=client(trusted)))


@pytest.mark.behaviour("MW-5")
def test_the_inner_one_decides_on_the_request() -> None:
    outer, inner = middleware(custom_request_headers={"X-A": "1"}), middleware(custom_request_headers={"X-A": "2"})
    assert call(lambda handler: outer(inner(handler)), request()).sent(b"x-a") == [b"2"]


@pytest.mark.behaviour("MW-6")
def test_the_outer_one_decides_on_the_response() -> None:
    outer = middleware(custom_response_headers={"X-B": "1"})
    inner = middleware(custom_response_headers={"X-B": "2"})
    assert call(lambda handler: outer(inner(handler)), request()).values(b"x-b") == [b"1"]


@pytest.mark.behaviour("MW-76")
def test_request_headers_are_set_and_removed() -> None:
    answer = changed({"x-a": " v ", "X-B": ""}, "X-A: 1", "x-a: 2", "x-b: 3", "X-C: 4")
    assert answer.served is not None
    assert b"X-A: v" in answer.served
    assert [answer.sent(name) for name in (b"x-a", b"x-b", b"x-c")] == [[b"v"], [], [b"4"]]
    assert answer.sent(b"x-forwarded-for") == [PEER.encode()]


@pytest.mark.behaviour("MW-77")
def test_host() -> None:
    answer = changed({"host": "other:81"})
    assert answer.sent(b"host") == [b"other:81"]
    assert (answer.sent(b"x-forwarded-host"), answer.sent(b"x-forwarded-port")) == ([b"h"], [b"80"])


@pytest.mark.behaviour("MW-78")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"X-Forwarded-For": ""}, []),
        ({"x-forwarded-for": ""}, [PEER.encode()]),
        ({"X-Forwarded-For": "9.9.9.9"}, [b"9.9.9.9, " + PEER.encode()]),
    ],
)
def test_forwarded_for(given: dict[str, str], expected: list[bytes]) -> None:
    assert changed(given, "X-Forwarded-For: 1.1.1.1", trusted=True).sent(b"x-forwarded-for") == expected


def test_the_peer_comes_back_when_the_list_is_set_again() -> None:
    outer = middleware(custom_request_headers={"X-Forwarded-For": ""})
    inner = middleware(custom_request_headers={"X-Forwarded-For": "1.1.1.1"})
    answer = call(lambda handler: outer(inner(handler)), request())
    assert answer.sent(b"x-forwarded-for") == [b"1.1.1.1, " + PEER.encode()]


@pytest.mark.parametrize("value", ["", "3"])
def test_framing_is_not_for_configuration(value: str) -> None:
    given = {"Content-Length": value, "Transfer-Encoding": value and "chunked", "X-A": "1"}
    answer = call(middleware(custom_request_headers=given), request("/", "Content-Length: 5", method="POST"))
    assert (answer.sent(b"content-length"), answer.sent(b"transfer-encoding")) == ([b"5"], [])
    answer = call(middleware(custom_request_headers=given), request("/", "Transfer-Encoding: chunked"))
    assert (answer.sent(b"content-length"), answer.sent(b"transfer-encoding")) == ([], [b"chunked"])
    answer = call(middleware(custom_response_headers=given), request())
    assert answer.headers == [(b"X-A", b"1")]


def test_hop_by_hop_headers_end_here() -> None:
    given = {"Connection": "X-Gone", "Keep-Alive": "5", "Upgrade": "x", "Te": "trailers", "Trailer": "X"}
    answer = changed(given, "X-Gone: 1")
    names = (b"connection", b"keep-alive", b"upgrade", b"trailer", b"x-gone")
    assert [answer.sent(name) for name in names] == [[]] * 5
    assert answer.sent(b"te") == [b"trailers"]


def test_without_its_header_an_upgrade_is_none() -> None:
    answer = changed({"Upgrade": ""}, "Connection: Upgrade", "Upgrade: websocket")
    assert (answer.sent(b"upgrade"), answer.sent(b"connection")) == ([], [])


@pytest.mark.parametrize("given", [{"X A": "1"}, {"X-A": "a\r\nX-Evil: 1"}, {"Host": "a\nb"}, {"": "1"}])
def test_request_headers_that_cannot_be_sent(given: dict[str, str]) -> None:
    with pytest.raises(BuildError, match=r"customRequestHeaders: .* is no header"):
        middleware(custom_request_headers=given)


@pytest.mark.behaviour("MW-79")
def test_response_headers_are_set_and_removed() -> None:
    wrap = middleware(custom_response_headers={"x-c": "v", "Server": ""})
    answer = call(wrap, request(), server(200, (b"X-C", b"1"), (b"x-c", b"2"), (b"server", b"me"), (b"X-D", b"4")))
    assert answer.headers == [(b"X-D", b"4"), (b"X-C", b"v")]


def test_response_values_are_one_line() -> None:
    answer = call(middleware(custom_response_headers={"X-A": "a\r\nX-Evil: 1"}), request())
    assert answer.headers == [(b"X-A", b"a  X-Evil: 1")]


def test_response_headers_that_cannot_be_sent_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("tests.headers")
    options = Headers(custom_response_headers={"X A": "1", "X-B": "\0", "X-C": "3"})
    with caplog.at_level(logging.WARNING, log.name):
        wrap = headers(options, context(log))
    assert call(wrap, request()).headers == [(b"X-C", b"3")]
    assert len(caplog.records) == 2


def test_the_connection_can_be_ended() -> None:
    assert call(middleware(custom_response_headers={"Connection": "close"}), request()).ended


@pytest.mark.behaviour("MW-94")
@pytest.mark.parametrize("options", [{}, {"ssl_redirect": False}, {"frame_deny": False}, {"ssl_host": ""}])
def test_nothing_asked_for(options: dict[str, object]) -> None:
    with pytest.raises(BuildError, match="headers configuration not valid"):
        middleware(**options)


STRICT = {"sts_seconds": 31536000, "sts_include_subdomains": True, "sts_preload": True}


@pytest.mark.behaviour("MW-89")
@pytest.mark.parametrize(
    ("options", "is_tls", "sent"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"force_sts_header": True}, False, True),
        ({"force_sts_header": True, "is_development": True}, True, False),
        ({"ssl_proxy_headers": {"x-proto": "https"}}, False, True),
        ({"ssl_proxy_headers": {"x-proto": "on"}}, False, False),
    ],
)
def test_strict_transport_security(options: dict[str, object], is_tls: bool, sent: bool) -> None:
    wrap = middleware(**STRICT, **options)
    answer = call(wrap, request("/", "X-Proto: https", peer=client(is_tls=is_tls)))
    expected = [b"max-age=31536000; includeSubDomains; preload"] if sent else []
    assert answer.values(b"strict-transport-security") == expected


@pytest.mark.behaviour("MW-90")
def test_frames() -> None:
    options = {"frame_deny": True, "custom_frame_options_value": "SAMEORIGIN"}
    service = server(200, (b"X-Frame-Options", b"ALLOW"))
    assert call(middleware(**options), request(), service).headers == [(b"X-Frame-Options", b"SAMEORIGIN")]
    options["custom_response_headers"] = {"X-Frame-Options": ""}
    assert call(middleware(**options), request(), service).headers == []


@pytest.mark.behaviour("MW-91")
def test_sniffing_and_scripts() -> None:
    answer = call(middleware(content_type_nosniff=True, browser_xss_filter=True), request())
    assert dict(answer.headers) == {b"X-Content-Type-Options": b"nosniff", b"X-Xss-Protection": b"1; mode=block"}


def test_policies() -> None:
    wrap = middleware(content_security_policy="a", referrer_policy="b", permissions_policy="c", feature_policy="d")
    assert dict(call(wrap, request()).headers) == {
        b"Content-Security-Policy": b"a",
        b"Referrer-Policy": b"b",
        b"Permissions-Policy": b"c",
    }


def test_a_nonce_is_the_same_in_both_policies_and_new_each_time() -> None:
    wrap = middleware(
        content_security_policy="script-src $NONCE 100%", content_security_policy_report_only="x $NONCE"
    )
    seen = set()
    for _ in range(2):
        one, other = (value for _, value in call(wrap, request()).headers)
        match = re.fullmatch(rb"script-src ('nonce-[A-Za-z0-9+/]{22}') 100%", one)
        assert match is not None
        assert other == b"x " + match[1]
        seen.add(match[1])
    assert len(seen) == 2


@pytest.mark.behaviour("MW-92")
@pytest.mark.parametrize(
    ("host", "lines", "admitted"),
    [
        ("b.com", [], False),
        ("A.COM", [], True),
        ("a.com:80", [], False),
        ("b.com", ["X-Host: a.com"], True),
        ("a.com", ["X-Host: b.com"], False),
        ("b.com", ["X-Host: ", "X-Second: a.com"], True),
    ],
)
def test_allowed_hosts(host: str, lines: list[str], admitted: bool) -> None:
    options = {"allowed_hosts": ["a.com"], "hosts_proxy_headers": ["X-Host", "X-Second"], "frame_deny": True}
    answer = call(middleware(**options), request("/", *lines, host=host))
    if admitted:
        assert answer.status == 200
    else:
        assert (answer.status, answer.body, answer.values(b"x-frame-options")) == (500, b"Bad Host\n", [])
    assert call(middleware(**options, is_development=True), request("/", *lines, host=host)).status == 200


@pytest.mark.behaviour("MW-93")
def test_redirecting_options_do_nothing() -> None:
    assert call(middleware(ssl_redirect=True, ssl_host="x"), request("/x")).target == b"/x"


@pytest.mark.behaviour("MW-95")
def test_a_switch_of_protocols_passes_by() -> None:
    """ADV-B: nothing of ours gets into a handshake."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    def server_that_switches(peer: Peer) -> None:
        assert b"\r\nX-A: 1\r\n" in peer.read_head()
        peer.send(switch)

    options = {"custom_request_headers": {"X-A": "1"}, "custom_response_headers": {"X-C": "v"}, "frame_deny": True}
    with Stage(server_that_switches) as stage:
        assert stage.table.handler is not None
        stage.table.handler = middleware(**options)(stage.table.handler)
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        head = client.head()
        assert head.status == 101
        assert sorted(head.headers) == [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
