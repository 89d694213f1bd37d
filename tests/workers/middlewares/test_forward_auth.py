"""ForwardAuth: what the auth server is told, what its word changes, and that silence is a no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import gevent
import pytest

from config.middlewares_auth import ClientTLS, ForwardAuth
from tests.playbook import Stage
from tests.tls.pki import Authority
from tests.upstreams import Peer, Script, Upstream, answering, body_of, echo
from tests.waiting import wait_until
from tests.workers.middlewares.around import behind, context, noted, ok, post
from tests.workers.middlewares.calls import Recorder, request
from tests.workers.upstream.secured import authority, secured, server_context
from workers.building import BuildError
from workers.middlewares.auth_response import AuthResult
from workers.middlewares.client_tls import transport_for
from workers.middlewares.forward_auth import forward_auth

module = import_module("workers.middlewares.forward_auth")
YES = ok(b"yes", b"X-User: a", b"X-User: b", b"X-Auth-A: 1", b"Set-Cookie: sid=1", b"Set-Cookie: x=2")


class AuthServer:
    """Remembers what it was asked and answers with `answer`."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while data := peer.read_some():
            peer.unread = data
            head = peer.read_head()
            self.asked.append(head + body_of(head, peer))
            peer.send(self.answer)


def _silent(peer: Peer) -> None:
    peer.read_to_end()


@contextmanager
def stage(answer: bytes = YES, script: Script = echo, path: str = "/verify", **options: object) -> Iterator[Stage]:
    server = AuthServer(answer)
    with Upstream(server) as upstream:
        config = ForwardAuth(address=upstream.url + path, **options)  # type: ignore[arg-type]
        with behind(forward_auth, config, script) as where:
            where.asked = server.asked  # type: ignore[attr-defined]
            yield where


def asked(where: Stage) -> list[bytes]:
    found: list[bytes] = where.asked  # type: ignore[attr-defined]
    return found


@pytest.mark.behaviour("MW-61")
@pytest.mark.behaviour("ADV-B-4")
def test_what_the_auth_server_is_told() -> None:
    with stage(path="/verify?a=b") as where:
        client = where.client()
        client.send(post(b"hello", b"Cookie: c", b"X-A: 1", target=b"/p?q=1"))
        assert client.response().status == 200
        (head,) = asked(where)
        first, *lines = head.split(b"\r\n")
        assert first == b"GET /verify?a=b HTTP/1.1"
        for line in (
            b"X-Forwarded-Method: POST",
            b"X-Forwarded-Proto: http",
            b"X-Forwarded-Host: a.example",
            b"X-Forwarded-Uri: /p?q=1",
            b"X-Forwarded-For: 127.0.0.1",
            b"Cookie: c",
        ):
            assert line in lines
        assert b"ontent-Length" not in head


@pytest.mark.behaviour("MW-62")
def test_method_kept() -> None:
    with stage(preserve_request_method=True) as where:
        client = where.client()
        client.send(post(b"hello"))
        assert client.response().body.endswith(b"hello")
        (head,) = asked(where)
        assert head.startswith(b"POST /verify HTTP/1.1\r\n")
        assert head.endswith(b"\r\n\r\n")


@pytest.mark.behaviour("MW-63")
def test_no_is_passed_on() -> None:
    answer = ok(b"no", b"X-A: 1", b"Date: then", b"Connection: X-B", b"X-B: 1", status=b"401 Unauthorized")
    with stage(answer) as where:
        response = where.client().get()
        assert (response.status, response.body, response[b"x-a"]) == (401, b"no", b"1")
        assert response[b"date"] == b"then"
        assert response[b"x-b"] is None
        assert where.upstream is not None
        assert not where.upstream.connections


@pytest.mark.behaviour("MW-64")
@pytest.mark.parametrize(
    ("location", "absolute"),
    [(b"/login", b"/login"), (b"login?x", b"/a/login?x"), (b"", b""), (b"https://else/x", None)],
)
def test_location(location: bytes, absolute: bytes | None) -> None:
    answer = ok(b"", b"Location: " + location, status=b"302 Found")
    with stage(answer, path="/a/b") as where:
        found = where.client().get()[b"location"]
        host = asked(where)[0].split(b"Host: ")[1].split(b"\r\n")[0]
        assert found == (location if absolute in (None, b"") else b"http://" + host + (absolute or b""))
    with stage(answer, preserve_location_header=True) as where:
        assert where.client().get()[b"location"] == location


def test_first_of_several_locations() -> None:
    with stage(
        ok(b"", b"Location: /a", b"Location: /b", status=b"302 Found"), preserve_location_header=True
    ) as where:
        response = where.client().get()
        assert [value for name, value in response.headers if name == b"Location"] == [b"/a"]


def test_head_has_the_length_that_the_auth_server_says() -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1023\r\n\r\n"
    with stage(answer, preserve_request_method=True) as where:
        client = where.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head()[b"content-length"] == b"1023"


def test_location_that_is_no_url() -> None:
    with stage(ok(b"", b"Location: http://[x", status=b"302 Found")) as where:
        response = where.client().get()
        assert (response.status, response.body) == (500, b"")


@pytest.mark.behaviour("MW-65")
def test_auth_server_that_is_not_there_or_says_nothing() -> None:
    """ADV-F"""
    with Upstream(_silent) as upstream, behind(forward_auth, ForwardAuth(address=upstream.url), echo) as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: upstream.connections, pause=gevent.sleep)
        where.clock.advance(module.TIMEOUT_SECONDS + 1)
        response = client.response()
        assert (response.status, response.body) == (500, b"")
    for address in (upstream.url, "127.0.0.1", "gopher://x"):
        with behind(forward_auth, ForwardAuth(address=address), echo) as where:
            response = where.client().get()
            assert (response.status, response.body) == (500, b"")
            assert where.upstream is not None
            assert not where.upstream.connections


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"])
def test_auth_server_that_breaks_off(answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(answer)

    with Upstream(script) as upstream, behind(forward_auth, ForwardAuth(address=upstream.url), echo) as where:
        response = where.client().get()
        assert (response.status, response.body) == (500, b"")


@pytest.mark.behaviour("MW-66")
@pytest.mark.behaviour("MW-67")
def test_headers_of_the_auth_server_replace_the_clients() -> None:
    """ADV-B: a name that the auth server decides is never the client's word."""
    with stage(auth_response_headers=["x-user", "X-Gone"]) as where:
        spoofed = [b"X-User: evil", b"x-user: evil", b"X_User: evil", b"X-Gone: evil", b"x_gone: evil"]
        body = where.client().get(b"/", *spoofed, b"X-Kept: 1").body
        assert b"evil" not in body
        assert b"\r\nX-User: a\r\nX-User: b\r\n" in body
        assert b"X-Kept: 1" in body
        assert b"X-Auth-A" not in body


@pytest.mark.behaviour("MW-68")
def test_headers_by_pattern() -> None:
    with stage(auth_response_headers_regex="^X-Auth-") as where:
        body = where.client().get(b"/", b"x-auth-z: evil", b"X_Auth_A: evil", b"X-Other: 1").body
        assert b"evil" not in body
        assert b"\r\nX-Auth-A: 1\r\n" in body
        assert b"X-Other: 1" in body


@pytest.mark.behaviour("MW-69")
def test_only_listed_headers_are_told() -> None:
    with stage(auth_request_headers=["accept"]) as where:
        where.client().get(b"/", b"Accept: a", b"Cookie: c")
        (head,) = asked(where)
        names = {line.split(b":")[0] for line in head.split(b"\r\n")[1:] if line}
        assert names == {b"Host", b"Accept", b"Accept-Encoding"} | {
            b"X-Forwarded-" + name for name in (b"For", b"Method", b"Proto", b"Uri", b"Host")
        }


@pytest.mark.behaviour("MW-70")
@pytest.mark.parametrize("chunked", [False, True])
def test_forwarded_bodies(chunked: bool) -> None:
    with stage(forward_body=True, max_body_size=10) as where:
        client = where.client()
        client.send(post(b"0123456789", chunked=chunked))
        response = client.response()
        assert response.status == 200
        assert b"0123456789" in response.body
        assert asked(where)[0].endswith(b"\r\n\r\n0123456789")
        client = where.client()
        client.send(post(b"0123456789x", chunked=chunked))
        response = client.response()
        assert (response.status, response.body) == (401, b"")
        assert len(asked(where)) == 1


def test_forwarded_body_larger_than_memory() -> None:
    body = bytes(range(256)) * 8192  # 2 MiB
    with stage(forward_body=True) as where:
        client = where.client()
        client.send(post(body))
        assert client.response().body.endswith(body)
        assert asked(where)[0].endswith(body)


@pytest.mark.behaviour("ADV-F-6")
def test_no_body_may_be_unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """ADV-F"""
    monkeypatch.setattr(module, "MOST_BODY_BYTES", 1000)
    with stage(forward_body=True, max_body_size=-1) as where:
        client = where.client()
        client.send(post(b"x" * 1001, chunked=True))
        assert client.response().status == 401

    def endless(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(b"x" * 10_000)

    with Upstream(endless) as upstream, behind(forward_auth, ForwardAuth(address=upstream.url), echo) as where:
        assert where.client().get().status == 401


@pytest.mark.behaviour("MW-71")
@pytest.mark.parametrize("limit", [0, 2])
@pytest.mark.behaviour("ADV-F-6")
def test_auth_response_that_is_too_large(limit: int) -> None:
    with stage(max_response_body_size=limit) as where:
        response = where.client().get()
        assert (response.status, response.body) == (401, b"")
    with stage(ok(b"no", status=b"403 Forbidden"), max_response_body_size=limit) as where:
        assert where.client().get().status == (403 if limit else 401)


@pytest.mark.behaviour("MW-72")
def test_sign_in() -> None:
    with stage(ok(b"no", b"X-A: 1", status=b"401 U"), auth_signin_url="https://s/in?{url}") as where:
        response = where.client().get()
        assert (response.status, response.body, response[b"x-a"]) == (302, b"", None)
        assert response[b"location"] == b"https://s/in?{url}"
    with stage(ok(b"no", status=b"403 F"), auth_signin_url="https://s/in") as where:
        assert where.client().get().status == 403


@pytest.mark.behaviour("MW-73")
def test_cookies() -> None:
    answer = ok(b"ok", b"Set-Cookie: sid=0; Path=/", b"Set-Cookie: b=3")
    with stage(script=answering(answer), add_auth_cookies_to_response=["sid"]) as where:
        cookies = [value for name, value in where.client().get().headers if name == b"Set-Cookie"]
        assert cookies == [b"b=3", b"sid=1"]
    with stage(ok(b""), answering(answer), add_auth_cookies_to_response=["sid"]) as where:
        cookies = [value for name, value in where.client().get().headers if name == b"Set-Cookie"]
        assert cookies == [b"sid=0; Path=/", b"b=3"]


@pytest.mark.behaviour("MW-75")
def test_websocket() -> None:
    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        peer.send(peer.read_exactly(4))

    with stage(script=server, add_auth_cookies_to_response=["sid"]) as where:
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        head = client.head()
        assert head.status == 101
        assert head[b"set-cookie"] is None
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping"
        assert b"pgrade" not in asked(where)[0]


def test_client_that_left_ends_the_question() -> None:
    """ADV-F: nobody may keep auth servers busy by leaving."""
    ended: list[bytes] = []

    def slow(peer: Peer) -> None:
        peer.read_head()
        ended.append(peer.read_to_end())

    with Upstream(slow) as upstream, behind(forward_auth, ForwardAuth(address=upstream.url), echo) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: upstream.connections, pause=gevent.sleep)
        client.close()
        wait_until(lambda: ended and not where.server.open_connections, pause=gevent.sleep)
        assert exchanges[0].failure is not None
        assert exchanges[0].failure.kind == "client_gone"
        assert where.upstream is not None
        assert not where.upstream.connections


@pytest.mark.parametrize("chunked", [False, True])
def test_client_that_leaves_in_the_midst_of_its_body(chunked: bool) -> None:
    with stage(forward_body=True) as where:
        exchanges = noted(where)
        client = where.client()
        client.send(post(b"0123456789", chunked=chunked)[:-3])
        wait_until(lambda: exchanges, pause=gevent.sleep)
        client.close()
        wait_until(lambda: not where.server.open_connections, pause=gevent.sleep)
        assert not asked(where)


def test_client_that_stops_in_the_midst_of_its_body() -> None:
    """ADV-F"""
    with stage(forward_body=True) as where:
        client = where.client()
        client.send(post(b"0123456789")[:-3])
        wait_until(lambda: where.table.requests, pause=gevent.sleep)
        where.clock.advance(61)
        response = client.response()
        assert (response.status, response.body) == (500, b"")
        assert client.is_closed()
        assert not asked(where)


def test_address_that_needs_escapes() -> None:
    with stage(path="/a b?c d&e=%20") as where:
        where.client().get()
        assert asked(where)[0].startswith(b"GET /a%20b?c%20d&e=%20 HTTP/1.1\r\n")


def test_configured_texts_cannot_break_out_of_their_line() -> None:
    with stage(ok(b"", status=b"401 U"), auth_signin_url="https://s/\r\nX-Evil: 1") as where:
        response = where.client().get()
        assert response[b"x-evil"] is None
        assert response.status == 302


def test_credentials_of_the_address() -> None:
    with Upstream(AuthServer(ok(b"", b"Location: /x", status=b"302 F"))) as upstream:
        address = upstream.url.replace("//", "//me:p%40ss@")
        with behind(forward_auth, ForwardAuth(address=address), echo) as where:
            assert where.client().get()[b"location"] == upstream.url.encode() + b"/x"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ForwardAuth(), "requires an address"),
        (
            ForwardAuth(address="http://a", auth_response_headers_regex="(?=x)"),
            "error compiling regular expression",
        ),
        (ForwardAuth(address="https://a", tls=ClientTLS(ca="nonsense")), "failed to parse CA"),
        (ForwardAuth(address="https://a", tls=ClientTLS(cert="x")), "belong together"),
        (ForwardAuth(address="https://a", tls=ClientTLS(cert="x", key="y")), "unable to create client TLS"),
    ],
)
def test_options_that_cannot_be(options: ForwardAuth, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        forward_auth(options, context())


def _asked_through_tls(context: Any = None, **options: Any) -> int:
    with Upstream(secured(AuthServer(YES), context)) as upstream:
        address = upstream.url.replace("http:", "https:")
        config = ForwardAuth(address=address, tls=ClientTLS(**options))
        with behind(forward_auth, config, echo) as where:
            return where.client().get().status


def test_auth_server_behind_tls() -> None:
    """ADV-C: only a server that the authority has vouched for is asked, unless told otherwise."""
    other = Authority()
    assert _asked_through_tls(ca=authority().pem) == 200
    assert _asked_through_tls(ca=other.pem) == 500
    assert _asked_through_tls() == 500
    assert _asked_through_tls(insecure_skip_verify=True) == 200


def test_client_certificate_for_the_auth_server() -> None:
    mine = authority().issue("client", usage="client")
    context = server_context(client_ca=authority().pem)
    shown = {"ca": authority().pem, "cert": mine.chain.decode(), "key": mine.key.decode()}
    assert _asked_through_tls(context, **shown) == 200
    assert _asked_through_tls(context, ca=authority().pem) == 500


def test_equal_tls_options_share_one_transport() -> None:
    pem = authority().pem
    first = transport_for(ClientTLS(ca=pem))
    assert transport_for(ClientTLS(ca=pem)) is first
    assert transport_for(ClientTLS(ca=pem, insecure_skip_verify=True)) is not first


@pytest.mark.parametrize(
    "options", [{"auth_response_headers": ["X-User"]}, {"auth_response_headers_regex": "^X-U"}]
)
@pytest.mark.parametrize("name", ["X_User", "x.user", "X!User", "x-USER"])
@pytest.mark.behaviour("ADV-B-3")
def test_no_spelling_of_a_decided_header_passes(name: str, options: dict[str, Any]) -> None:
    """Servers that make variables of headers take all of them for the same one."""
    exchange = Recorder(request("/", f"{name}: evil", "X--User: stays"))
    AuthResult(ForwardAuth(address="http://auth", **options)).apply(exchange, [(b"X-User", b"me")])
    found = [
        header for header in exchange.request.headers if b"ser" in header[0].lower() and header[1] != b"proxy"
    ]
    assert found == [(b"X--User", b"stays"), (b"X-User", b"me")]
