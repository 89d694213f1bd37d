"""Conversations with an independent client: requests, answers, bodies, what reaches the server behind us."""

from __future__ import annotations

import gevent
import pytest
from gevent import ssl
from h2 import events

from config.static import EntryPoint
from config.static_entrypoint import HTTP
from tests.playbook import Stage, respond
from tests.upstreams import Peer, answering, echo
from tests.waiting import wait_until
from tests.workers.http2.client import PREFACE, Conversation, converse
from tests.workers.secure import TLS12, client_context, engine, table
from workers.exchange import Exchange, ResponseHead

ENGINE = engine()


def show(exchange: Exchange) -> None:
    """Answer with the request body, whole."""
    body = b""
    while piece := exchange.read_body():
        body += piece
    exchange.respond(200, (), body)


@pytest.mark.behaviour("DP-87")
def test_prior_knowledge_on_a_plaintext_entry_point() -> None:
    with Stage(handler=respond()) as stage:
        client = converse(stage)
        answer = client.get()
        assert (answer.status, answer.body) == (200, b"ok")
        assert answer[b"content-length"] == b"2"
        assert answer[b"date"]
        assert client.get(b"/again").status == 200
        assert stage.server.served == 2


@pytest.mark.parametrize("size", [1, 5, 14, 18, 23])
def test_the_preface_may_come_in_pieces(size: int) -> None:
    with Stage(handler=respond()) as stage:
        peer = stage.client()
        peer.dribble(PREFACE, size)
        real = peer.send
        peer.send = lambda data: real(data.removeprefix(PREFACE))  # type: ignore[method-assign]
        assert Conversation(peer).get().body == b"ok"


def test_everything_byte_by_byte() -> None:
    with Stage(handler=show) as stage:
        peer = stage.client()
        peer.send = peer.dribble  # type: ignore[method-assign]
        assert Conversation(peer).get(method=b"POST", body=b"abc").body == b"abc"


@pytest.mark.parametrize("version", [TLS12, None])
def test_alpn_chooses_it(version: ssl.TLSVersion | None) -> None:
    with Stage(handler=respond(), tls=ENGINE, tls_table=table()) as stage:
        context = client_context(only=version, alpn=["h2", "http/1.1"])
        peer = stage.secure_client(context, "a.test")
        assert peer.socket.selected_alpn_protocol() == "h2"
        assert Conversation(peer).get().body == b"ok"
        assert stage.request.is_tls
        older = stage.secure_client(client_context(alpn=["http/1.1"]), "a.test")
        assert older.get().status == 200


@pytest.mark.behaviour("DP-1")
def test_no_route_is_the_404_everybody_knows() -> None:
    with Stage() as stage:
        answer = converse(stage).get()
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer[b"content-type"] == b"text/plain; charset=utf-8"
    assert answer[b"x-content-type-options"] == b"nosniff"
    assert answer[b"content-length"] == b"19"


def test_the_server_sees_an_ordinary_request() -> None:
    with Stage(echo) as stage:
        answer = converse(stage).get(b"/a/../b?x=1", (b"x-request-id", b"7"), (b"user-agent", b"t"))
        lines = answer.body.split(b"\r\n")
        assert lines[:4] == [b"GET /b?x=1 HTTP/1.1", b"Host: a.example", b"X-Request-Id: 7", b"User-Agent: t"]
        assert b"X-Forwarded-Proto: http" in lines
        assert b"X-Forwarded-Host: a.example" in lines
        assert b"X-Forwarded-For: 127.0.0.1" in lines
        assert answer[b"content-length"] == b"%d" % len(answer.body)


def test_forged_headers_do_not_pass() -> None:
    with Stage(echo) as stage:
        forged = [(b"x-forwarded-for", b"9.9.9.9"), (b"x-real-ip", b"8.8.8.8"), (b"x_forwarded_proto", b"https")]
        body = converse(stage).get(b"/", *forged).body
    assert b"9.9.9.9" not in body
    assert b"8.8.8.8" not in body
    assert b"https" not in body


def test_underscore_names_can_be_refused() -> None:
    options = EntryPoint(address=":80", http=HTTP(underscore_headers_strategy="reject"))
    with Stage(echo, options=options) as stage:
        client = converse(stage)
        assert client.get(b"/", (b"x_y", b"1")).status == 400
        assert client.get(b"/", (b"x-y", b"1")).status == 200


def test_cookie_crumbs_are_joined() -> None:
    with Stage(echo) as stage:
        body = converse(stage).get(b"/", (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")).body
    assert body.count(b"Cookie: ") == 1
    assert b"\r\nCookie: a=1; b=2\r\n" in body


def test_te_trailers_is_kept() -> None:
    with Stage(echo) as stage:
        assert b"\r\nTe: trailers\r\n" in converse(stage).get(b"/", (b"te", b"trailers")).body


@pytest.mark.behaviour("DP-63")
def test_a_body_without_a_length_goes_on_in_chunks() -> None:
    with Stage(echo) as stage:
        body = converse(stage).get(method=b"POST", body=b"abc").body
    assert b"\r\nTransfer-Encoding: chunked\r\n" in body
    assert body.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


@pytest.mark.behaviour("DP-63")
def test_a_body_with_a_length_keeps_it() -> None:
    with Stage(echo) as stage:
        body = converse(stage).get(b"/", (b"content-length", b"3"), method=b"POST", body=b"abc").body
    assert body.count(b"Content-Length: 3\r\n") == 1
    assert b"Transfer-Encoding" not in body
    assert body.endswith(b"\r\n\r\nabc")


@pytest.mark.behaviour("DP-63")
def test_a_post_without_a_body_has_the_length_zero() -> None:
    with Stage(echo) as stage:
        assert b"\r\nContent-Length: 0\r\n" in converse(stage).get(method=b"POST").body


def test_a_body_in_pieces_is_passed_on_as_it_comes() -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.read_head()
        for _ in range(2):
            seen.append(peer.read_until(b"\r\n") + peer.read_until(b"\r\n"))
        assert peer.read_until(b"\r\n\r\n") == b"0\r\n\r\n"
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Stage(script) as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        client.data(stream, b"one")
        wait_until(lambda: seen == [b"3\r\none\r\n"], pause=gevent.sleep)
        client.data(stream, b"three")
        wait_until(lambda: len(seen) == 2, pause=gevent.sleep)
        client.data(stream, b"", end=True)
        assert client.answer(stream).status == 200


@pytest.mark.behaviour("DP-79")
def test_trailers_of_the_server_arrive() -> None:
    server = answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"
    )
    with Stage(server) as stage:
        answer = converse(stage).get()
    assert (answer.status, answer.body, answer.trailers) == (200, b"hi", [(b"x-t", b"1")])
    assert answer[b"trailer"] == b"X-T"
    assert answer[b"transfer-encoding"] is None


def test_trailers_of_the_client_end_the_body() -> None:
    with Stage(handler=show) as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        client.data(stream, b"abc")
        client.h2.send_headers(stream, [(b"x-t", b"1")], end_stream=True)
        client.flush()
        assert client.answer(stream).body == b"abc"


def test_interim_responses_are_relayed() -> None:
    server = answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    )
    with Stage(server) as stage:
        answer = converse(stage).get()
    assert answer.interim == [[(b":status", b"103"), (b"link", b"</x>")]]
    assert (answer.status, answer.body) == (200, b"hi")


def test_connection_headers_of_the_server_stay_behind() -> None:
    server = answering(
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n"
        b"Proxy-Connection: close\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n"
    )
    with Stage(server) as stage:
        names = [name for name, _ in converse(stage).get().headers]
    assert names == [b":status", b"x-kept", b"content-length", b"date"]


@pytest.mark.behaviour("DP-81")
def test_head_has_the_length_and_no_body() -> None:
    with Stage(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as stage:
        answer = converse(stage).get(method=b"HEAD")
    assert (answer.status, answer[b"content-length"], answer.body) == (200, b"5", b"")


@pytest.mark.parametrize("status", [204, 304])
def test_no_content(status: int) -> None:
    with Stage(answering(b"HTTP/1.1 %d X\r\n\r\n" % status)) as stage:
        answer = converse(stage).get()
    assert (answer.status, answer.body, answer.error_code) == (status, b"", None)


def test_a_body_without_a_length_from_the_server() -> None:
    with Stage(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")) as stage:
        answer = converse(stage).get()
    assert (answer.body, answer[b"content-length"]) == (b"hi", None)


@pytest.mark.behaviour("DP-74")
def test_a_body_cut_by_the_server_is_a_reset() -> None:
    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(50))

    with Stage(script) as stage:
        client = converse(stage)
        answer = client.get()
        assert (answer.status, len(answer.body), answer.error_code) == (200, 50, 2)
        assert stage.server.open_connections == 1


@pytest.mark.behaviour("DP-66")
def test_no_server_there_is_502() -> None:
    with Stage(url="http://127.0.0.1:1") as stage:
        answer = converse(stage).get()
    assert (answer.status, answer.body, answer[b"content-type"]) == (502, b"Bad Gateway", None)


def test_a_handler_that_breaks_is_500_and_the_connection_goes_on() -> None:
    def handler(exchange: Exchange) -> None:
        if exchange.request.path == b"/bad":
            raise RuntimeError("broken")
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = converse(stage)
        answer = client.get(b"/bad")
        assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
        assert client.get().body == b"ok"
        assert "broken" in "".join(stage.log)


def test_a_handler_that_breaks_within_its_answer_resets_the_stream() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, []), b"abc", False)
        raise RuntimeError("broken")

    with Stage(handler=handler) as stage:
        answer = converse(stage).get()
        assert (answer.status, answer.body, answer.error_code) == (200, b"abc", 2)


@pytest.mark.behaviour("DP-12")
@pytest.mark.behaviour("ADV-D-4")
def test_connect_is_501() -> None:
    with Stage(echo) as stage:
        answer = converse(stage).get(method=b"CONNECT", authority=b"h:443", body=None)
        assert (answer.status, answer.body) == (501, b"")


@pytest.mark.behaviour("DP-10")
def test_options_asterisk_is_answered_by_the_server_itself() -> None:
    with Stage(handler=respond(201)) as stage:
        client = converse(stage)
        assert client.get(b"*", method=b"OPTIONS").status == 200
        assert client.get(b"/", method=b"OPTIONS").status == 201


@pytest.mark.behaviour("DP-13")
def test_raw_fragment_is_400_with_an_empty_body() -> None:
    with Stage(handler=respond()) as stage:
        answer = converse(stage).get(b"/a#b")
        assert (answer.status, answer.body) == (400, b"")
        assert not stage.table.requests


def test_malformed_host_is_400() -> None:
    with Stage(handler=respond()) as stage:
        client = converse(stage)
        answer = client.get(authority=b"a b")
        assert (answer.status, answer.body) == (400, b"400 Bad Request: malformed Host header")
        assert client.get().status == 200


def test_many_streams_at_once_each_get_their_own() -> None:
    def handler(exchange: Exchange) -> None:
        gevent.sleep(0.001 * (int(exchange.request.path[1:]) % 7))
        exchange.respond(200, (), exchange.request.path)

    with Stage(handler=handler) as stage:
        client = converse(stage)
        streams = [client.ask(b"/%d" % number) for number in range(100)]
        assert [client.answer(stream).body for stream in streams] == [b"/%d" % number for number in range(100)]
        assert stage.server.active == 0


def test_head_small_body_and_end_are_one_write() -> None:
    with Stage(handler=respond()) as stage:
        client = converse(stage)
        client.get()
        stream = client.ask()
        data = client.peer.read_some()
        kinds = []
        while data:
            length = int.from_bytes(data[:3], "big")
            kinds.append((data[3], data[4] & 1))
            data = data[9 + length :]
        assert kinds == [(1, 0), (0, 1)]
        assert stream == 3


@pytest.mark.behaviour("DP-80")
def test_continue_is_asked_of_us_when_the_body_is_wanted() -> None:
    with Stage(handler=show) as stage:
        client = converse(stage)
        stream = client.ask(b"/", (b"expect", b"100-continue"), method=b"POST", body=None)
        client.until(events.InformationalResponseReceived)
        client.data(stream, b"abc", end=True)
        answer = client.answer(stream)
        assert answer.interim == [[(b":status", b"100")]]
        assert answer.body == b"abc"


@pytest.mark.behaviour("DP-80")
def test_no_continue_where_the_answer_comes_first() -> None:
    with Stage(handler=respond(401)) as stage:
        client = converse(stage)
        stream = client.ask(b"/", (b"expect", b"100-continue"), method=b"POST", body=None)
        answer = client.answer(stream)
        assert (answer.status, answer.interim) == (401, [])


def test_the_server_is_not_told_of_an_expectation() -> None:
    with Stage(echo) as stage:
        client = converse(stage)
        stream = client.ask(b"/", (b"expect", b"100-continue"), method=b"POST", body=None)
        client.until(events.InformationalResponseReceived)
        client.data(stream, b"abc", end=True)
        assert b"xpect" not in client.answer(stream).body


def test_an_upload_nobody_wants_is_stopped_without_an_error() -> None:
    with Stage() as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        answer = client.answer(stream)
        assert answer.status == 404
        assert not [event for event in client.seen if isinstance(event, events.StreamReset)]
        stage.clock.advance(1.1)
        assert int(client.until(events.StreamReset).error_code) == 0
        assert client.get().status == 404


def test_an_upload_that_goes_on_behind_its_answer_may_end_well() -> None:
    """Some clients take a reset behind a complete answer for a failure."""
    with Stage() as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        assert client.answer(stream).status == 404
        client.h2.send_data(stream, b"x" * 1000, end_stream=True)
        client.flush()
        assert client.get().status == 404
        stage.clock.advance(2)
        assert client.get().status == 404
        assert not [event for event in client.seen if isinstance(event, events.StreamReset)]


def test_a_client_that_resets_stops_the_server() -> None:
    ended: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.read_head()
        ended.append(peer.read_to_end())

    with Stage(script) as stage:
        client = converse(stage)
        stream = client.ask()
        wait_until(lambda: stage.upstream and stage.upstream.connections, pause=gevent.sleep)
        client.h2.reset_stream(stream, 8)
        client.flush()
        wait_until(lambda: ended == [b""], pause=gevent.sleep)
        wait_until(lambda: stage.server.active == 0, pause=gevent.sleep)
        assert stage.server.open_connections == 1


@pytest.mark.behaviour("DP-86")
def test_a_client_that_leaves_stops_all_servers() -> None:
    ended: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.read_head()
        ended.append(peer.read_to_end())

    with Stage(script) as stage:
        client = converse(stage)
        for _ in range(3):
            client.ask()
        wait_until(lambda: stage.upstream and stage.upstream.connections == 3, pause=gevent.sleep)
        client.peer.close()
        wait_until(lambda: ended == [b""] * 3, pause=gevent.sleep)
        wait_until(lambda: stage.server.active == 0 and not stage.server.open_connections, pause=gevent.sleep)


def test_an_upgrade_is_not_possible() -> None:
    """Not even by a handler: there is no stream of bytes to give away."""
    with Stage(
        answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    ) as stage:
        answer = converse(stage).get()
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
