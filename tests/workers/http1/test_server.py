"""The client's side of an HTTP/1 connection: persistence, order, limits, deadlines, refusals."""

from __future__ import annotations

import gevent
import pytest

from config.static import EntryPoint
from config.static_entrypoint import HTTP, RespondingTimeouts, Transport
from tests.playbook import Stage, respond
from tests.upstreams import echo
from tests.waiting import wait_until
from workers.errors import NOT_FOUND
from workers.exchange import Exchange, ResponseHead

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def entry_point(**transport: object) -> EntryPoint:
    return EntryPoint(address=":80", transport=Transport(**transport))  # type: ignore[arg-type]


@pytest.mark.behaviour("DP-1")
def test_no_route_is_the_404_everybody_knows() -> None:
    with Stage() as stage:
        response = stage.client().get()
    assert response.line == b"HTTP/1.1 404 Not Found"
    assert response.body == b"404 page not found\n"
    assert response[b"content-type"] == b"text/plain; charset=utf-8"
    assert response[b"x-content-type-options"] == b"nosniff"
    assert response[b"content-length"] == b"19"
    assert response[b"date"]
    assert response[b"server"] is None


def test_connection_is_kept_and_requests_follow_each_other() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        for _ in range(3):
            response = client.get()
            assert (response.status, response.body, response[b"connection"]) == (200, b"ok", None)
        assert stage.server.served == 3


def test_pipelined_requests_are_answered_in_order() -> None:
    def slow_first(exchange: Exchange) -> None:
        if exchange.request.path == b"/0":
            gevent.sleep(0.05)
        exchange.respond(200, (), exchange.request.path)

    with Stage(handler=slow_first) as stage:
        client = stage.client()
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(5)))
        assert [client.response().body for _ in range(5)] == [b"/0", b"/1", b"/2", b"/3", b"/4"]


def test_pipelined_request_behind_a_body() -> None:
    with Stage(echo) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + GET)
        assert client.response().body.endswith(b"\r\n\r\nabc")
        assert client.response().body.startswith(b"GET / HTTP/1.1")


def test_head_byte_by_byte() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.dribble(GET)
        assert client.response().body == b"ok"
        client.dribble(GET, 7)
        assert client.response().body == b"ok"


@pytest.mark.parametrize("tail", [b"Connection: close\r\n\r\n", b"connection: Keep-Alive, CLOSE\r\n\r\n"])
def test_client_asks_for_close(tail: bytes) -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + tail)
        response = client.response()
        assert response[b"connection"] == b"close"
        assert client.is_closed()


@pytest.mark.behaviour("DP-2")
@pytest.mark.parametrize(
    ("request_bytes", "text"),
    [(b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request: missing required Host header")],
)
def test_bare_refusals_end_with_the_connection(request_bytes: bytes, text: bytes) -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(request_bytes)
        assert client.read_to_end() == (
            b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%b" % (text, text)
        )


@pytest.mark.behaviour("DP-3")
def test_two_hosts() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
        assert client.read_to_end().endswith(b"\r\n\r\n400 Bad Request")
        assert not stage.table.requests


@pytest.mark.behaviour("DP-8")
def test_unknown_coding_is_501() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
        assert client.read_to_end() == (
            b"HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
            b"Unsupported transfer encoding"
        )


@pytest.mark.behaviour("DP-9")
def test_unknown_expectation_is_417() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n")
        response = client.response()
        assert (response.status, response.body, response[b"connection"]) == (417, b"", b"close")
        assert client.is_closed()


def test_an_empty_expectation_means_nothing() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\nContent-Length: 3\r\n\r\nabc")
        assert client.response().status == 200
        assert not stage.request.expect_continue


@pytest.mark.behaviour("DP-10")
def test_options_asterisk_is_answered_by_the_server_itself() -> None:
    with Stage(handler=respond(201)) as stage:
        client = stage.client()
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.response()
        assert (response.status, response[b"content-length"]) == (200, b"0")
        assert client.get().status == 201


@pytest.mark.behaviour("DP-13")
@pytest.mark.behaviour("ADV-A-1")
def test_raw_fragment_is_400_with_empty_body() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        for target in (b"/a#b", b"/a?b#c", b"http://b.example/#c"):
            client.send(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % target)
            response = client.response()
            assert (response.status, response.body, response[b"connection"]) == (400, b"", None)
        assert not stage.table.requests
        assert client.get().status == 200


def test_refused_request_with_chunks_is_still_read_to_its_end() -> None:
    """ADV-D: a refusal before the body is framed would leave it as the next request."""
    with Stage(handler=respond()) as stage:
        client = stage.client()
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(b"POST /#x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled))
        assert client.response().status == 400
        assert client.get(b"/next").body == b"ok"
        assert [request.path for request in stage.table.requests] == [b"/next"]


@pytest.mark.behaviour("DP-22")
def test_underscore_reject_is_400() -> None:
    options = EntryPoint(address=":80", http=HTTP(underscore_headers_strategy="reject"))
    with Stage(handler=respond(), options=options) as stage:
        client = stage.client()
        response = client.get(b"/", b"x_y: 1")
        assert (response.status, response.body, response[b"connection"]) == (400, b"Bad Request\n", None)
        assert client.get().status == 200


@pytest.mark.behaviour("DP-6")
def test_header_block_above_the_limit_is_431() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"a" * 1000 + b"\r\n") * 1051 + b"\r\n")
        assert client.read_to_end().endswith(b"\r\n\r\n431 Request Header Fields Too Large")


@pytest.mark.behaviour("DP-6")
def test_many_header_lines_below_the_limit_are_served() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X-A: " + b"a" * 90 + b"\r\n") * 9300 + b"\r\n")
        assert client.response().status == 200
        assert len(stage.request.header_values(b"x-a")) == 9300


def test_a_megabyte_of_tiny_header_lines_is_431() -> None:
    """ADV-F: the limit in bytes does not bound the work."""
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 200_000 + b"\r\n")
        assert client.read_to_end().endswith(b"\r\n\r\n431 Request Header Fields Too Large")


def test_long_pipeline_lets_others_have_their_turn() -> None:
    """ADV-F"""
    with Stage(handler=respond()) as stage:
        greedy, modest = stage.client(), stage.client()
        wait_until(lambda: stage.server.open_connections == 2, pause=gevent.sleep)
        greedy.send(GET * 1500)
        modest.send(b"GET /modest HTTP/1.1\r\nHost: a\r\n\r\n")
        modest.response()
        order = [request.path for request in stage.table.requests]
        assert order.index(b"/modest") < 1400
        for _ in range(1500):
            greedy.response()


@pytest.mark.behaviour("DP-7")
@pytest.mark.parametrize(("size", "status"), [(2048, 200), (8192, 431)])
def test_small_limit_has_4_kib_of_slack(size: int, status: int) -> None:
    options = EntryPoint(address=":80", http=HTTP(max_header_bytes=1048))
    with Stage(handler=respond(), options=options) as stage:
        client = stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * size + b"\r\n\r\n")
        assert client.head().status == status


@pytest.mark.behaviour("DP-23")
def test_keep_alive_max_requests() -> None:
    with Stage(handler=respond(), options=entry_point(keep_alive_max_requests=2)) as stage:
        client = stage.client()
        assert client.get()[b"connection"] is None
        assert client.get()[b"connection"] == b"close"
        assert client.is_closed()


def test_keep_alive_max_time() -> None:
    with Stage(handler=respond(), options=entry_point(keep_alive_max_time_seconds=30.0)) as stage:
        client = stage.client()
        assert client.get()[b"connection"] is None
        stage.clock.advance(31)
        assert client.get()[b"connection"] == b"close"
        assert client.is_closed()


@pytest.mark.behaviour("DP-24")
def test_idle_connection_ends_after_the_idle_timeout_and_not_before() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.get()
        stage.clock.advance(179.9)
        assert client.get().status == 200
        stage.clock.advance(179.9)
        assert stage.server.open_connections == 1
        stage.clock.advance(0.5)
        assert client.is_closed()


@pytest.mark.behaviour("DP-25")
@pytest.mark.behaviour("ADV-F-1")
def test_silent_client_is_dropped_without_a_word() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        wait_until(lambda: stage.server.open_connections, pause=gevent.sleep)
        stage.clock.advance(59.9)
        assert stage.server.open_connections == 1
        stage.clock.advance(0.5)
        assert client.is_closed()


@pytest.mark.behaviour("ADV-F-1")
def test_slow_head_of_a_later_request_is_dropped_without_a_word() -> None:
    """ADV-F: bytes now and then do not keep a request open."""
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.get()
        client.send(b"GET / HT")
        wait_until(
            lambda: any(getattr(one, "partial", False) for one in stage.server._connections), pause=gevent.sleep
        )
        stage.clock.advance(40)
        client.send(b"TP/1.1\r\n")
        gevent.sleep(0.02)
        stage.clock.advance(20.5)
        assert client.is_closed()


def test_idle_timeout_of_zero_means_read_timeout() -> None:
    timeouts = RespondingTimeouts(idle_timeout_seconds=0.0, read_timeout_seconds=7.0)
    with Stage(handler=respond(), options=entry_point(responding_timeouts=timeouts)) as stage:
        client = stage.client()
        client.get()
        stage.clock.advance(7.5)
        assert client.is_closed()


@pytest.mark.behaviour("ADV-F-3")
def test_write_timeout_cuts_a_client_that_does_not_read() -> None:
    timeouts = RespondingTimeouts(write_timeout_seconds=5.0)

    def much(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, []), b"", complete=False)
        for _ in range(2000):
            exchange.write(b"x" * 65536)
        exchange.finish()

    with Stage(handler=much, options=entry_point(responding_timeouts=timeouts)) as stage:
        client = stage.client()
        client.send(GET)
        client.read_head()
        gevent.sleep(0.05)
        stage.clock.advance(6)
        wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)


@pytest.mark.behaviour("DP-5")
def test_http_1_0_without_host_has_no_host() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        response = client.response()
        assert response.line == b"HTTP/1.0 200 OK"
        assert response[b"connection"] is None
        assert client.is_closed()
        assert stage.request.host == b""


def test_http_1_0_keep_alive_with_known_length() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        for _ in range(2):
            client.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert client.response()[b"connection"] == b"keep-alive"


def test_unknown_length_is_chunked_for_1_1_and_ends_the_connection_for_1_0() -> None:
    def stream(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, []), b"ab", complete=False)
        exchange.write(b"cd")
        exchange.finish(b"ef", [(b"X-T", b"1")])

    with Stage(handler=stream) as stage:
        client = stage.client()
        response = client.get()
        assert (response.body, response.trailers) == (b"abcdef", [(b"X-T", b"1")])
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        response = client.response()
        assert (response.body, response[b"transfer-encoding"]) == (b"abcdef", None)
        assert response[b"connection"] is None


def test_body_nobody_wanted_is_drained() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        assert client.response()[b"connection"] is None
        client.send(b"x" * 200000)
        assert client.get().status == 200


def test_large_body_nobody_wanted_ends_the_connection() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        response = client.response()
        assert response[b"connection"] == b"close"
        assert client.is_closed()


def test_client_that_never_sends_its_unwanted_body_is_dropped() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        client.response()
        stage.clock.advance(61)
        stage.clock.advance(1)
        assert client.is_closed()


def test_crash_is_logged_and_answered() -> None:
    def crash(exchange: Exchange) -> None:
        raise RuntimeError("planted")

    with Stage(handler=crash) as stage:
        client = stage.client()
        response = client.get()
        assert (response.status, response.body) == (500, b"Internal Server Error\n")
        assert "planted" in "".join(stage.log)
        assert client.get().status == 500


def test_handler_that_forgets_to_answer_is_a_crash() -> None:
    with Stage(handler=lambda _: None) as stage:
        assert stage.client().get().status == 500


def test_crash_after_the_head_cuts_the_connection() -> None:
    def crash(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, [], 10), b"12345", complete=False)
        raise RuntimeError("planted")

    with Stage(handler=crash) as stage:
        client = stage.client()
        client.send(GET)
        assert client.read_to_end().endswith(b"\r\n\r\n12345")


def test_hooks_see_every_head_in_reverse_order() -> None:
    seen = []

    def handler(exchange: Exchange) -> None:
        exchange.add_hook(lambda _, head: seen.append(("first", head.status)))
        exchange.add_hook(lambda _, head: seen.append(("second", head.status)))
        exchange.add_hook(lambda _, head: head.headers.append((b"X-Hook", b"1")))
        exchange.respond_error(NOT_FOUND)

    with Stage(handler=handler) as stage:
        assert stage.client().get()[b"x-hook"] == b"1"
    assert seen == [("second", 404), ("first", 404)]


def test_draining_ends_connections_with_their_response() -> None:
    def slow(exchange: Exchange) -> None:
        gevent.sleep(0.1)
        exchange.respond(200, (), b"late")

    with Stage(handler=slow) as stage:
        busy, idle = stage.client(), stage.client()
        wait_until(lambda: stage.server.open_connections == 2, pause=gevent.sleep)
        busy.send(GET)
        wait_until(lambda: stage.server.active == 1, pause=gevent.sleep)
        stage.server.stop_accepting()
        stage.server.close_idle()
        assert idle.is_closed()
        response = busy.response()
        assert (response.body, response[b"connection"]) == (b"late", b"close")
        assert busy.is_closed()


def test_head_gets_headers_and_no_body() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert client.response(b"HEAD")[b"content-length"] == b"2"
        assert client.response().body == b"ok"


def test_tls_bytes_on_a_plain_port_are_refused_at_once() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert client.read_to_end().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("line", [b"GET / HTTP/2.0", b"PRI / HTTP/2.0", b"PRI * HTTP/3.0"])
def test_other_versions_are_505(line: bytes) -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(line + b"\r\n\r\nSM\r\n\r\n")
        assert client.read_to_end().startswith(b"HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol")


def test_the_preface_of_http_2_counts_at_the_beginning_only() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        assert client.get().status == 200
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.read_to_end().startswith(b"HTTP/1.1 505 ")
