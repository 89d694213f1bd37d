"""Names of servers: asked for once at a time, never in the way of the event loop."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest
from gevent import get_hub

from tests.waiting import wait_until
from tests.workers.udp.stage import UDPStage
from workers.udp.backlog import MOST_DATAGRAMS
from workers.udp.drops import Drop


class Resolver:
    """Answers when told; takes the place of the hub's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.addresses: list[str] | None = None
        self.turn = gevent.event.Event()

    def getaddrinfo(self, host: str, port: int, *_: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        self.turn.wait()
        if self.addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (one, port)) for one in self.addresses]

    def close(self) -> None:
        """As the hub's."""


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    hub, made = get_hub(), Resolver()
    before, hub.resolver = hub.resolver, made
    yield made
    hub.resolver = before


def test_datagrams_wait_for_the_name_and_then_go_in_order(resolver: Resolver) -> None:
    with UDPStage() as stage:
        server = stage.answerer("a")
        stage.serve(f"dns.example:{server.socket.getsockname()[1]}")
        one, two = stage.client(), stage.client()
        for number in range(3):
            one.send(b"%d" % number)
        two.send(b"x")
        wait_until(lambda: len(stage.server.sessions) == 2, pause=gevent.sleep)
        stage.settle()
        resolver.addresses = ["127.0.0.1"]
        resolver.turn.set()
        assert [one.receive() for _ in range(3)] == [b"a:0", b"a:1", b"a:2"]
        assert two.receive() == b"a:x"
        assert stage.client().ask(b"y") == b"a:y"
        assert resolver.asked == ["dns.example"], "one question for all, and the answer is remembered"
        stage.advance(6)
        stage.client().ask(b"z")
        assert len(resolver.asked) == 2, "but not for long"


def test_what_waits_is_bounded_and_the_oldest_goes_first(resolver: Resolver) -> None:
    with UDPStage() as stage:
        server = stage.answerer("a")
        stage.serve(f"dns.example:{server.socket.getsockname()[1]}")
        client = stage.client()
        for number in range(MOST_DATAGRAMS + 5):
            client.send(b"%d" % number)
        wait_until(lambda: stage.server.drops.counts[Drop.WAITING_TOO_MANY] == 5, pause=gevent.sleep)
        resolver.addresses = ["127.0.0.1"]
        resolver.turn.set()
        assert client.receive() == b"a:5"


def test_bytes_that_wait_are_bounded_over_all_sessions(resolver: Resolver) -> None:
    with UDPStage() as stage:
        stage.serve("dns.example:53")
        stage.server.budget.limit = 1000
        for _ in range(10):
            stage.client().send(bytes(200))
        wait_until(lambda: stage.server.drops.counts[Drop.WAITING_TOO_MANY] == 8, pause=gevent.sleep)
        assert stage.server.budget.used <= 1000
        resolver.turn.set()
        wait_until(lambda: not len(stage.server.sessions), pause=gevent.sleep)
        assert stage.server.budget.used == 0


def test_a_name_without_address_drops_what_waits(resolver: Resolver) -> None:
    with UDPStage() as stage:
        stage.serve("dns.example:53")
        client = stage.client()
        client.send(b"1")
        client.send(b"2")
        wait_until(lambda: len(stage.server.sessions) == 1, pause=gevent.sleep)
        stage.settle()
        resolver.turn.set()
        wait_until(lambda: not len(stage.server.sessions), pause=gevent.sleep)
        assert stage.server.drops.counts == {Drop.UNRESOLVED: 2}


def test_an_answer_that_comes_after_the_session_is_of_no_use(resolver: Resolver) -> None:
    with UDPStage() as stage:
        stage.serve("dns.example:53")
        stage.client().send(b"1")
        wait_until(lambda: len(stage.server.sessions) == 1, pause=gevent.sleep)
        stage.advance(4)
        assert not len(stage.server.sessions)
        assert stage.server.drops.counts == {Drop.UNRESOLVED: 1}
        resolver.addresses = ["127.0.0.1"]
        resolver.turn.set()
        stage.settle()
        assert not len(stage.server.sessions)
        assert "0 users" in repr(stage.wheel)


def test_the_first_address_with_a_way_is_taken(resolver: Resolver) -> None:
    with UDPStage() as stage:
        server = stage.answerer("a")
        stage.serve(f"dns.example:{server.socket.getsockname()[1]}")
        resolver.addresses = ["255.255.255.255", "127.0.0.1"]
        resolver.turn.set()
        assert stage.client().ask(b"x") == b"a:x"


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "a\0b"])
def test_a_name_that_is_none_has_no_address(host: str) -> None:
    with UDPStage() as stage:
        stage.serve(f"{host}:53")
        stage.client().send(b"1")
        wait_until(lambda: stage.server.drops.counts == {Drop.UNRESOLVED: 1}, pause=gevent.sleep)
        assert not len(stage.server.sessions)
        assert "0 users" in repr(stage.wheel)
