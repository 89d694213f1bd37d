"""Tunnels under conversations made up at random: no byte is lost, doubled or out of order, and each one ends."""

from __future__ import annotations

import socket as blocking
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from random import Random
from typing import NamedTuple

import gevent
import pytest
from gevent import socket

from tests.playbook import Clock
from workers.stream import Stream
from workers.tunnel import Tunnel

LONGEST_BYTES = 600_000
PATIENCE_SECONDS = 60


class Roundabout(Stream):
    """A stream whose bytes take the way by read and write."""

    __slots__ = ()


class Joined(NamedTuple):
    """Two ends of a tunnel that runs in `carrying`."""

    client: socket.socket
    server: socket.socket
    carrying: gevent.Greenlet[..., None]


def pair(rng: Random) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection, or of one that holds few bytes (TCP with small windows waits for timers)."""
    if rng.random() < 0.5:
        near, far = socket.socketpair()
        for one in (near, far):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, rng.choice((4096, 65536)))
        return near, far
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


def plain(end: socket.socket) -> blocking.socket:
    """The same one, not by way of gevent."""
    same = blocking.socket(fileno=end.detach())
    same.setblocking(False)
    return same


@contextmanager
def joined(rng: Random, kind: type[Stream], delay_seconds: float = -1) -> Iterator[Joined]:
    clock = Clock()
    (client, entry), (exit_, server) = pair(rng), pair(rng)
    streams = kind(plain(entry), clock.wheel), kind(plain(exit_), clock.wheel)

    def carry() -> None:
        try:
            Tunnel(*streams, delay_seconds=delay_seconds).run()
        finally:
            for stream in streams:
                stream.close()

    carrying = gevent.spawn(carry)
    try:
        yield Joined(client, server, carrying)
        assert carrying.ready(), "the tunnel is over when both ends are"
        carrying.get()
    finally:
        for one in (client, server):
            one.close()
        carrying.join(PATIENCE_SECONDS)
        clock.wheel.close()


def say(end: socket.socket, data: bytes, rng: Random) -> None:
    """In pieces from a byte to a burst, then an end of this direction."""
    at = 0
    while at < len(data):
        size = rng.choice((1, 100, 5000, 65535, 65536, 65537, 200_000))
        end.sendall(data[at : at + size])
        at += size
        if rng.random() < 0.3:
            gevent.sleep(rng.choice((0, 0, 0.001)))
    end.shutdown(socket.SHUT_WR)


def hear(end: socket.socket, rng: Random) -> bytes:
    """Until the end, at a pace that changes."""
    pieces = []
    while piece := end.recv(rng.choice((100, 4096, 65536, 1 << 18))):
        pieces.append(piece)
        if rng.random() < 0.1:
            gevent.sleep(rng.choice((0, 0.001)))
    return b"".join(pieces)


def made_up(rng: Random) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 1000, 65535, 65536, rng.randrange(LONGEST_BYTES))))


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("kind", [Stream, Roundabout])
def test_both_ways_at_once_with_half_closes(seed: int, kind: type[Stream]) -> None:
    rng = Random(seed)
    there, back = made_up(rng), made_up(rng)
    with joined(rng, kind) as ends:
        hearing = [gevent.spawn(hear, end, Random(seed + 1)) for end in (ends.server, ends.client)]
        saying = [
            gevent.spawn(say, end, data, Random(seed + 2))
            for end, data in ((ends.client, there), (ends.server, back))
        ]
        gevent.joinall([*hearing, *saying, ends.carrying], timeout=PATIENCE_SECONDS, raise_error=True)
        assert [one.value for one in hearing] == [there, back]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", [Stream, Roundabout])
def test_an_answer_to_the_end_of_a_question(seed: int, kind: type[Stream]) -> None:
    """One direction is over before the other one begins."""
    rng = Random(seed)
    there, back = made_up(rng), made_up(rng)
    with joined(rng, kind) as ends:

        def answer() -> bytes:
            question = hear(ends.server, Random(seed))
            say(ends.server, back, Random(seed + 1))
            return question

        asking = gevent.spawn(say, ends.client, there, Random(seed + 2))
        answering, hearing = gevent.spawn(answer), gevent.spawn(hear, ends.client, Random(seed + 3))
        gevent.joinall([asking, answering, hearing, ends.carrying], timeout=PATIENCE_SECONDS, raise_error=True)
        assert (answering.value, hearing.value) == (there, back)


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("kind", [Stream, Roundabout])
@pytest.mark.parametrize("by_client", [True, False])
def test_a_reset_in_the_middle_of_everything(seed: int, kind: type[Stream], by_client: bool) -> None:
    """What arrived before it is the beginning of what was sent, and nobody hangs."""
    rng = Random(seed)
    there, back = made_up(rng), made_up(rng)
    with joined(rng, kind) as ends:
        one, other = (ends.client, ends.server) if by_client else (ends.server, ends.client)
        sent = there if by_client else back
        heard = bytearray()

        def talk(end: socket.socket, data: bytes) -> None:
            with suppress(OSError):
                say(end, data, Random(seed))

        def listen() -> None:
            with suppress(OSError):
                while piece := other.recv(rng.choice((100, 65536))):
                    heard.extend(piece)

        talking = [gevent.spawn(talk, *each) for each in ((one, sent), (other, back))]
        listening = gevent.spawn(listen)
        gevent.sleep(rng.random() * 0.01)
        talking[0].kill()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
        gevent.joinall([*talking, listening, ends.carrying], timeout=PATIENCE_SECONDS, raise_error=True)
        assert all(each.ready() for each in (*talking, listening))
        assert sent.startswith(bytes(heard))


@pytest.mark.parametrize("seed", range(8))
def test_no_delay_loses_nothing_that_had_arrived(seed: int) -> None:
    """The server says all it has to and leaves; the client hears that, and its own words count no more."""
    rng = Random(seed)
    back = made_up(rng)
    with joined(rng, Stream, delay_seconds=0) as ends:
        hearing = gevent.spawn(hear, ends.client, Random(seed + 1))
        saying = gevent.spawn(say, ends.server, back, Random(seed + 2))
        gevent.joinall([hearing, saying, ends.carrying], timeout=PATIENCE_SECONDS, raise_error=True)
        assert hearing.value == back
