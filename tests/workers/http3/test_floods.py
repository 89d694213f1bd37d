"""Floods: what a client can make us hold or do is bounded, and one that only floods is told to stop. ADV-E."""

from __future__ import annotations

from typing import Any

import gevent
import gevent.event
import pytest
from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.packet import pull_quic_header
from gevent import socket

from tests.playbook import respond
from tests.waiting import wait_until
from tests.workers.http3.stage import Http3Stage
from tls.parsed import ParsedPairs
from workers.exchange import Exchange
from workers.http3 import frames, server
from workers.http3.carrier import ROOM_BYTES
from workers.http3.codes import ErrorCode
from workers.http3.quic import MOST_PIECES, STREAM_WINDOW_BYTES, WINDOW_BYTES
from workers.http3.quic_packets import First, Retries
from workers.http3.quic_tls import Refusal, ServerTLS

pytestmark = pytest.mark.behaviour("ADV-E-9")

CANCELLED = 0x10C


def test_opening_and_resetting_in_a_hurry_ends_the_connection() -> None:
    release = gevent.event.Event()
    most = 0

    def wait(exchange: Exchange) -> None:
        nonlocal most
        most = max(most, here.tcp.server.active)
        release.wait()

    with Http3Stage(handler=wait) as here:
        client = here.client()
        client.handshake()
        quic = client.quic
        for _ in range(3000):
            client.pump(
                lambda: client.closed or quic._local_next_stream_id_bidi // 4 < quic._remote_max_streams_bidi
            )
            if client.closed is not None:
                break
            stream_id = client.begin(end=False)
            client.quic.reset_stream(stream_id, CANCELLED)
            client.quic.stop_stream(stream_id, CANCELLED)
            client.flush()
            gevent.sleep(0)
        assert client.end_of().code == ErrorCode.EXCESSIVE_LOAD
        assert most <= 250
        release.set()
        wait_until(lambda: here.tcp.server.active == 0, what="every handler ends", pause=gevent.sleep)


def test_no_more_streams_than_allowed() -> None:
    release = gevent.event.Event()

    def wait(exchange: Exchange) -> None:
        release.wait()
        exchange.respond(200, (), b"")

    with Http3Stage(handler=wait) as here:
        client = here.client()
        streams = [client.begin() for _ in range(260)]
        client.pump(lambda: here.tcp.server.active == 250)
        assert here.tcp.server.active == 250
        release.set()
        assert {client.answer(one).status for one in streams} == {200}


def test_header_blocks_without_end_are_not_kept() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        begun = frames.integer(frames.HEADERS) + frames.integer(1 << 20)
        for _ in range(8):
            client.send_raw(begun + bytes(400_000))
        assert client.end_of().code == ErrorCode.EXCESSIVE_LOAD


def test_a_block_that_unfolds_to_too_much_is_answered_without_being_unfolded() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        bomb = frames.frame(frames.HEADERS, b"\0\0" + b"\xff\x16" * 200_000)
        assert client.answer(client.send_raw(bomb, end=True)).status == 431


def test_nobody_reads_the_body_and_the_client_may_send_its_windows_only() -> None:
    release = gevent.event.Event()

    def wait(exchange: Exchange) -> None:
        release.wait()
        exchange.respond(200, (), b"%d" % sum(map(len, iter(exchange.read_body, b""))))

    with Http3Stage(handler=wait) as here:
        client = here.client()
        size = 2 * STREAM_WINDOW_BYTES
        streams = [client.begin(method=b"POST", end=False) for _ in range(6)]
        for stream_id in streams:
            client.send(stream_id, bytes(size))
        (connection,) = here.server.connections

        def held() -> int:
            return sum(len(channel._buffer) for channel in connection.channels.values())

        client.pump(lambda: held() > WINDOW_BYTES - 2000)
        assert held() <= WINDOW_BYTES
        release.set()
        assert {client.answer(one).body for one in streams} == {b"%d" % size}


def test_an_answer_that_nobody_takes_waits_in_its_handler() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.respond(200, (), bytes(50 * ROOM_BYTES))

    with Http3Stage(handler=endless) as here:
        client = here.client(window_bytes=1 << 24)
        client.begin()
        (connection,) = here.server.connections
        wait_until(
            lambda: connection.quic.queued_bytes() >= ROOM_BYTES, what="the room is full", pause=gevent.sleep
        )
        assert connection.quic.queued_bytes() < ROOM_BYTES + (1 << 15)


def test_a_stream_that_its_client_does_not_read_holds_nobody_up() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.respond(200, (), bytes(1 << 20) if exchange.request.path == b"/large" else b"small")

    with Http3Stage(handler=answer) as here:
        client = here.client(window_bytes=1 << 14)
        # a client that takes nothing: its windows are never widened
        client.quic._write_stream_limits = lambda **_: None  # type: ignore[method-assign]
        stalled = client.begin(b"/large")
        client.pump(lambda: len(client.stream(stalled).body) > 10_000)
        client.quic._local_max_data.value = 1 << 20
        assert client.get(b"/small").body == b"small"


def garbage(here: Http3Stage) -> bytes:
    """A first packet that nobody can read."""
    return b"\xc0\0\0\0\1\x08" + bytes(8) + b"\x08" + bytes(8) + b"\0\x44\xa0" + bytes(1300)


def test_first_packets_that_cannot_be_read_leave_nothing() -> None:
    with Http3Stage(handler=respond()) as here:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(here.address)
        for _ in range(50):
            sock.send(garbage(here))
        sock.send(b"\xff" * 1200)
        sock.send(b"\xc0")
        sock.send(b"")
        assert here.client().get().status == 200
        assert len(here.server.connections) == 1
        sock.close()


@pytest.mark.behaviour("ADV-E-10")
def test_with_many_handshakes_under_way_newcomers_show_their_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "RETRY_FROM", 2)
    with Http3Stage(handler=respond()) as here:
        for _ in range(5):
            here.client()  # says hello, and nothing more
        wait_until(lambda: here.server.half_open == 2, what="two are under way", pause=gevent.sleep)
        client = here.client()
        assert client.get().status == 200
        assert client.quic._retry_count == 1
        assert here.server.half_open == 2


@pytest.mark.behaviour("ADV-E-10")
def test_a_token_is_good_for_its_address_and_connection_id_only() -> None:
    retries, here, elsewhere = Retries(bytes(16)), ("192.0.2.1", 1000), ("192.0.2.1", 1001)
    first = First(b"original", b"client", b"")
    header = pull_quic_header(Buffer(data=retries.packet(first, here)))
    again = First(header.source_cid, b"client", header.token)
    assert header.destination_cid == b"client"
    assert retries.original_id(again, here) == b"original"
    assert retries.original_id(again, elsewhere) is None
    assert retries.original_id(again._replace(destination=b"other id"), here) is None
    assert retries.original_id(again._replace(token=b"x"), here) is None
    assert Retries(bytes(15) + b"x").original_id(again, here) is None


def test_no_more_handshakes_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_HALF_OPEN", 3)
    with Http3Stage(handler=respond()) as here:
        for _ in range(8):
            here.client()
        wait_until(lambda: here.server.refused == 5, what="five are refused", pause=gevent.sleep)
        assert here.server.half_open == 3
        here.tcp.clock.advance(61)
        assert here.server.half_open == 0
        assert here.client().get().status == 200


def stream_frame(stream_id: int, offset: int, data: bytes) -> Buffer:
    """What follows the type of a STREAM frame with offset and length."""
    numbers = (frames.integer(number) for number in (stream_id, offset, len(data)))
    return Buffer(data=b"".join(numbers) + data)


def test_a_stream_in_crumbs_ends_the_connection() -> None:
    """Each piece between gaps is looked at with every other one: their number is bounded."""
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        (connection,) = here.server.connections
        context: Any = None

        def receive(number: int) -> None:
            connection.quic._handle_stream_frame(context, 0x0E, stream_frame(4, 2 * number + 1, b"x"))

        for number in range(MOST_PIECES):
            receive(number)
        with pytest.raises(QuicConnectionError, match="too many gaps"):
            receive(MOST_PIECES)
        assert len(connection.quic._streams[4].receiver._ranges) == MOST_PIECES + 1


def test_handshake_messages_are_not_gathered_without_end() -> None:
    context = ServerTLS(lambda hello: pytest.fail("never asked"), ParsedPairs(), None)
    context.handle_message(b"\x01\xff\xff\xff" + bytes(60_000), {})
    with pytest.raises(Refusal, match="above 65536"):
        context.handle_message(bytes(6_000), {})
