"""Generations on their way from the provider to the workers."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import pytest

from config.control_page import ControlPage, Head
from master.generations import ChannelClosed, Generations


@dataclass
class FakeWorker:
    channel: socket.socket
    generation_sent: int = 0


@pytest.fixture
def page() -> Iterator[ControlPage]:
    made = ControlPage.create()
    yield made
    made.close()


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    """(the provider's end, the master's end)"""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    yield theirs, ours
    theirs.close()
    ours.close()


def publish(theirs: socket.socket, message: Any, content: bytes = b"generation", copies: int = 1) -> None:
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    data = message if isinstance(message, bytes) else msgpack.packb(message)
    socket.send_fds(theirs, [data], [descriptor] * copies)
    os.close(descriptor)


def until_it_would_block(action: Callable[[], object]) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            action()


def content_of(descriptor: int) -> bytes:
    return os.pread(descriptor, 100, 0)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_newest_of_several_is_kept(page: ControlPage, channel: tuple[socket.socket, socket.socket]) -> None:
    theirs, ours = channel
    generations = Generations(page)
    before = open_descriptors()
    for number in (1, 2, 3):
        publish(theirs, {"generation": number, "complete": number == 2}, b"%d" % number)
    assert generations.receive(ours)
    assert content_of(generations.descriptor) == b"3"
    assert not os.get_inheritable(generations.descriptor)
    assert (page[Head.GENERATION], page[Head.FIRST_COMPLETE]) == (3, 2)
    assert open_descriptors() == before + 1
    assert not generations.receive(ours)
    os.close(generations.descriptor)


@pytest.mark.parametrize(
    ("message", "copies"),
    [
        ({"generation": 5}, 1),
        ({"generation": 4}, 1),
        ({"generation": "6"}, 1),
        ({}, 1),
        ([6], 1),
        (b"\xc1", 1),
        ({"generation": 6}, 2),
    ],
)
def test_what_makes_no_sense_is_refused_and_closed(
    page: ControlPage, channel: tuple[socket.socket, socket.socket], message: Any, copies: int
) -> None:
    theirs, ours = channel
    generations = Generations(page)
    page[Head.GENERATION] = 5
    before = open_descriptors()
    publish(theirs, message, copies=copies)
    assert not generations.receive(ours)
    assert generations.descriptor == -1
    assert open_descriptors() == before


def test_what_a_dead_provider_sent_last_still_counts(
    page: ControlPage, channel: tuple[socket.socket, socket.socket]
) -> None:
    theirs, ours = channel
    generations = Generations(page)
    publish(theirs, {"generation": 1, "complete": True})
    theirs.close()
    assert generations.receive(ours)
    with pytest.raises(ChannelClosed):
        generations.receive(ours)
    os.close(generations.descriptor)


def test_each_worker_gets_each_generation_once(page: ControlPage) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    worker = FakeWorker(ours)
    generations = Generations(page)
    generations.relay(worker)
    assert worker.generation_sent == 0
    generations.adopt(os.memfd_create("test"), 4, is_complete=False)
    generations.relay(worker)
    generations.relay(worker)
    data, descriptors, _, _ = socket.recv_fds(theirs, 100, 4)
    assert msgpack.unpackb(data) == {"generation": 4}
    assert len(descriptors) == 1
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert worker.generation_sent == 4
    for descriptor in (*descriptors, generations.descriptor):
        os.close(descriptor)
    ours.close()
    theirs.close()


def test_a_worker_that_does_not_read_gets_the_newest_later(page: ControlPage) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    until_it_would_block(lambda: ours.send(b"x" * 1000))
    worker = FakeWorker(ours)
    generations = Generations(page)
    generations.adopt(os.memfd_create("test"), 1, is_complete=False)
    generations.relay(worker)
    assert worker.generation_sent == 0
    until_it_would_block(lambda: theirs.recv(2000))
    generations.relay(worker)
    assert worker.generation_sent == 1
    os.close(generations.descriptor)
    ours.close()
    theirs.close()
