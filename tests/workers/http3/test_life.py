"""How a connection begins, moves, is idle, leaves and ends; who reads the socket; packets of other workers."""

from __future__ import annotations

import os
import socket as plain_socket
from typing import Any

import gevent.event
import pytest
from gevent import socket

from config.control_page import Cell
from config.static import EntryPoint
from config.static_entrypoint import RespondingTimeouts, Transport
from config.tls import ClientAuth
from tests.http3_client import Closed, Http3Client
from tests.playbook import respond
from tests.tls.pki import Authority
from tests.waiting import wait_until
from tests.workers.http3.stage import ENGINE, Http3Stage
from tests.workers.secure import authority, settings, table
from tls.parsed import ParsedPairs
from workers.exchange import Exchange, ResponseHead
from workers.http3 import frames
from workers.http3.codes import ErrorCode
from workers.http3.identifiers import Identifiers, destination
from workers.http3.relay import Relay
from workers.http3.server import Http3Server

CLIENTS = Authority("clients")
KNOWN = CLIENTS.issue(common_name="somebody", usage="client")


def goaways(client: Http3Client) -> list[int]:
    """What the server's control stream says behind its settings."""
    data = bytes(client.control)
    _, position = frames.integer_at(data, 0)
    found = []
    while position < len(data):
        kind, position = frames.integer_at(data, position)
        size, position = frames.integer_at(data, position)
        if kind == frames.GOAWAY:
            found.append(frames.integer_at(data, position)[0])
        position += size
    return found


def options(**timeouts: float) -> EntryPoint:
    return EntryPoint(address=":80", transport=Transport(responding_timeouts=RespondingTimeouts(**timeouts)))


def test_an_idle_connection_is_told_and_closed() -> None:
    with Http3Stage(handler=respond(), options=options(idle_timeout_seconds=5)) as here:
        client = here.client()
        assert client.get().status == 200
        here.tcp.clock.advance(6)
        client.pump(lambda: goaways(client))
        assert goaways(client) == [frames.LARGEST_STREAM]
        assert client.get().status == 200  # it did not know yet
        here.tcp.clock.advance(2)
        assert client.end_of().code == ErrorCode.NO_ERROR


def test_a_drain_lets_work_finish_and_takes_no_more() -> None:
    release = gevent.event.Event()

    def wait(exchange: Exchange) -> None:
        release.wait()
        exchange.respond(200, (), b"done")

    with Http3Stage(handler=wait) as here:
        client = here.client()
        stream_id = client.begin()
        client.pump(lambda: here.tcp.server.active)
        here.tcp.server.close_idle()
        assert not here.tcp.server.is_settled
        here.tcp.clock.advance(2)
        late = client.begin()
        assert client.reset_of(late) == ErrorCode.REQUEST_REJECTED
        release.set()
        assert client.answer(stream_id).body == b"done"
        assert client.end_of().code == ErrorCode.NO_ERROR
        assert goaways(client) == [frames.LARGEST_STREAM, 4]
        assert here.tcp.server.is_settled


def test_the_last_bytes_arrive_before_the_goodbye() -> None:
    def large(exchange: Exchange) -> None:
        exchange.respond(200, (), bytes(400_000))

    with Http3Stage(handler=large) as here:
        client = here.client()
        stream_id = client.begin()
        client.pump(lambda: client.stream(stream_id).heads)
        here.tcp.server.close_idle()
        here.tcp.clock.advance(2)
        assert len(client.answer(stream_id).body) == 400_000
        assert client.end_of().code == ErrorCode.NO_ERROR


def test_so_many_requests_and_no_more() -> None:
    transport = Transport(keep_alive_max_requests=2)
    with Http3Stage(handler=respond(), options=EntryPoint(address=":80", transport=transport)) as here:
        client = here.client()
        assert [client.get().status for _ in range(2)] == [200, 200]
        here.tcp.clock.advance(2)
        assert client.end_of().code == ErrorCode.NO_ERROR


def test_a_head_or_a_body_that_does_not_come() -> None:
    def read(exchange: Exchange) -> None:
        exchange.respond(200, (), exchange.read_body())

    with Http3Stage(handler=read, options=options(read_timeout_seconds=5)) as here:
        client = here.client()
        begun = client.send_raw(frames.integer(frames.HEADERS) + b"\x40\x80" + b"\0\0")
        silent = client.begin(method=b"POST", end=False)
        client.pump(lambda: here.tcp.server.active)
        here.tcp.clock.advance(6)
        assert client.reset_of(begun) == ErrorCode.REQUEST_INCOMPLETE
        assert client.answer(silent).status == 504


def test_an_answer_that_nobody_takes_for_too_long() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(ResponseHead(200, []), b"", complete=False)
        while True:
            exchange.write(bytes(100_000))

    with Http3Stage(handler=endless, options=options(write_timeout_seconds=5)) as here:
        client = here.client(window_bytes=1 << 14)
        client.quic._write_stream_limits = lambda **_: None  # type: ignore[method-assign]
        stream_id = client.begin()
        client.pump(lambda: len(client.stream(stream_id).body) > 10_000)
        here.tcp.clock.advance(6)
        assert client.reset_of(stream_id) == ErrorCode.INTERNAL_ERROR
        wait_until(lambda: here.tcp.server.active == 0, what="the handler ends", pause=gevent.sleep)


def test_a_client_that_gives_up_ends_the_work_for_it() -> None:
    ended: list[bool] = []

    def endless(exchange: Exchange) -> None:
        try:
            exchange.send(ResponseHead(200, []), b"x", complete=False)
            while True:
                exchange.write(bytes(10_000))
        finally:
            ended.append(exchange.client_gone)

    with Http3Stage(handler=endless) as here:
        client = here.client()
        for stop in (True, False):
            stream_id = client.begin(end=stop)
            client.pump(lambda: client.stream(stream_id).body)  # noqa: B023 - called at once
            client.quic.stop_stream(stream_id, 0x10C)
            if not stop:
                client.quic.reset_stream(stream_id, 0x10C)
            client.flush()
            client.pump(lambda: len(ended) == 2 - stop)  # noqa: B023
        client.begin()
        client.pump(lambda: here.tcp.server.active)
        client.close()
        wait_until(lambda: len(ended) == 3, what="the connection's work ends", pause=gevent.sleep)
        assert ended == [True] * 3


def rebound(here: Http3Stage, client: Http3Client) -> None:
    """Another source port, as behind a NAT that forgot."""
    client.sock.close()
    client.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.sock.connect(here.address)


@pytest.mark.behaviour("ADV-E-10")
def test_a_client_that_moves_is_believed_when_it_has_shown_to_be_there() -> None:
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        assert client.get().status == 200
        before = client.sock.getsockname()
        rebound(here, client)
        client.lost = 1 << 30  # whatever the server sends there never arrives
        client.begin()
        client.pump(lambda: len(here.tcp.table.requests) == 2)
        assert (here.tcp.request.peer_ip, here.tcp.request.peer_port) == before
        client.lost = 0
        (connection,) = here.server.connections
        client.pump(lambda: connection.quic.proven_address == (client.sock.getsockname(), b""))
        assert client.get().status == 200
        assert (here.tcp.request.peer_ip, here.tcp.request.peer_port) == client.sock.getsockname()


@pytest.mark.behaviour("ADV-E-10")
def test_nobody_moves_before_the_handshake_is_complete() -> None:
    """A forged source address in the middle of it would be taken for proven."""
    with Http3Stage(handler=respond()) as here:
        client = here.client()
        client.pump(lambda: client.quic._handshake_complete)  # whose last flight has been sent from there
        here.server._read_some()
        other = here.client()
        hello, other.sock = other.sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.sock.connect(here.address)
        hello.settimeout(5)
        other.quic.receive_datagram(hello.recv(65535), ("server", 443), 0.0)
        other.flush()
        hello.close()
        assert client.get().status == 200  # whatever the other has sent is read by now
        assert here.server.half_open == 1


@pytest.mark.parametrize("kind", ["RequireAnyClientCert", "RequireAndVerifyClientCert"])
def test_certificates_of_clients(kind: str) -> None:
    auth: dict[str, Any] = {"client_auth_type": kind, "ca_files": [CLIENTS.pem]}
    option = settings("asks", client_auth=ClientAuth(**auth))
    with Http3Stage(handler=respond(), tls_table=table({}, [option], {"a.test": "asks"})) as here:
        client = here.client(certificate=KNOWN)
        assert client.get().status == 200
        tls = here.tcp.request.client.tls
        assert tls is not None
        assert [one.subject.rfc4514_string() for one in tls.client_certificates] == ["CN=somebody"]
        stranger = here.client(certificate=Authority("others").issue("stranger", usage="client"))
        if kind == "RequireAnyClientCert":
            assert stranger.get().status == 200
        else:
            with pytest.raises(Closed) as caught:
                stranger.get()
            assert caught.value.code == 0x100 + 42
        with pytest.raises(Closed) as caught:
            here.client().get()
        assert caught.value.code == 0x100 + 116


@pytest.mark.behaviour("ADV-E-6")
def test_early_data_is_never_offered() -> None:
    """No tickets, so no session is resumed and nothing can be sent before the handshake."""
    with Http3Stage(handler=respond()) as here:
        tickets: list[object] = []
        client = here.client()
        client.quic._session_ticket_handler = tickets.append
        client.quic.tls.new_session_ticket_cb = tickets.append
        assert [client.get().status for _ in range(3)] == [200] * 3
        assert not tickets
        assert not client.quic.tls.early_data_accepted


def second_server(here: Http3Stage, slot: int, ways: dict[int, tuple[plain_socket.socket, plain_socket.socket]]):  # type: ignore[no-untyped-def]
    return Http3Server(
        here.server._twin,
        here.tcp.server,
        here.sock,
        Identifiers(0, slot, ENGINE.secret),
        Relay(slot, ways, here.tcp.page),
        ParsedPairs(),
        here.server._log,
    )


def test_packets_are_handed_over_to_the_worker_that_has_the_connection() -> None:
    pair = plain_socket.socketpair(plain_socket.AF_UNIX, plain_socket.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(False)
    ways = {0: pair}
    with Http3Stage(handler=respond()) as here:
        here.server._relay._ways = ways
        here.server._relay.start(here.server._twin, here.server._take_handed)
        here.tcp.page.slot(0)[Cell.PID] = os.getpid()
        client = here.client()
        assert client.get().status == 200
        here.server._stop_reading()
        successor = second_server(here, 1, ways)
        successor.start()
        assert client.get().status == 200
        assert not successor.connections
        newcomer = here.client()
        assert newcomer.get().status == 200
        assert len(successor.connections) == 1
        # when the old worker is gone its clients are told so
        here.tcp.page.slot(0)[Cell.PID] = 0
        token = here.server._identifiers.reset_token(client.quic._peer_cid.cid)
        client.begin()
        client.sock.settimeout(5)
        while not (packet := client.sock.recv(65535)).endswith(token):
            assert packet
        assert len(packet) < 100
        successor.abort()
        here.server._relay.close()
        for end in pair:
            end.close()


@pytest.mark.behaviour("ADV-E-10")
def test_a_packet_that_nobody_knows_is_answered_with_less() -> None:
    identifiers = Identifiers(3, 7, b"secret")
    known = identifiers.make()
    assert known[:2] == bytes((3, 7))
    for size in (23, 40, 1200):
        packet = (b"\x40" + known + bytes(size))[:size]
        answer = identifiers.stateless_reset(packet)
        assert 21 < len(answer) < size
        assert answer[0] & 0xC0 == 0x40
        assert answer.endswith(identifiers.reset_token(destination(packet)))
    assert identifiers.stateless_reset(b"\x40" + known + bytes(5)) == b""
    assert Identifiers(0, 0, b"secret").reset_token(known) == identifiers.reset_token(known)
    assert Identifiers(3, 7, b"other").reset_token(known) != identifiers.reset_token(known)


@pytest.mark.behaviour("ADV-E-10")
def test_other_versions_are_told_which_one_there_is() -> None:
    with Http3Stage(handler=respond()) as here:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(here.address)
        sock.settimeout(5)
        sock.send(b"\xc0\x1a\x2a\x3a\x4a\x08destined\x04from" + bytes(1200))
        answer = sock.recv(2000)
        assert answer[1:5] == bytes(4)
        assert answer[5:] == b"\x04from\x08destined\0\0\0\1"
        sock.send(b"\xc0\x1a\x2a\x3a\x4a\x08destined\x04from")  # too short to be answered
        sock.send(b"\xc0\0\0\0\0\x08destined\x04from" + bytes(1200))  # an answer of this kind itself
        assert here.client().get().status == 200
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(2000)
        sock.close()


def test_a_crash_of_the_protocol_costs_its_connection_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Http3Stage(handler=respond()) as here:
        client, other = here.client(), here.client()
        assert client.get().status == 200
        assert other.get().status == 200
        victim = next(one for one in here.server.connections if one.address[0] == client.sock.getsockname())

        def crash(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(victim.quic, "receive_datagram", crash)
        client.begin()
        assert other.get().status == 200
        wait_until(lambda: victim not in here.server.connections, what="it is gone", pause=gevent.sleep)


@pytest.mark.parametrize("host", ["", "0.0.0.0"])
def test_a_socket_for_all_addresses_answers_from_the_one_that_was_asked(host: str) -> None:
    """A connected client hears no other, and without a server name that address chooses the certificate."""
    pair = authority().issue("127.0.0.1")
    with Http3Stage(handler=respond(), host=host, tls_table=table({"one": pair})) as here:
        client = here.client(None)
        assert client.get().status == 200
        assert (here.tcp.request.peer_ip, here.tcp.request.peer_port) == client.sock.getsockname()
        shown = client.quic.tls._peer_certificate
        assert shown is not None
        assert shown == pair.loaded().leaf


def test_a_client_that_takes_nothing_more_is_not_waited_for() -> None:
    with Http3Stage(handler=respond(body=bytes(100_000))) as here:
        client = here.client()
        client.pump(lambda: client.http)
        client.begin()
        wait_until(lambda: here.tcp.server.served, what="the answer is under way", pause=gevent.sleep)
        here.tcp.server.close_idle()
        here.tcp.clock.advance(2)
        before = here.tcp.server.is_settled
        here.tcp.clock.advance(4)
        assert (before, here.tcp.server.is_settled) == (False, True)
        assert not here.server.connections
