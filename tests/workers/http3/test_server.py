"""Requests and answers over QUIC: what a handler sees, what a client gets, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from config.static import EntryPoint
from config.static_entrypoint import HTTP
from tests.http3_client import Closed
from tests.playbook import respond
from tests.workers.http3.stage import Http3Stage
from tests.workers.secure import authority, settings, table
from tls.options import ClientAuthType
from workers.errors import BODY_TIMEOUT, ProxyError
from workers.exchange import Exchange, ResponseHead
from workers.http3.codes import ErrorCode

MEBIBYTE = 1 << 20


def echo(exchange: Exchange) -> None:
    """Answer with the body, as it comes."""
    exchange.send(ResponseHead(200, []), b"", complete=False)
    while piece := exchange.read_body():
        exchange.write(piece)
    exchange.finish()


def test_what_a_handler_sees() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        crumbs = [(b"cookie", b"a=b"), (b"cookie", b"c=d")]
        answer = client.get(b"/a?b=c", (b"x-one", b"1"), *crumbs, host=b"A.test:8443")
        assert (answer.status, answer.body, answer[b"content-length"]) == (200, b"ok", b"2")
        assert answer[b"date"]
        request = here.tcp.request
        assert (request.method, request.target, request.host_header) == (b"GET", b"/a?b=c", b"A.test:8443")
        assert (request.protocol, request.content_length, request.is_tls) == (b"HTTP/3.0", 0, True)
        assert request.received_values(b"cookie") == [b"a=b; c=d"]
        assert (request.peer_ip, request.peer_port) == client.sock.getsockname()
        assert (b"X-Forwarded-Proto", b"https") in request.headers
        assert (b"X-Forwarded-Port", b"8443") in request.headers
        assert request.client.admission == ("default", ClientAuthType.NONE, ())
        assert request.client.tls is not None
        assert request.client.tls.session_labels == (b"1.3", b"TLS_AES_128_GCM_SHA256")
        assert request.client.tls.client_certificates == ()


def test_many_requests_at_once_on_one_connection() -> None:
    with Http3Stage(handler=echo) as here:
        client = here.client()
        streams = [client.begin(b"/", method=b"POST", end=False) for _ in range(50)]
        for number, stream_id in enumerate(streams):
            client.send(stream_id, b"%d" % number)
        assert [client.answer(one).body for one in streams] == [b"%d" % number for number in range(50)]
        assert here.tcp.server.active == 0
        assert here.tcp.server.open_connections == 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_mebibyte_both_ways(announced: bool) -> None:
    body = bytes(range(256)) * (MEBIBYTE // 256)
    fields = [(b"content-length", b"%d" % MEBIBYTE)] if announced else []
    with Http3Stage(handler=echo) as here:
        client = here.client(window_bytes=1 << 16)
        assert client.post(b"/", body, *fields).body == body
        assert here.tcp.request.content_length == (MEBIBYTE if announced else -1)


def test_heads_without_bodies() -> None:
    with Http3Stage(handler=respond(body=b"hello")) as here:
        client = here.client()
        answer = client.answer(client.begin(method=b"HEAD"))
        assert (answer.status, answer.body, answer[b"content-length"]) == (200, b"", b"5")
        here.tcp.table.handler = respond(204, b"")
        answer = client.get()
        assert (answer.status, answer.body, answer[b"content-length"]) == (204, b"", None)


def test_interim_answers_and_trailers() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.inform(103, [(b"Link", b"</a>")])
        headers = [(b"X-A", b"b"), (b"Connection", b"x")]
        exchange.send(ResponseHead(200, headers, trailer=b"X-T"), b"he", complete=False)
        exchange.write(b"llo")
        exchange.finish(b"!", [(b"X-T", b"1")])

    with Http3Stage(handler=handler) as here:
        answer = here.client().get()
        assert answer.interim == [103]
        assert answer.body == b"hello!"
        assert answer.trailers == [(b"x-t", b"1")]
        assert (answer[b"x-a"], answer[b"trailer"], answer[b"connection"]) == (b"b", b"X-T", None)


def test_a_client_that_holds_its_body_back_is_told_to_go_on() -> None:
    with Http3Stage(handler=echo) as here:
        client = here.client()
        stream_id = client.begin(b"/", (b"expect", b"100-continue"), method=b"POST", end=False)
        client.pump(lambda: client.stream(stream_id).heads)
        client.send(stream_id, b"body")
        assert client.answer(stream_id).body == b"body"


def test_a_server_behind_it() -> None:
    def script(peer: Any) -> None:
        head = peer.read_head()
        assert head.startswith(b"POST /a HTTP/1.1\r\nHost: a.test\r\n")
        assert b"\r\nTransfer-Encoding: chunked\r\n" in head
        peer.read_until(b"0\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send(b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n")

    with Http3Stage(script) as here:
        answer = here.client().post(b"/a", b"hello")
        assert (answer.status, answer.body, answer.trailers) == (200, b"ok", [(b"x-t", b"1")])


def test_no_route_and_handlers_that_fail() -> None:
    def crash(exchange: Exchange) -> None:
        raise ZeroDivisionError

    def give_up(exchange: Exchange) -> None:
        raise ProxyError(BODY_TIMEOUT)

    def break_off(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, [], 10), b"half", complete=False)
        raise ProxyError(BODY_TIMEOUT)

    with Http3Stage(handler=crash) as here:
        client = here.client()
        assert client.get().status == 500
        here.tcp.table.handler = give_up
        assert client.get().status == 504
        here.tcp.table.handler = break_off
        assert client.reset_of(client.begin()) == ErrorCode.INTERNAL_ERROR
        here.tcp.server.secure_table = None
        answer = client.get()
        assert (answer.status, answer.body) == (404, b"404 page not found\n")
        assert len(here.tcp.log) == 1


def test_an_answer_before_the_end_of_the_body_stops_the_client() -> None:
    with Http3Stage(handler=respond(413)) as here:
        client = here.client()
        stream_id = client.begin(method=b"POST", end=False)
        assert client.answer(stream_id).status == 413
        client.pump(lambda: client.stream(stream_id).stop_code is not None)
        assert client.stream(stream_id).stop_code == ErrorCode.NO_ERROR
        assert client.get().status == 413


PSEUDO = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a.test"), (b":path", b"/")]
MALFORMED = {
    "two lengths": ([*PSEUDO, (b"content-length", b"1"), (b"content-length", b"2")], b""),
    "a longer body": ([*PSEUDO, (b"content-length", b"2")], b"abc"),
    "a shorter body": ([*PSEUDO, (b"content-length", b"4")], b"abc"),
    "no path": (PSEUDO[:3], b""),
    "capitals": ([*PSEUDO, (b"X-A", b"1")], b""),
    "connection": ([*PSEUDO, (b"connection", b"x")], b""),
    "another host": ([*PSEUDO, (b"host", b"b.test")], b""),
    "a line break": ([*PSEUDO, (b"a", b"1\r\nb: 2")], b""),
    "a pseudo-header of answers": ([*PSEUDO, (b":status", b"200")], b""),
    "CONNECT with a protocol": ([(b":method", b"CONNECT"), *PSEUDO[1:], (b":protocol", b"websocket")], b""),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_costs_its_stream_alone(name: str) -> None:
    fields, body = MALFORMED[name]

    with Http3Stage(handler=echo) as here:
        client = here.client()
        stream_id = client.begin_with(fields, end=False)
        client.send(stream_id, body)
        assert client.reset_of(stream_id) == ErrorCode.MESSAGE_ERROR
        assert client.post(b"/", b"fine").body == b"fine"


def test_a_head_above_the_limit_is_answered_and_one_far_above_it_too() -> None:
    options = EntryPoint(address=":80", http=HTTP(max_header_bytes=1000))
    with Http3Stage(handler=respond(), options=options) as here:
        client = here.client()
        assert client.get(b"/", (b"a", b"b" * 4000)).status == 200
        for size in (6000, 9000):
            answer = client.get(b"/", (b"a", b"~" * size))
            assert (answer.status, answer[b"content-type"]) == (431, b"text/plain; charset=utf-8")
        with pytest.raises(Closed) as caught:
            client.get(b"/", (b"a", b"~" * 12000))
        assert caught.value.code == ErrorCode.EXCESSIVE_LOAD


def test_the_certificate_is_chosen_by_the_server_name() -> None:
    pairs = {name: authority().issue(f"{name}.test") for name in ("one", "two")}
    with Http3Stage(handler=respond(), tls_table=table(pairs)) as here:
        for name in pairs:
            client = here.client(f"{name}.test", authority=authority().pem)
            assert client.get(host=b"x").status == 200
        with pytest.raises(Closed, match="match"):
            here.client("three.test", authority=authority().pem).handshake()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys_of_every_kind(kind: Any) -> None:
    pair = authority().issue("one.test", kind=kind)
    with Http3Stage(handler=respond(), tls_table=table({"one": pair})) as here:
        assert here.client("one.test", authority=authority().pem).get().status == 200


def test_handshakes_that_are_refused() -> None:
    options = [settings("old", max_version="VersionTLS12"), settings("strict", sni_strict=True)]
    hosts = {"old.test": "old", "strict.test": "strict", "broken.test": "nowhere"}
    with Http3Stage(handler=respond(), tls_table=table({}, options, hosts)) as here:
        for name, alert in (("old.test", 70), ("strict.test", 112), ("broken.test", 80)):
            with pytest.raises(Closed) as caught:
                here.client(name).handshake()
            assert caught.value.code == 0x100 + alert
        with pytest.raises(Closed) as caught:
            here.client("a.test", alpn=["h2"]).handshake()
        assert caught.value.code == 0x100 + 120
        here.tcp.server.tls_table = None
        with pytest.raises(Closed) as caught:
            here.client().handshake()
        assert caught.value.code == 0x100 + 80
