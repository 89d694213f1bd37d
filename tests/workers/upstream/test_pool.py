"""Who may share a connection, and for how long it is kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest

from tests.playbook import Clock
from tests.waiting import wait_until
from workers.stream import Stream
from workers.upstream.pool import Pool, UpstreamConnection


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.wheel.close()


@pytest.fixture
def peers() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for one in made:
        one.close()


def connection(pool: Pool, clock: Clock, peers: list[socket.socket]) -> UpstreamConnection:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    peers.append(theirs)
    return UpstreamConnection(Stream(ours, clock.wheel), pool)


def take(pool: Pool) -> UpstreamConnection:
    """What a transport does."""
    taken = pool.idle.pop()
    taken.is_idle = False
    return taken


def make(clock: Clock, idle_seconds: float = 90.0, limit: int = 2) -> Pool:
    return Pool(("http", "a", 80), clock.wheel, idle_seconds, limit)


def test_last_one_back_is_the_first_one_out(clock: Clock, peers: list[socket.socket]) -> None:
    pool = make(clock)
    one, two = connection(pool, clock, peers), connection(pool, clock, peers)
    assert not pool.idle
    pool.put(one)
    pool.put(two)
    assert take(pool) is two
    assert take(pool) is one
    assert one.is_reused
    assert not one.is_idle
    one.close()
    two.close()


def test_no_more_than_the_limit_are_kept(clock: Clock, peers: list[socket.socket]) -> None:
    pool = make(clock, limit=1)
    one, two = connection(pool, clock, peers), connection(pool, clock, peers)
    pool.put(one)
    pool.put(two)
    assert len(pool) == 1
    assert two.stream.closed
    pool.close()
    assert one.stream.closed


@pytest.mark.parametrize("how", ["byte", "end"])
def test_idle_connection_that_stirs_is_discarded(how: str, clock: Clock, peers: list[socket.socket]) -> None:
    pool = make(clock)
    one = connection(pool, clock, peers)
    pool.put(one)
    if how == "byte":
        peers[0].send(b"x")
    else:
        peers[0].close()
    wait_until(lambda: not len(pool), pause=gevent.sleep)
    assert one.stream.closed


@pytest.mark.behaviour("ADV-D-3")
def test_connection_with_unread_bytes_is_not_kept(clock: Clock, peers: list[socket.socket]) -> None:
    """ADV-D"""
    pool = make(clock)
    one = connection(pool, clock, peers)
    peers[0].send(b"x")
    wait_until(lambda: one.stream.ready, pause=gevent.sleep)
    pool.put(one)
    assert len(pool) == 0
    assert one.stream.closed


def test_idle_connections_expire_oldest_first(clock: Clock, peers: list[socket.socket]) -> None:
    pool = make(clock, idle_seconds=90)
    one, two = connection(pool, clock, peers), connection(pool, clock, peers)
    pool.put(one)
    clock.advance(50)
    pool.put(two)
    clock.advance(39.8)
    assert len(pool) == 2
    clock.advance(0.5)
    assert one.stream.closed
    assert take(pool) is two
    pool.put(two)
    clock.advance(89)
    assert len(pool) == 1
    clock.advance(1.5)
    assert len(pool) == 0


def test_zero_keeps_for_ever(clock: Clock, peers: list[socket.socket]) -> None:
    pool = make(clock, idle_seconds=0)
    pool.put(connection(pool, clock, peers))
    clock.advance(100_000)
    assert len(pool) == 1
    pool.close()


def test_closed_pool_keeps_nothing(clock: Clock, peers: list[socket.socket]) -> None:
    pool = make(clock)
    one = connection(pool, clock, peers)
    pool.close()
    pool.put(one)
    assert one.stream.closed
