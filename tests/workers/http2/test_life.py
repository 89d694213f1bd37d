"""From the preface to the last GOAWAY: idle and read timeouts, limits of requests and age, drain, cut."""

from __future__ import annotations

import gevent
import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame

from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts, Transport
from config.static_protocols import HTTP2
from tests.playbook import Stage, respond
from tests.waiting import wait_until
from tests.workers.http2.client import PREFACE, Rude, be_rude, converse, wait_for_end
from tests.workers.secure import client_context, engine, settings, table
from workers.exchange import Exchange
from workers.http2.codes import ErrorCode

NEWEST = (1 << 31) - 1


class Gate:
    """A handler that answers when it is told to."""

    def __init__(self) -> None:
        self.event = gevent.event.Event()

    def __call__(self, exchange: Exchange) -> None:
        if exchange.request.path == b"/slow":
            self.event.wait()
        exchange.respond(200, (), b"ok")

    def open(self) -> None:
        self.event.set()


def farewell(client: Rude, last: int) -> None:
    """The two GOAWAYs of a graceful end, with our answer to the ping between them."""
    assert client.until(GoAwayFrame).last_stream_id == NEWEST
    ping = client.until(PingFrame)
    client.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
    final = client.until(GoAwayFrame)
    assert (final.last_stream_id, final.error_code) == (last, ErrorCode.NO_ERROR)


def test_settings_say_what_is_configured() -> None:
    options = EntryPoint(address=":80", http2=HTTP2(max_concurrent_streams=7, max_decoder_header_table_size=8192))
    with Stage(handler=respond(), options=options) as stage:
        client = be_rude(stage)
        announced = client.until(SettingsFrame).settings
        assert announced[SettingsFrame.MAX_CONCURRENT_STREAMS] == 7
        assert announced[SettingsFrame.HEADER_TABLE_SIZE] == 8192
        assert announced[SettingsFrame.MAX_HEADER_LIST_SIZE] == 1048576 + 4096


@pytest.mark.behaviour("DP-24")
def test_an_idle_connection_is_ended_after_the_idle_timeout() -> None:
    with Stage(handler=respond()) as stage:
        client = be_rude(stage)
        client.send(client.headers(1))
        client.until(HeadersFrame)
        assert client.is_alive()
        stage.clock.advance(178)
        assert client.is_alive()
        stage.clock.advance(3)
        goaway = client.goaway()
        assert (goaway.error_code, goaway.last_stream_id) == (ErrorCode.NO_ERROR, 1)


def test_pings_do_not_keep_an_idle_connection() -> None:
    with Stage(handler=respond()) as stage:
        client = be_rude(stage)
        for _ in range(6):
            assert client.is_alive()
            stage.clock.advance(29)
        stage.clock.advance(8)
        assert client.goaway().error_code == ErrorCode.NO_ERROR


def test_a_connection_with_a_slow_answer_is_not_idle() -> None:
    gate = Gate()
    with Stage(handler=gate) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, path=b"/slow"))
        assert client.is_alive()
        stage.clock.advance(1000)
        assert client.is_alive()
        gate.open()
        client.until(HeadersFrame)
        stage.clock.advance(170)
        assert client.is_alive()


@pytest.mark.behaviour("DP-25")
@pytest.mark.parametrize("begun", [PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0", b""])
def test_half_a_frame_must_be_completed_in_time(begun: bytes) -> None:
    with Stage(handler=respond()) as stage:
        client = be_rude(stage, greets=not begun)
        client.send(begun or b"\0\0\5\1\5\0\0\0\1abc")
        client.until(SettingsFrame)
        wait_for_end(stage, 10)
        assert client.goaway().error_code == ErrorCode.NO_ERROR


def test_a_header_block_must_be_completed_in_time() -> None:
    with Stage(handler=respond()) as stage:
        client = be_rude(stage)
        head = client.headers(1)
        head.flags.discard("END_HEADERS")
        client.send(head)
        client.until(SettingsFrame)
        wait_for_end(stage, 10)
        assert client.goaway().error_code == ErrorCode.NO_ERROR


@pytest.mark.behaviour("DP-23")
def test_keep_alive_max_requests() -> None:
    options = EntryPoint(address=":80", transport=Transport(keep_alive_max_requests=2))
    with Stage(handler=respond(), options=options) as stage:
        client = be_rude(stage)
        client.send(client.headers(1))
        client.until(HeadersFrame)
        assert client.is_alive()
        assert not [frame for frame in client.frames if isinstance(frame, GoAwayFrame)]
        client.send(client.headers(3))
        farewell(client, 3)
        while client.read() is not None:
            pass
        assert {frame.stream_id for frame in client.frames if isinstance(frame, HeadersFrame)} == {1, 3}


def test_keep_alive_max_time() -> None:
    options = EntryPoint(address=":80", transport=Transport(keep_alive_max_time_seconds=10))
    with Stage(handler=respond(), options=options) as stage:
        client = be_rude(stage)
        client.send(client.headers(1))
        client.until(HeadersFrame)
        stage.clock.advance(11)
        client.send(client.headers(3))
        farewell(client, 3)


def test_drain_lets_work_finish_and_takes_what_is_under_way() -> None:
    gate = Gate()
    with Stage(handler=gate) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, path=b"/slow"))
        assert client.is_alive()
        stage.server.stop_accepting()
        stage.server.close_idle()
        assert client.until(GoAwayFrame).last_stream_id == NEWEST
        ping = client.until(PingFrame)
        client.send(client.headers(3), PingFrame(0, ping.opaque_data, flags=["ACK"]))
        final = client.until(GoAwayFrame)
        assert final.last_stream_id == 3
        client.send(client.headers(5))
        gate.open()
        while client.read() is not None:
            pass
        assert {frame.stream_id for frame in client.frames if isinstance(frame, HeadersFrame)} == {1, 3}
        client.peer.close()
        wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)


def test_drain_does_not_wait_for_a_ping_for_ever() -> None:
    with Stage(handler=respond()) as stage:
        client = be_rude(stage)
        assert client.is_alive()
        stage.server.stop_accepting()
        stage.server.close_idle()
        assert not stage.server.is_settled
        stage.clock.advance(2)
        assert client.goaway().last_stream_id == 0
        assert stage.server.is_settled


def test_an_idle_connection_ends_at_once_when_drained() -> None:
    with Stage(handler=respond()) as stage:
        client = be_rude(stage)
        assert client.is_alive()
        stage.server.stop_accepting()
        stage.server.close_idle()
        farewell(client, 0)
        assert client.read() is None


def test_a_connection_that_comes_while_draining_is_served_once() -> None:
    with Stage(handler=respond(), tls=engine(), tls_table=table()) as stage:
        peer = stage.secure_client(client_context(alpn=["h2"]), "a.test")
        stage.server.stop_accepting()
        client = Rude(peer)
        client.send(client.headers(1))
        farewell(client, 1)
        assert client.read() is None
        assert [frame.stream_id for frame in client.frames if isinstance(frame, HeadersFrame)] == [1]


def test_a_client_that_says_goodbye_is_answered_first() -> None:
    gate = Gate()
    with Stage(handler=gate) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, path=b"/slow"), GoAwayFrame(0, 0, 0))
        assert client.until(GoAwayFrame).last_stream_id == 1
        gate.open()
        client.until(HeadersFrame)
        while client.read() is not None:
            pass


def test_abort_cuts_everything() -> None:
    gate = Gate()
    with Stage(handler=gate) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, path=b"/slow"))
        assert client.is_alive()
        stage.server.abort()
        assert client.read() is None
        gate.open()
        wait_until(lambda: not stage.server.active and not stage.server.open_connections, pause=gevent.sleep)
        assert not stage.log


def test_idle_timeout_of_zero_is_the_read_timeout() -> None:
    timeouts = RespondingTimeouts(read_timeout_seconds=7.0, idle_timeout_seconds=0.0)
    options = EntryPoint(address=":80", transport=Transport(responding_timeouts=timeouts))
    with Stage(handler=respond(), options=options) as stage:
        client = be_rude(stage)
        assert client.is_alive()
        stage.clock.advance(8)
        assert client.goaway().error_code == ErrorCode.NO_ERROR


def test_a_forbidden_cipher_suite_is_refused() -> None:
    """RFC 9113 section 9.2.2; HTTP/1.1 may go on using it."""
    weak = settings(
        cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],
        max_version="VersionTLS12",
    )
    with Stage(handler=respond(), tls=engine(), tls_table=table(options=[weak])) as stage:
        modern, older = client_context(alpn=["h2"]), client_context(alpn=["http/1.1"])
        for context in (modern, older):
            context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
        client = Rude(stage.secure_client(modern, "a.test"))
        assert client.goaway().error_code == ErrorCode.INADEQUATE_SECURITY
        assert stage.secure_client(older, "a.test").get().status == 200


def test_counts_are_right_afterwards() -> None:
    with Stage(handler=respond()) as stage:
        client = converse(stage)
        for _ in range(5):
            client.get()
        assert (stage.server.served, stage.server.active, stage.server.open_connections) == (5, 0, 1)


def test_a_hook_that_fails_ends_its_stream_and_no_other() -> None:
    def handler(exchange: Exchange) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        if exchange.request.path == b"/bad":
            exchange.add_hook(fail)
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = converse(stage)
        assert client.get(b"/bad").error_code == ErrorCode.INTERNAL_ERROR
        assert client.get(b"/good").status == 200
        assert any("failed" in line for line in stage.log)
