"""Bulk between plain sockets: every byte in order, the end, breaks, and where there is no pipe."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from collections.abc import Callable, Iterator

import gevent
import pytest

from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from tests.workers.tcp.staging import router, runtime, service, stage, transport
from workers import splice
from workers.splice import POOL

MEBIBYTE = 1 << 20
DATA = random.Random(7).randbytes(6 * MEBIBYTE)


@pytest.fixture(autouse=True)
def _no_pipe_is_left() -> Iterator[None]:
    yield
    assert POOL._in_use == 0
    POOL.close()


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what was spliced."""
    sizes: list[int] = []
    real = os.splice

    def counted(source: int, target: int, count: int, **members: int) -> int:
        done = real(source, target, count, **members)
        sizes.append(done)
        return done

    monkeypatch.setattr("os.splice", counted)
    return sizes


def through(client_sends: bytes, server_sends: bytes) -> tuple[bytes, bytes]:
    """What server and client heard of each other, both sending at the same time."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        sender = gevent.spawn(peer.send, server_sends)
        heard.append(peer.read_to_end())
        sender.get()

    with Upstream(script) as server:
        running = runtime(
            {"r": router()},
            {"s": service(server.port, servers_transport="t")},
            transports={"t": transport(termination_delay="-1s")},
        )
        with stage(running) as here:
            client = here.client()
            sender = gevent.spawn(client.send, client_sends)
            answer = client.read_exactly(len(server_sends))
            sender.get()
            client.half_close()
            answer += client.read_to_end()
            wait_until(lambda: heard, pause=gevent.sleep)
    return heard[0], answer


def same(one: bytes, other: bytes) -> bool:
    return hashlib.sha256(one).digest() == hashlib.sha256(other).digest()


def test_every_byte_arrives_both_ways_at_once(moved: list[int]) -> None:
    up, down = through(DATA, DATA[::-1])
    assert same(up, DATA)
    assert same(down, DATA[::-1])
    assert sum(moved) > MEBIBYTE


def test_small_messages_are_not_spliced(moved: list[int]) -> None:
    assert through(b"question", b"answer") == (b"question", b"answer")
    assert not moved


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_kernel_that_refuses(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    asked: list[int] = []

    def refuse(*_: object, **__: object) -> int:
        asked.append(1)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.splice", refuse)
    up, down = through(DATA, DATA)
    assert same(up, DATA)
    assert same(down, DATA)
    assert 1 <= len(asked) <= 2, "once a direction at most"


def no_descriptor() -> splice._Pipe:
    raise OSError(errno.EMFILE, "Too many open files")


def tiny_pipe() -> splice._Pipe:
    pipe = real_pipe()
    pipe.size_bytes = 4096
    return pipe


real_pipe = splice._Pipe


@pytest.mark.parametrize("make", [no_descriptor, tiny_pipe])
def test_without_a_pipe_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], splice._Pipe], moved: list[int]
) -> None:
    monkeypatch.setattr(splice, "_Pipe", make)
    up, down = through(DATA, DATA)
    assert same(up, DATA)
    assert same(down, DATA)
    assert not moved


def test_pool_is_bounded() -> None:
    taken = [POOL.take() for _ in range(splice.LARGEST_POOL)]
    assert all(taken) or None in taken
    assert POOL.take() is None
    for pipe in taken:
        if pipe is not None:
            POOL.give_back(pipe, is_empty=True)
    assert len(POOL._idle) <= splice.LARGEST_POOL // 4


@pytest.mark.parametrize("side", ["client", "server"])
def test_break_in_the_middle_ends_the_other_side(side: str) -> None:
    ended: list[bool] = []

    def script(peer: Peer) -> None:
        peer.read_exactly(MEBIBYTE)
        if side == "server":
            peer.reset()
        else:
            try:
                peer.read_to_end()
            finally:
                ended.append(True)

    with Upstream(script) as server, stage(runtime({"r": router()}, {"s": service(server.port)})) as here:
        client = here.client()
        sender = gevent.spawn(client.send, DATA)
        if side == "client":
            client.socket.settimeout(15)
            wait_until(lambda: server.connections, pause=gevent.sleep)
            sender.kill()
            client.socket.sendall(DATA)
            client.reset()
            wait_until(lambda: ended, pause=gevent.sleep)
        else:
            assert client.is_closed()
            sender.kill()
        wait_until(lambda: not here.server.active, pause=gevent.sleep)


def test_slow_receiver_holds_up_the_sender_and_loses_nothing() -> None:
    """Neither pipe nor proxy takes more than their bounds while nobody reads."""

    def script(peer: Peer) -> None:
        turn.wait()
        heard.append(peer.read_to_end())

    turn, sent = gevent.event.Event(), [0]
    heard: list[bytes] = []

    def feed() -> None:
        for start in range(0, len(DATA), 65536):
            client.send(DATA[start : start + 65536])
            sent[0] += 65536
        client.half_close()

    with Upstream(script) as server, stage(runtime({"r": router()}, {"s": service(server.port)})) as here:
        client = here.client()
        sender = gevent.spawn(feed)
        before = -1
        while sent[0] != before:
            before = sent[0]
            gevent.sleep(0.1)
        turn.set()
        sender.get()
        wait_until(lambda: heard, pause=gevent.sleep)
        assert same(heard[0], DATA)
