"""Streams over socket pairs: reads, writes, deadlines, ends, and one watcher that never spins."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import get_hub
from greenlet import greenlet

from tests.playbook import Clock
from tests.waiting import wait_until
from workers.stream import Stream, StreamBroken, StreamCancelled, StreamTimeout


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.wheel.close()


@pytest.fixture
def pair(clock: Clock) -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    stream = Stream(ours, clock.wheel)
    yield stream, theirs
    stream.close()
    theirs.close()


Pair = tuple[Stream, socket.socket]


def in_greenlet(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run at once in a bare greenlet; the list gets the result or the exception."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function(*arguments))
        except Exception as error:
            outcome.append(error)

    get_hub().loop.run_callback(greenlet(run, get_hub()).switch)
    gevent.sleep(0)
    return outcome


def wait_for(outcome: list[Any]) -> Any:
    wait_until(lambda: outcome, pause=gevent.sleep)
    return outcome[0]


def test_read_what_comes(pair: Pair) -> None:
    stream, peer = pair
    outcome = in_greenlet(stream.read)
    assert not outcome
    peer.send(b"abc")
    assert wait_for(outcome) == b"abc"


def test_read_what_came_before(pair: Pair) -> None:
    stream, peer = pair
    peer.send(b"abc")
    wait_until(lambda: stream.ready, pause=gevent.sleep)
    assert stream.read() == b"abc"
    assert not stream.ready
    outcome = in_greenlet(stream.read)
    peer.send(b"def")
    assert wait_for(outcome) == b"def"


def test_unexpected_bytes_are_told_once(pair: Pair) -> None:
    stream, peer = pair
    calls: list[bool] = []
    stream.on_unexpected = lambda: calls.append(stream.at_end())
    peer.send(b"abc")
    wait_until(lambda: calls, pause=gevent.sleep)
    for _ in range(5):
        gevent.sleep(0.001)
    assert calls == [False]
    assert stream.read() == b"abc"


def test_unexpected_end(pair: Pair) -> None:
    stream, peer = pair
    calls: list[bool] = []
    stream.on_unexpected = lambda: calls.append(stream.at_end())
    peer.close()
    wait_until(lambda: calls, pause=gevent.sleep)
    assert calls == [True]
    assert stream.read() == b""


def test_end_of_stream(pair: Pair) -> None:
    stream, peer = pair
    outcome = in_greenlet(stream.read)
    peer.shutdown(socket.SHUT_WR)
    assert wait_for(outcome) == b""


def test_limit(pair: Pair) -> None:
    stream, peer = pair
    peer.send(b"abcdef")
    assert stream.read(4) == b"abcd"
    assert stream.read(4) == b"ef"


def test_large_write_waits_for_the_reader(pair: Pair) -> None:
    stream, peer = pair
    data = bytes(range(256)) * 16384
    outcome = in_greenlet(stream.write, data)
    assert not outcome
    received = bytearray()
    while len(received) < len(data):
        try:
            received += peer.recv(1 << 20)
        except BlockingIOError:
            gevent.sleep(0.001)
    assert received == data
    assert wait_for(outcome) is None


def test_read_deadline(pair: Pair, clock: Clock) -> None:
    stream, _ = pair
    stream.set_read_deadline(clock.wheel.tick + clock.wheel.ticks(5))
    outcome = in_greenlet(stream.read)
    clock.advance(4.9)
    assert not outcome
    clock.advance(0.3)
    assert isinstance(wait_for(outcome), StreamTimeout)


def test_deadline_moved_later_and_earlier(pair: Pair, clock: Clock) -> None:
    stream, _ = pair
    stream.set_read_deadline(clock.wheel.tick + clock.wheel.ticks(5))
    stream.set_read_deadline(clock.wheel.tick + clock.wheel.ticks(50))
    outcome = in_greenlet(stream.read)
    clock.advance(20)
    assert not outcome
    stream.set_read_deadline(clock.wheel.tick + clock.wheel.ticks(2))
    clock.advance(2.2)
    assert isinstance(wait_for(outcome), StreamTimeout)


def test_deadline_that_passed_before_the_read_ends_it_soon(pair: Pair, clock: Clock) -> None:
    stream, _ = pair
    stream.set_read_deadline(clock.wheel.tick + clock.wheel.ticks(1))
    clock.advance(5)
    outcome = in_greenlet(stream.read)
    clock.advance(0.1)
    assert isinstance(wait_for(outcome), StreamTimeout)


def test_bytes_win_over_a_later_deadline(pair: Pair, clock: Clock) -> None:
    stream, peer = pair
    stream.set_read_deadline(clock.wheel.tick + clock.wheel.ticks(1))
    outcome = in_greenlet(stream.read)
    peer.send(b"abc")
    assert wait_for(outcome) == b"abc"
    clock.advance(10)


def test_write_deadline(pair: Pair, clock: Clock) -> None:
    stream, _ = pair
    stream.set_write_deadline(clock.wheel.tick + clock.wheel.ticks(5))
    outcome = in_greenlet(stream.write, b"x" * (8 << 20))
    clock.advance(4)
    assert not outcome
    clock.advance(1.3)
    assert isinstance(wait_for(outcome), StreamTimeout)


def test_reader_and_writer_are_two(pair: Pair) -> None:
    stream, peer = pair
    reading = in_greenlet(stream.read)
    writing = in_greenlet(stream.write, b"x" * (4 << 20))
    peer.send(b"abc")
    assert wait_for(reading) == b"abc"
    assert not writing
    stream.shutdown()
    assert isinstance(wait_for(writing), StreamBroken)


def test_close_wakes_who_waits(pair: Pair) -> None:
    stream, _ = pair
    reading = in_greenlet(stream.read)
    writing = in_greenlet(stream.write, b"x" * (4 << 20))
    stream.close()
    stream.close()
    assert isinstance(wait_for(reading), StreamBroken)
    broken = wait_for(writing)
    assert isinstance(broken, StreamBroken)
    assert broken.written > 0
    for call in (stream.read, lambda: stream.write(b"x")):
        with pytest.raises(StreamBroken):
            call()


def test_cancel_read_leaves_the_stream_usable(pair: Pair) -> None:
    stream, peer = pair
    outcome = in_greenlet(stream.read)
    stream.cancel_read()
    stream.cancel_read()
    assert isinstance(wait_for(outcome), StreamCancelled)
    peer.send(b"abc")
    assert stream.read() == b"abc"


def test_write_to_a_peer_that_is_gone(pair: Pair) -> None:
    stream, peer = pair
    peer.close()
    with pytest.raises(StreamBroken) as caught:
        stream.write(b"abc")
    assert caught.value.written == 0


def test_stop_reading_gives_what_has_come_and_then_the_end(pair: Pair) -> None:
    stream, peer = pair
    peer.send(b"abc")
    stream.stop_reading()
    assert stream.read() == b"abc"
    assert stream.read() == b""


def test_descriptor_is_closed_and_wheel_released(clock: Clock) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = Stream(ours, clock.wheel)
    stream.set_read_deadline(clock.wheel.tick + 10)
    stream.close()
    assert stream.fileno() == -1
    assert stream.scheduled > clock.wheel.tick + 10
    assert "0 users" in repr(clock.wheel)
    theirs.close()
