"""Datagrams through a UDP entry point: sessions, servers, limits, and what it refuses."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import gevent
import pytest

from tests.waiting import wait_until
from tests.workers.udp.stage import UDPStage, table_of
from workers.udp import session as session_module
from workers.udp.addressing import OwnAddresses
from workers.udp.drops import Drop
from workers.udp.entrypoint import DATAGRAMS_PER_WAKE
from workers.udp.runtime import NO_ROUTER
from workers.upstream.dial import Address


@pytest.fixture
def stage() -> Iterator[UDPStage]:
    with UDPStage() as made:
        yield made


@pytest.mark.behaviour("DP-121")
def test_answers_come_from_the_address_that_was_written_to(stage: UDPStage) -> None:
    stage.serve(stage.answerer("a").address)
    assert stage.client().ask(b"hello") == b"a:hello"


@pytest.mark.behaviour("DP-121")
def test_each_client_has_a_session(stage: UDPStage) -> None:
    a, b = stage.answerer("a"), stage.answerer("b")
    stage.serve(a.address, b.address)
    one, two = stage.client(), stage.client()
    first, second = one.ask(b"1")[:1], two.ask(b"1")[:1]
    assert {first, second} == {b"a", b"b"}
    for number in range(5):
        assert one.ask(b"%d" % number) == first + b":%d" % number
        assert two.ask(b"%d" % number) == second + b":%d" % number
    assert len(stage.server.sessions) == 2
    assert {len({port for _, port in one.heard}) for one in (a, b)} == {1}, "one source port a session"


@pytest.mark.behaviour("DP-121")
def test_after_the_idle_time_the_server_is_chosen_anew(stage: UDPStage) -> None:
    stage.serve(stage.answerer("a").address, stage.answerer("b").address)
    client = stage.client()
    first = client.ask(b"x")
    stage.advance(2.9)
    assert client.ask(b"x") == first
    stage.advance(2.9)
    assert client.ask(b"x") == first, "every datagram begins the idle time anew"
    stage.advance(3.3)
    assert not len(stage.server.sessions)
    assert client.ask(b"x") != first


def test_answers_keep_a_session_too(stage: UDPStage) -> None:
    server = stage.answerer("a")
    stage.serve(server.address)
    client = stage.client()
    client.ask(b"x")
    peer = ("127.0.0.1", server.heard[0][1])
    for _ in range(4):
        stage.advance(2)
        server.socket.sendto(b"news", peer)
        assert client.receive() == b"news"
    assert len(stage.server.sessions) == 1


def test_the_timer_rests_without_sessions(stage: UDPStage) -> None:
    stage.serve(stage.answerer("a").address)
    stage.client().ask(b"x")
    assert "1 users" in repr(stage.wheel)
    stage.advance(4)
    assert "0 users" in repr(stage.wheel)


def test_a_session_outlives_its_server_in_the_configuration(stage: UDPStage) -> None:
    stage.serve(stage.answerer("a").address)
    old, new = stage.client(), stage.client()
    old.ask(b"1")
    stage.serve(stage.answerer("b").address)
    assert old.ask(b"2") == b"a:2"
    assert new.ask(b"2") == b"b:2"
    stage.server.table = NO_ROUTER
    assert old.ask(b"3") == b"a:3"


@pytest.mark.parametrize("table", [NO_ROUTER, table_of()])
def test_without_router_or_server_datagrams_are_dropped(stage: UDPStage, table: object) -> None:
    stage.server.table = table  # type: ignore[assignment]
    stage.client().send(b"x")
    wait_until(lambda: stage.server.drops.counts, pause=gevent.sleep)
    assert stage.server.drops.counts.keys() <= {Drop.NO_ROUTER, Drop.NO_SERVER}
    assert not len(stage.server.sessions)


@pytest.mark.parametrize("size", [0, 1, 1472, 65507])
def test_sizes(stage: UDPStage, size: int) -> None:
    server = stage.answerer("a")
    server.answers = lambda data: [data]
    stage.serve(server.address)
    data = os.urandom(size)
    assert stage.client().ask(data) == data


def test_one_datagram_may_have_many_answers(stage: UDPStage) -> None:
    server = stage.answerer("a")
    server.answers = lambda data: [b"%d" % number for number in range(50)]
    stage.serve(server.address)
    client = stage.client()
    client.send(b"x")
    assert [client.receive() for _ in range(50)] == [b"%d" % number for number in range(50)]


def test_a_refusing_server_ends_the_session_and_another_is_chosen(stage: UDPStage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{gone.getsockname()[1]}"
    stage.serve(dead, stage.answerer("a").address)
    client = stage.client()

    def answered() -> bool:
        client.send(b"x")
        stage.settle()
        return not client.hears_nothing()

    wait_until(answered, pause=gevent.sleep)
    assert len(stage.server.sessions) == 1
    assert stage.server.opened <= 3


def test_a_datagram_that_meets_an_earlier_refusal_is_not_lost(stage: UDPStage) -> None:
    """The kernel reports a refusal in place of sending; the datagram goes to the next server at once."""
    a, b = stage.answerer("a"), stage.answerer("b")
    stage.serve(a.address, b.address)
    client = stage.client()
    first = client.ask(b"1")[:1]
    (session,) = stage.server.sessions

    class Refusing:
        def send(self, data: object) -> int:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

        def __init__(self, real: socket.socket | None) -> None:
            assert real is not None
            self.close = real.close

    session._upstream = Refusing(session._upstream)  # type: ignore[assignment]
    assert client.ask(b"2") == ({b"a", b"b"} - {first}).pop() + b":2"
    assert session.is_over
    assert len(stage.server.sessions) == 1


def test_a_wake_takes_a_bounded_number(stage: UDPStage) -> None:
    server = stage.answerer("a")
    server.answers = lambda data: []
    stage.serve(server.address)
    client = stage.client()
    for _ in range(3 * DATAGRAMS_PER_WAKE):
        client.send(b"x")
    stage.server._read_some()
    assert sum(1 for _ in range(3 * DATAGRAMS_PER_WAKE) if stage.server._read_one()) == 2 * DATAGRAMS_PER_WAKE


def test_too_many_sessions_displace_the_oldest_unproven_one() -> None:
    with UDPStage(most_sessions=3) as stage:
        server = stage.answerer("a")
        stage.serve(server.address)
        faithful = stage.client()
        faithful.ask(b"1")
        faithful.ask(b"2")
        own_port = server.heard[0][1]
        for _ in range(10):
            stage.client().ask(b"x")
        assert len(stage.server.sessions) == 3
        assert stage.server.drops.counts[Drop.TOO_MANY_SESSIONS] == 8
        faithful.ask(b"3")
        assert server.heard[-1] == (b"3", own_port), "who has written again after an answer stays"


def test_without_descriptors_an_older_session_gives_way(stage: UDPStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.serve(stage.answerer("a").address)
    stage.client().ask(b"x")
    connected = session_module._connected
    tries = iter([True, False, True, True])

    def short(address: Address) -> socket.socket | None:
        if next(tries):
            raise session_module.NoDescriptor
        return connected(address)

    monkeypatch.setattr(session_module, "_connected", short)
    assert stage.client().ask(b"y") == b"a:y"
    assert len(stage.server.sessions) == 1
    stage.client().send(b"z")
    wait_until(lambda: stage.server.drops.counts[Drop.NO_DESCRIPTOR] == 1, pause=gevent.sleep)
    assert not len(stage.server.sessions)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_server_that_is_the_entry_point_itself_gets_nothing(host: str) -> None:
    with UDPStage(host) as stage:
        stage.serve(f"127.0.0.1:{stage.address[1]}")
        stage.client("127.0.0.1" if host != "::" else "::1", stage.socket.family).send(b"x")
        wait_until(lambda: stage.server.drops.counts, pause=gevent.sleep)
        stage.settle()
        assert stage.server.drops.counts == {Drop.LEADS_BACK: 1}
        assert stage.server.opened == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_datagram_from_the_entry_point_itself_is_dropped(host: str) -> None:
    with UDPStage(host) as stage:
        server = stage.answerer("a")
        stage.serve(server.address)
        stage.socket.sendto(b"x", ("127.0.0.1", stage.address[1]))
        wait_until(lambda: stage.server.drops.counts, pause=gevent.sleep)
        stage.settle()
        assert stage.server.drops.counts == {Drop.FROM_OURSELVES: 1}
        assert server.heard == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_entry_points_that_name_each_other_as_servers_do_not_go_round(host: str) -> None:
    own = OwnAddresses()
    with UDPStage(host, own=own) as first, UDPStage(host, own=own) as second:
        first.serve(f"127.0.0.1:{second.address[1]}")
        second.serve(f"127.0.0.1:{first.address[1]}")
        first.client("127.0.0.1").send(b"x")
        wait_until(lambda: first.server.drops.counts, pause=gevent.sleep)
        first.settle()
        assert first.server.drops.counts == {Drop.LEADS_BACK: 1}
        assert (first.server.opened, second.server.opened) == (1, 0)


def test_an_entry_point_is_no_client_of_another() -> None:
    """An invented source address would let the servers of two entry points answer each other for ever."""
    own = OwnAddresses()
    with UDPStage(own=own) as first, UDPStage(own=own) as second:
        servers = first.answerer("a"), second.answerer("b")
        first.serve(servers[0].address)
        second.serve(servers[1].address)
        second.socket.sendto(b"x", first.address)
        wait_until(lambda: first.server.drops.counts, pause=gevent.sleep)
        first.settle()
        assert first.server.drops.counts == {Drop.FROM_OURSELVES: 1}
        assert [server.heard for server in servers] == [[], []]
        assert first.client().ask(b"y") == b"a:y"


@pytest.mark.parametrize(
    ("host", "written_to"), [("0.0.0.0", ["127.0.0.1", "127.0.0.5", "127.9.9.9"]), ("::", ["::1"])]
)
def test_a_wildcard_socket_answers_from_where_it_was_written_to(host: str, written_to: list[str]) -> None:
    with UDPStage(host) as stage:
        stage.serve(stage.answerer("a").address)
        for address in written_to:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            assert stage.client(address, family).ask(b"x") == b"a:x"


def test_an_ipv4_client_of_a_dual_stack_socket() -> None:
    with UDPStage("::") as stage:
        stage.serve(stage.answerer("a").address)
        client = stage.client("127.0.0.7", socket.AF_INET)
        assert client.ask(b"x") == b"a:x"
        assert client.ask(b"y") == b"a:y"


def test_an_entry_point_at_one_ipv6_address() -> None:
    with UDPStage("::1") as stage:
        stage.serve(stage.answerer("a").address)
        assert stage.client(family=socket.AF_INET6).ask(b"x") == b"a:x"


def test_one_client_port_towards_two_of_our_addresses_has_two_sessions() -> None:
    with UDPStage("0.0.0.0") as stage:
        stage.serve(stage.answerer("a").address)
        client = stage.client("127.0.0.1")
        client.ask(b"1")
        client.server = ("127.0.0.2", client.server[1])
        assert client.ask(b"2") == b"a:2"
        assert len(stage.server.sessions) == 2


def test_servers_over_ipv6(stage: UDPStage) -> None:
    stage.serve(stage.answerer("six", "::1").address)
    assert stage.client().ask(b"x") == b"six:x"


def test_stopping_serves_sessions_and_hears_no_new_clients(stage: UDPStage) -> None:
    stage.serve(stage.answerer("a").address)
    old, new = stage.client(), stage.client()
    old.ask(b"1")
    stage.server.refuse_new()
    new.send(b"x")
    assert old.ask(b"2") == b"a:2"
    assert stage.server.drops.counts == {Drop.STOPPING: 1}
    assert not stage.server.is_settled
    stage.advance(4)
    assert stage.server.is_settled


def test_what_waits_in_the_queue_is_taken_before_the_socket_is_given_away(stage: UDPStage) -> None:
    server = stage.answerer("a")
    stage.serve(server.address)
    clients = [stage.client() for _ in range(100)]
    for client in clients:
        client.send(b"x")
    stage.server.give_way()
    assert not stage.server.is_reading
    assert [client.receive() for client in clients] == [b"a:x"] * 100
    clients[0].send(b"y")
    stage.settle()
    assert stage.socket.recv(10, socket.MSG_DONTWAIT) == b"y", "left for whoever reads next"


def test_nothing_is_left_open(stage: UDPStage) -> None:
    stage.serve(stage.answerer("a").address)
    clients = [stage.client() for _ in range(20)]
    before = len(os.listdir("/proc/self/fd"))
    for client in clients:
        client.ask(b"x")
    assert len(os.listdir("/proc/self/fd")) == before + 20
    stage.server.abort()
    assert len(os.listdir("/proc/self/fd")) == before
    assert "0 users" in repr(stage.wheel)
