"""Clients that know the protocol better than an honest one: frames by hand, as they hurt most. ADV-E."""

from __future__ import annotations

import contextlib
from typing import Any

import gevent
import gevent.event
import pytest
from gevent import socket

from config.static import EntryPoint
from config.static_entrypoint import Transport
from config.tls import ClientAuth
from tests.http3_client import Closed
from tests.playbook import respond
from tests.waiting import wait_until
from tests.workers.http3 import packets
from tests.workers.http3.stage import Http3Stage
from tests.workers.secure import settings, table
from workers.exchange import Exchange
from workers.http3 import frames, qpack, quic_packets, server
from workers.http3.codes import ConnectionFault, ErrorCode

HEAD = frames.frame(frames.HEADERS, b"\0\0\xd1\xd7\x50\x01a\xc1")  # GET https a /


@pytest.mark.behaviour("ADV-E-8")
def test_our_control_stream_stopped_at_the_moment_when_we_speak() -> None:
    """The request makes us say goodbye on the stream that is stopped already."""
    options = EntryPoint(address=":80", transport=Transport(keep_alive_max_requests=1))
    with Http3Stage(handler=respond(), options=options) as here:
        client = here.client()
        client.pump(lambda: client.control)
        request = packets.stream_frame(0, 0, HEAD, end=True)
        packets.send_frames(client, packets.frame_of(packets.STOP_SENDING, 3, 0) + request)
        assert client.end_of().code == ErrorCode.CLOSED_CRITICAL_STREAM
        assert here.client().get().status == 200


@pytest.mark.behaviour("ADV-E-8")
def test_an_error_of_ours_ends_its_connection_and_not_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError

    with Http3Stage(handler=respond()) as here:
        reports: list[object] = []
        monkeypatch.setattr(here.server, "report_crash", reports.append)
        client = here.client()
        assert client.get().status == 200
        (connection,) = here.server.connections
        monkeypatch.setattr(connection, "on_event", crash)
        client.begin()
        wait_until(lambda: not here.server.connections, what="it is gone", pause=gevent.sleep)
        with monkeypatch.context() as patch:
            patch.setattr(quic_packets, "judge", crash)
            here.client()
            wait_until(lambda: len(reports) > 1, what="the second error", pause=gevent.sleep)
        assert reports[:2] == [connection, here.server]
        assert here.client().get().status == 200


@pytest.mark.behaviour("ADV-E-9")
def test_an_error_at_the_end_of_a_handshake_is_no_handshake_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        client.pump(lambda: here.server.half_open)
        (connection,) = here.server.connections
        receive = connection.quic.receive_datagram

        def crash(*given: Any) -> None:
            receive(*given)
            if connection.quic.is_secure:
                raise ZeroDivisionError

        monkeypatch.setattr(connection.quic, "receive_datagram", crash)
        client.handshake()
        wait_until(lambda: not here.server.connections, what="it is gone", pause=gevent.sleep)
        assert here.server.half_open == 0


@pytest.mark.behaviour("ADV-E-9")
def test_those_who_never_finish_a_handshake_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_HALF_OPEN", 3)
    with Http3Stage(handler=respond()) as here:
        for _ in range(3):
            here.client()
        wait_until(lambda: here.server.half_open == 3, what="all places are taken", pause=gevent.sleep)
        oldest = next(iter(here.server._unfinished))
        here.tcp.clock.advance(3)
        assert here.client().get().status == 200
        assert oldest.is_over
        assert here.server.half_open == 2


@pytest.mark.behaviour("ADV-E-9")
def test_answers_to_strangers_leave_retries_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "RETRY_FROM", 0)
    with Http3Stage(handler=respond()) as here:
        here.server._strangers._answers.spend(1 << 20)
        assert here.client().get().status == 200


@pytest.mark.behaviour("ADV-E-9")
def test_datagrams_larger_than_any_packet_are_not_looked_at() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        (connection,) = here.server.connections
        before = connection.quic._network_paths[0].bytes_received
        client.sock.send(packets.datagram(client, b"\1") + bytes(server.LARGEST_DATAGRAM_BYTES))
        other = here.client()
        assert other.get().status == 200
        assert connection.quic._network_paths[0].bytes_received == before


@pytest.mark.behaviour("ADV-E-9")
def test_connection_ids_retired_as_fast_as_they_are_made_end_the_connection() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        client.pump(lambda: client.control)
        (connection,) = here.server.connections
        connection.calm._left = 1000.0
        numbers = range(1, 1200)
        for first in range(0, len(numbers), 300):
            retired = (packets.frame_of(packets.RETIRE_CONNECTION_ID, one) for one in numbers[first : first + 300])
            packets.send_frames(client, b"".join(retired))
        wait_until(lambda: connection.is_over, what="it is told to stop", pause=gevent.sleep)
        closed = connection.quic._close_event
        assert closed is not None
        assert closed.error_code == ErrorCode.EXCESSIVE_LOAD


@pytest.mark.behaviour("ADV-E-9")
def test_a_base_in_many_bytes_hides_nothing_from_those_who_add_up() -> None:
    """Read from the third byte on, this block would be one long value; what follows its base are 125 fields."""
    block = b"\0\x7f\x50" + b"\x7e\0" + b"\xd1" * 125
    with pytest.raises(qpack.OversizedList):
        qpack.Decoder(5000).decode(0, block)
    assert len(qpack.Decoder(20_000).decode(0, block)) == 126
    assert qpack._size_of(block) > 125 * 42
    for cut in (b"", b"\0", b"\xff", b"\0\x7f"):
        with pytest.raises(ConnectionFault):
            qpack._size_of(cut)


@pytest.mark.behaviour("ADV-E-9")
def test_a_window_full_of_empty_frames_is_counted_frame_by_frame() -> None:
    with Http3Stage(handler=lambda exchange: exchange.respond(200, (), exchange.read_body())) as here:
        client = here.client()
        client.send_raw(HEAD + frames.frame(frames.DATA, b"") * 20_000)
        assert client.end_of().code == ErrorCode.EXCESSIVE_LOAD


class Counted(bytes):
    """How many bytes were copied out of it, and out of what was copied."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(key, slice):
            Counted.copied += len(part)
            return Counted(part)
        return part

    def __radd__(self, other: bytes) -> Counted:
        return Counted(bytes(other) + bytes(self))


@pytest.mark.behaviour("ADV-E-9")
def test_frames_are_found_without_copying_what_is_behind_them() -> None:
    data = Counted(HEAD + frames.frame(frames.DATA, b"x") * 10_000)
    found = list(frames.RequestReader(1000).feed(data))
    assert len(found) == 10_001
    assert 10_000 <= Counted.copied <= len(data)


@pytest.mark.behaviour("ADV-E-9")
def test_who_waits_for_its_client_costs_the_others_nothing() -> None:
    """Senders that their clients hold up are looked at once a packet, not each with all streams."""
    asked = 0

    with Http3Stage(handler=respond(body=bytes(100_000))) as here:
        client = here.client(window_bytes=1 << 14)
        client.quic._write_stream_limits = lambda **_: None  # type: ignore[method-assign]
        client.quic._local_max_data.value = 1 << 20
        for _ in range(20):
            client.begin()
        (connection,) = here.server.connections
        client.pump(lambda: len(connection._waiting) == 20)
        has_room = connection.has_room

        def counted() -> bool:
            nonlocal asked
            asked += 1
            return has_room()

        connection.has_room = counted  # type: ignore[method-assign]
        connection.pass_on()
        assert asked == 1
        assert len(connection._waiting) == 20


def literal(name: bytes, value: bytes) -> bytes:
    """A field in full; both are shorter than seven bytes."""
    return bytes((0x20 | len(name),)) + name + bytes((len(value),)) + value


def test_a_head_and_its_trailers_in_one_packet() -> None:
    with Http3Stage(handler=lambda exchange: exchange.respond(200, (), exchange.read_body())) as here:
        client = here.client()
        head = frames.frame(frames.HEADERS, b"\0\0\xd4\xd7\x50\x01a\xc1")  # POST
        trailers = frames.frame(frames.HEADERS, b"\0\0" + literal(b"x-t", b"1"))
        whole = head + frames.frame(frames.DATA, b"body") + trailers
        assert client.answer(client.send_raw(whole, end=True)).body == b"body"
        (connection,) = here.server.connections
        assert client.reset_of(client.send_raw(trailers + trailers, end=True)) == ErrorCode.MESSAGE_ERROR
        assert not connection.channels


@pytest.mark.behaviour("ADV-E-8")
def test_what_follows_a_malformed_head_counts_as_read() -> None:
    """Otherwise faults of requests would use up the window of all others."""
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        client.pump(lambda: client.control)
        (connection,) = here.server.connections
        malformed = frames.frame(frames.HEADERS, b"\0\0\xd1") + frames.frame(frames.DATA, bytes(900))
        for _ in range(3):
            assert client.reset_of(client.send_raw(malformed, end=True)) == ErrorCode.MESSAGE_ERROR
        assert connection.quic._unannounced == connection.quic._local_max_data.used


@pytest.mark.behaviour("ADV-E-8")
@pytest.mark.parametrize("kind", [packets.RESET_STREAM, packets.STOP_SENDING])
def test_a_client_that_gives_up_frees_the_connection_to_the_server(kind: int) -> None:
    asked, freed = gevent.event.Event(), gevent.event.Event()

    def script(peer: Any) -> None:
        peer.read_head()
        asked.set()
        with contextlib.suppress(ConnectionResetError):
            peer.read_to_end()
        freed.set()

    with Http3Stage(script) as here:
        client = here.client()
        stream_id = client.begin(method=b"POST", end=False)
        client.pump(asked.is_set)
        sent = client.quic._streams[stream_id].sender.highest_offset
        numbers = (0x10C, sent) if kind == packets.RESET_STREAM else (0x10C,)
        packets.send_frames(client, packets.frame_of(kind, stream_id, *numbers))
        client.pump(freed.is_set)
        wait_until(lambda: here.tcp.server.active == 0, what="the handler ends", pause=gevent.sleep)


@pytest.mark.behaviour("ADV-C-8")
@pytest.mark.parametrize("name", ["strict.test", "STRICT.test", "strict.test.", "Strict.Test."])
def test_the_option_of_a_name_in_every_spelling(name: str) -> None:
    option = settings("asks", client_auth=ClientAuth(client_auth_type="RequireAnyClientCert"))
    with Http3Stage(handler=respond(), tls_table=table({}, [option], {"strict.test": "asks"})) as here:
        with pytest.raises(Closed) as caught:
            here.client(name).get()
        assert caught.value.code == 0x100 + 116
        assert here.client("loose.test").get().status == 200


def test_the_socket_reads_on_after_datagrams_of_any_kind() -> None:
    with Http3Stage(handler=respond()) as here:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(here.address)
        for first in range(256):
            for size in (0, 1, 5, 6, 11, 30):
                sock.send(bytes((first,)) + bytes((0, 0, 0, 1, 255))[: size % 6] + bytes(size))
        sock.close()
        assert here.client().get().status == 200


def never_asked(exchange: Exchange) -> None:
    pytest.fail("a request was begun")


@pytest.mark.behaviour("ADV-E-8")
@pytest.mark.parametrize(
    "frame",
    [
        packets.stream_frame(0, 1 << 40, b"x"),
        packets.stream_frame(4000, 0, b"x"),
        packets.stream_frame(1, 0, b"x"),
        packets.stream_frame(4 * 16 + 2, 0, b"x"),
        packets.frame_of(packets.RESET_STREAM, 0, 0, 1 << 40),
        packets.frame_of(packets.RETIRE_CONNECTION_ID, 99),
        packets.frame_of(6, 1 << 30, 1) + b"x",
        packets.frame_of(0x1E),
        packets.frame_of(0x30),
    ],
    ids=["offset", "stream", "ours", "one-way", "size", "retired", "crypto", "done", "datagram"],
)
def test_frames_beyond_what_is_allowed(frame: bytes) -> None:
    with Http3Stage(handler=never_asked) as here:
        client = here.client()
        client.pump(lambda: client.control)
        packets.send_frames(client, frame)
        assert 0 < client.end_of().code < 0x20
