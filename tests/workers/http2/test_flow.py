"""Windows both ways: no one is sent more than they take, all get a share, and who takes nothing is ended."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import gevent
import pytest
from h2 import events
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts, Transport
from tests.playbook import Clock, Stage, respond
from tests.upstreams import Peer
from tests.waiting import wait_until
from tests.workers.http2.client import Conversation, Rude, be_rude, converse
from tests.workers.secure import client_context, engine, table
from workers.exchange import Exchange, ResponseHead
from workers.http2.carrier import WINDOW_BYTES
from workers.http2.channel import STREAM_WINDOW_BYTES
from workers.http2.codes import ErrorCode
from workers.http2.outbox import ROOM_BYTES, Outbox
from workers.stream import Stream
from workers.timers import TimerWheel

LARGE = bytes(range(256)) * 4096


def large(exchange: Exchange) -> None:
    """A megabyte in pieces as a server would send them."""
    exchange.send(ResponseHead(200, []), b"", False)
    for start in range(0, len(LARGE), ROOM_BYTES):
        exchange.write(LARGE[start : start + ROOM_BYTES])
    exchange.finish()


def links(stage: Stage) -> list[Any]:
    return list(stage.server._connections)


def test_a_large_body_arrives_whole() -> None:
    with Stage(handler=large) as stage:
        assert converse(stage).get().body == LARGE


def test_a_large_body_in_one_piece_arrives_whole() -> None:
    with Stage(handler=respond(body=LARGE)) as stage:
        answer = converse(stage).get()
        assert answer.body == LARGE
        assert answer[b"content-length"] == b"%d" % len(LARGE)


def test_large_bodies_through_tls() -> None:
    with Stage(handler=large, tls=engine(), tls_table=table()) as stage:
        client = Conversation(stage.secure_client(client_context(alpn=["h2"]), "a.test"))
        streams = [client.ask() for _ in range(3)]
        assert all(client.answer(stream).body == LARGE for stream in streams)


@pytest.mark.parametrize("window", [1, 1000, 65535, 1 << 20])
def test_the_initial_window_is_kept(window: int) -> None:
    body = bytes(3000)
    with Stage(handler=respond(body=body)) as stage:
        client = converse(stage, settings={4: window})
        client.get()
        stream = client.ask()
        assert len(client.answer(stream).body) == 3000


def read_data(client: Rude, stream: int, size: int) -> None:
    while size > 0:
        frame = client.until(DataFrame)
        assert frame.stream_id == stream
        size -= len(frame.data)
    assert size == 0


def test_not_a_byte_more_than_the_window_of_the_stream() -> None:
    with Stage(handler=respond(body=bytes(1000))) as stage:
        client = be_rude(stage)
        client.send(SettingsFrame(0, {4: 10}))
        client.until(SettingsFrame)
        client.send(client.headers(1))
        read_data(client, 1, 10)
        assert client.is_alive()
        client.send(WindowUpdateFrame(1, 5))
        read_data(client, 1, 5)
        client.send(SettingsFrame(0, {4: 13}))
        read_data(client, 1, 3)
        client.send(SettingsFrame(0, {4: 3}), WindowUpdateFrame(1, 11))
        read_data(client, 1, 1)
        client.send(WindowUpdateFrame(1, 981))
        read_data(client, 1, 981)


def test_not_a_byte_more_than_the_window_of_the_connection() -> None:
    with Stage(handler=respond(body=bytes(100_000))) as stage:
        client = be_rude(stage)
        client.send(SettingsFrame(0, {4: 1 << 20}), client.headers(1))
        read_data(client, 1, 65535)
        assert client.is_alive()
        client.send(WindowUpdateFrame(0, 10))
        read_data(client, 1, 10)
        client.send(WindowUpdateFrame(0, 100_000))
        read_data(client, 1, 100_000 - 65545)


def test_a_stream_that_is_not_read_does_not_hold_up_the_others() -> None:
    with Stage(handler=large) as stage:
        client = be_rude(stage)
        client.send(WindowUpdateFrame(0, 1 << 30), client.headers(1))
        read_data(client, 1, 65535)
        client.send(client.headers(3))
        assert client.until(HeadersFrame).stream_id == 3
        read_data(client, 3, 65535)
        assert client.is_alive()


def test_streams_share_the_connection_fairly() -> None:
    """One that came first does not take it all: the bytes of equal bodies come interleaved."""
    with Stage(handler=large) as stage:
        client = be_rude(stage)
        client.send(SettingsFrame(0, {4: 1 << 30}))
        client.send(*[client.headers(number) for number in range(1, 9, 2)])
        got = dict.fromkeys((1, 3, 5, 7), 0)
        left = 65535
        while sum(got.values()) < 65535:
            frame = client.until(DataFrame)
            got[frame.stream_id] += len(frame.data)
        got = dict.fromkeys(got, 0)
        for _ in range(32):
            client.send(WindowUpdateFrame(0, 65536))
            left = 65536
            while left:
                frame = client.until(DataFrame)
                got[frame.stream_id] += len(frame.data)
                left -= len(frame.data)
        assert max(got.values()) - min(got.values()) <= 4 * 65536


@pytest.mark.behaviour("ADV-E-5")
def test_memory_for_a_slow_reader_is_bounded() -> None:
    """A client with open windows that does not read its socket: the server behind us is slowed down with it."""
    sent = [0]

    def script(peer: Peer) -> None:
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 26))
        while sent[0] < 1 << 26:
            peer.send(bytes(65536))
            sent[0] += 65536

    with Stage(script) as stage:
        client = be_rude(stage)
        client.peer.socket.setsockopt(1, 8, 65536)
        client.send(SettingsFrame(0, {4: (1 << 31) - 1}), WindowUpdateFrame(0, (1 << 30)), client.headers(1))
        assert client.is_alive()
        before = -1
        while before != sent[0]:
            before = sent[0]
            gevent.sleep(0.1)
        (link,) = links(stage)
        assert link.outbox.size <= 2 * ROOM_BYTES + 1024
        assert sent[0] < 1 << 25
        client.peer.close()
        wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)


def test_an_upload_nobody_reads_stops_at_the_window() -> None:
    release = gevent.event.Event()

    def handler(exchange: Exchange) -> None:
        release.wait()
        size = 0
        while piece := exchange.read_body():
            size += len(piece)
        exchange.respond(200, (), b"%d" % size)

    with Stage(handler=handler) as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        client.until(events.RemoteSettingsChanged)
        while client.h2.local_flow_control_window(stream):
            size = min(client.h2.local_flow_control_window(stream), 16384)
            client.data(stream, bytes(size))
        assert sum(link.channels[stream].received_bytes for link in links(stage)) <= STREAM_WINDOW_BYTES
        release.set()
        while not client.h2.local_flow_control_window(stream):
            client.read()
        client.data(stream, b"x", end=True)
        assert client.answer(stream).body == b"%d" % (STREAM_WINDOW_BYTES + 1)


def test_a_large_upload_arrives_whole() -> None:
    seen = bytearray()

    def handler(exchange: Exchange) -> None:
        while piece := exchange.read_body():
            seen.extend(piece)
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        client.until(events.RemoteSettingsChanged)
        sent = 0
        while sent < len(LARGE) * 3:
            size = min(client.h2.local_flow_control_window(stream), 16384, len(LARGE) - sent % len(LARGE))
            if size:
                client.data(stream, LARGE[sent % len(LARGE) :][:size])
                sent += size
            else:
                client.read()
        client.data(stream, b"", end=True)
        assert client.answer(stream).body == b"ok"
        assert bytes(seen) == LARGE * 3


def test_streams_that_are_not_read_leave_room_for_others() -> None:
    """Two stalled uploads fill the connection's window; a third has to wait, and goes on when they end."""
    release = gevent.event.Event()

    def handler(exchange: Exchange) -> None:
        if exchange.request.path == b"/stalled":
            release.wait()
        exchange.respond(200, (), b"ok")

    assert WINDOW_BYTES == 2 * STREAM_WINDOW_BYTES
    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        for number in (1, 3):
            client.send(client.headers(number, method=b"POST", path=b"/stalled", end=False))
            client.send(*[DataFrame(number, bytes(16384))] * 32)
        assert client.is_alive()
        release.set()
        given = 0
        while given < WINDOW_BYTES // 2:
            update = client.until(WindowUpdateFrame)
            given += update.window_increment if update.stream_id == 0 else 0


def test_small_pieces_take_no_more_memory_than_their_bytes() -> None:
    release = gevent.event.Event()

    def handler(exchange: Exchange) -> None:
        release.wait()
        exchange.respond(200, (), exchange.read_body())

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, method=b"POST", end=False))
        client.send(*[DataFrame(1, b"x")] * 1000)
        client.send(DataFrame(1, b"", flags=["END_STREAM"]))
        assert client.is_alive()
        (link,) = links(stage)
        assert link.channels[1]._buffer == b"x" * 1000
        release.set()
        read_data(client, 1, 1000)


@pytest.mark.behaviour("DP-85")
def test_a_body_that_does_not_come_is_504() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.read_body()
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        client.data(stream, b"some")
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        stage.clock.advance(59)
        assert stage.server.active == 1
        stage.clock.advance(2)
        answer = client.answer(stream)
        assert (answer.status, answer.body) == (504, b"Gateway Timeout")
        assert client.get().status == 200


@pytest.mark.behaviour("DP-85")
def test_a_body_may_take_for_ever_without_a_read_timeout() -> None:
    options = EntryPoint(
        address=":80",
        transport=Transport(responding_timeouts=RespondingTimeouts(read_timeout_seconds=0.0)),
    )

    def handler(exchange: Exchange) -> None:
        exchange.respond(200, (), exchange.read_body())

    with Stage(handler=handler, options=options) as stage:
        client = converse(stage)
        stream = client.ask(method=b"POST", body=None)
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        stage.clock.advance(3600)
        client.data(stream, b"late", end=True)
        assert client.answer(stream).body == b"late"


def test_a_window_that_stays_shut_ends_the_stream() -> None:
    with Stage(handler=large) as stage:
        client = be_rude(stage)
        client.send(client.headers(1))
        read_data(client, 1, 65535)
        stage.clock.advance(181)
        client.send(WindowUpdateFrame(0, 1000))
        frame = client.until(RstStreamFrame)
        assert frame.error_code == ErrorCode.INTERNAL_ERROR
        assert client.is_alive()


def test_the_write_timeout_counts_from_the_head() -> None:
    options = EntryPoint(
        address=":80",
        transport=Transport(responding_timeouts=RespondingTimeouts(write_timeout_seconds=5.0)),
    )
    with Stage(handler=large, options=options) as stage:
        client = be_rude(stage)
        client.send(client.headers(1))
        read_data(client, 1, 65535)
        stage.clock.advance(6)
        assert client.until(RstStreamFrame).error_code == ErrorCode.INTERNAL_ERROR


def test_a_socket_that_takes_nothing_is_given_up() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, []), b"", False)
        while True:
            exchange.write(bytes(65536))

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        client.peer.socket.setsockopt(1, 8, 65536)
        client.send(SettingsFrame(0, {4: (1 << 31) - 1}), WindowUpdateFrame(0, (1 << 30)), client.headers(1))
        assert client.is_alive()

        def is_given_up() -> bool:
            stage.clock.advance(181)
            return not stage.server.open_connections and not stage.server.active

        wait_until(is_given_up, pause=gevent.sleep)


@pytest.mark.parametrize(("announced", "sent"), [(5, 4), (5, 6), (0, 1), (5, 0)])
def test_a_body_that_is_not_as_long_as_announced(announced: int, sent: int) -> None:
    seen: list[bool] = []

    def handler(exchange: Exchange) -> None:
        try:
            while exchange.read_body():
                pass
            exchange.read_body()
        finally:
            seen.append(exchange.client_gone)
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, (b"content-length", b"%d" % announced), method=b"POST", end=False))
        wait_until(lambda: stage.server.active, pause=gevent.sleep)
        client.send(DataFrame(1, bytes(sent), flags=["END_STREAM"]))
        assert client.reset(1) == ErrorCode.PROTOCOL_ERROR
        assert client.is_alive()
        wait_until(lambda: stage.server.active == 0, pause=gevent.sleep)
        assert seen in ([True], [False])


def test_heads_wait_for_room_too() -> None:
    """Heads are not bounded by windows: those of a client that does not read wait in their streams."""
    fields = [(b"X-%d" % number, bytes(1000).replace(b"\0", b"x")) for number in range(30)]

    def handler(exchange: Exchange) -> None:
        exchange.respond(200, fields, b"")

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        assert client.is_alive()
        (link,) = links(stage)
        link.stream.sock.setsockopt(1, 7, 65536)
        most = 0
        for number in range(1, 2 * 240, 2):
            client.send(client.headers(number))
            gevent.sleep(0)
            most = max(most, link.outbox.size)
        wait_until(lambda: link.running > 100, pause=gevent.sleep)
        assert most <= ROOM_BYTES + 40_000
        answered: set[int] = set()
        while len(answered) < 240:
            answered.add(client.until(HeadersFrame).stream_id)


def test_heads_do_not_wait_for_the_window() -> None:
    """A connection whose window is used up still answers what needs none of it."""

    def handler(exchange: Exchange) -> None:
        if exchange.request.path == b"/large":
            large(exchange)
        else:
            exchange.respond(204, (), b"")

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        client.send(SettingsFrame(0, {4: 1 << 20}), client.headers(1, path=b"/large"))
        read_data(client, 1, 65535)
        client.send(client.headers(3))
        assert client.until(HeadersFrame).stream_id == 3
        (link,) = links(stage)
        assert repr(link.turns) == "<Turns: 0 for room, 1 for the window>"
        client.send(client.headers(5, path=b"/large"), RstStreamFrame(1, 8))
        assert client.until(HeadersFrame).stream_id == 5
        client.send(RstStreamFrame(5, 8))
        wait_until(lambda: not link.running, pause=gevent.sleep)
        assert repr(link.turns) == "<Turns: 0 for room, 0 for the window>"


def test_a_client_that_goes_on_reading_is_never_given_up() -> None:
    """However long it takes: the patience is with each write, though the queue never runs dry."""
    clock = Clock()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    stream = Stream(ours, clock.wheel)
    outbox = Outbox(stream, TimerWheel.ticks(10), lambda: None)
    piece = bytes(1 << 20)

    def is_taken() -> bool:
        with contextlib.suppress(BlockingIOError):
            theirs.recv(1 << 16)
        return outbox.size == 0

    try:
        outbox.put(piece)
        for _ in range(4):
            wait_until(is_taken, pause=gevent.sleep)
            outbox.put(piece)
            clock.advance(6)
            assert not outbox.broken
        clock.advance(11)
        assert outbox.broken
    finally:
        stream.close()
        theirs.close()
        clock.wheel.close()
