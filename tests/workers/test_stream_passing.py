"""Bytes passed from one stream to another by the event loop itself, and everything that ends it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gevent
import pytest
from gevent import get_hub
from greenlet import greenlet

from tests.playbook import Clock
from tests.waiting import wait_until
from workers.stream import READ_BYTES, Stream, StreamBroken, StreamCancelled, StreamTimeout


class Road(NamedTuple):
    """`sender` writes to `source`, whose bytes go to `target`, from which `receiver` reads."""

    sender: socket.socket
    source: Stream
    target: Stream
    receiver: socket.socket
    clock: Clock

    def pass_on(self) -> list[Any]:
        """In a bare greenlet; the list gets the result or the exception."""
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.append(self.source.pass_on(self.target))
            except Exception as error:
                outcome.append(error)

        get_hub().loop.run_callback(greenlet(run, get_hub()).switch)
        gevent.sleep(0)
        return outcome

    def received(self, size: int) -> bytes:
        found = b""

        def look() -> bool:
            nonlocal found
            with contextlib.suppress(BlockingIOError):
                found += self.receiver.recv(size - len(found))
            return len(found) == size

        wait_until(look, pause=gevent.sleep)
        return found


def wait_for(outcome: list[Any]) -> Any:
    wait_until(lambda: outcome, pause=gevent.sleep)
    return outcome[0]


@pytest.fixture
def road() -> Iterator[Road]:
    clock = Clock()
    (sender, entry), (exit_, receiver) = socket.socketpair(), socket.socketpair()
    for one in (sender, entry, exit_, receiver):
        one.setblocking(False)
    made = Road(sender, Stream(entry, clock.wheel), Stream(exit_, clock.wheel), receiver, clock)
    yield made
    made.source.close()
    made.target.close()
    sender.close()
    receiver.close()
    clock.wheel.close()


def test_messages_are_passed_on_without_waking_anybody(road: Road) -> None:
    outcome = road.pass_on()
    for message in (b"one", b"two", b"three"):
        road.sender.send(message)
        assert road.received(len(message)) == message
    assert not outcome


def test_what_came_before_is_passed_on(road: Road) -> None:
    road.sender.send(b"early")
    wait_until(lambda: road.source.ready, pause=gevent.sleep)
    outcome = road.pass_on()
    assert road.received(5) == b"early"
    road.sender.send(b"later")
    assert road.received(5) == b"later"
    assert not outcome


def test_the_end_ends_it(road: Road) -> None:
    outcome = road.pass_on()
    road.sender.send(b"last")
    road.sender.shutdown(socket.SHUT_WR)
    assert wait_for(outcome) == (b"", 0)
    assert road.received(4) == b"last"


def test_a_whole_read_is_given_back(road: Road) -> None:
    """That is bulk, for which there are other ways."""
    data = b"x" * READ_BYTES
    assert road.sender.send(data) == READ_BYTES
    assert wait_for(road.pass_on()) == (data, 0)


def test_what_the_target_does_not_take_is_given_back(road: Road) -> None:
    road.target.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    outcome, sent = road.pass_on(), 0

    def is_over() -> bool:
        nonlocal sent
        if not outcome:
            sent += road.sender.send(b"x" * 1000)
        return bool(outcome)

    wait_until(is_over, pause=gevent.sleep)
    data, taken = outcome[0]
    assert taken < len(data)
    rest = gevent.spawn(road.target.write, memoryview(data)[taken:])
    unread = sent - len(road.received(sent - (len(data) - taken)))
    assert unread == len(data) - taken
    assert road.received(unread) == b"x" * unread
    rest.get()


def test_nothing_is_kept_of_what_was_passed_on(road: Road) -> None:
    """A silent tunnel must not hold the message before the silence."""
    alive: list[int] = []

    class Message(bytes):
        def __del__(self) -> None:
            alive.pop()

    receive = road.source._receive

    def received(limit_bytes: int) -> bytes:
        message = Message(receive(limit_bytes))
        alive.append(1)
        return message

    road.source._receive = received
    outcome = road.pass_on()
    road.sender.send(b"message")
    assert road.received(7) == b"message"
    assert not alive
    assert not outcome


def test_reading_goes_on_afterwards(road: Road) -> None:
    outcome = road.pass_on()
    road.source.cancel_read()
    road.sender.send(b"unread")
    assert isinstance(wait_for(outcome), StreamCancelled)
    assert road.source.read() == b"unread"
    again = road.pass_on()
    road.sender.send(b"more")
    assert road.received(4) == b"more"
    assert not again


def test_a_target_that_is_gone(road: Road) -> None:
    outcome = road.pass_on()
    road.receiver.close()
    road.sender.send(b"nobody")
    assert isinstance(wait_for(outcome), StreamBroken)


def test_a_source_that_is_reset(road: Road) -> None:
    def refuse(limit_bytes: int) -> bytes:
        raise ConnectionResetError(104, "reset")

    road.source._receive = refuse
    outcome = road.pass_on()
    road.sender.send(b"x")
    assert isinstance(wait_for(outcome), StreamBroken)


@pytest.mark.parametrize("end", [lambda road: road.source.close(), lambda road: road.source.shutdown()])
def test_an_end_of_our_own(road: Road, end: Callable[[Road], None]) -> None:
    outcome = road.pass_on()
    end(road)
    assert isinstance(wait_for(outcome), StreamBroken) or outcome == [(b"", 0)]


def test_a_closed_source(road: Road) -> None:
    road.source.close()
    with pytest.raises(StreamBroken):
        road.source.pass_on(road.target)


def test_a_deadline(road: Road) -> None:
    road.source.set_read_deadline(road.clock.wheel.tick + road.clock.wheel.ticks(5))
    outcome = road.pass_on()
    road.clock.advance(4.9)
    assert not outcome
    road.clock.advance(0.3)
    assert isinstance(wait_for(outcome), StreamTimeout)
