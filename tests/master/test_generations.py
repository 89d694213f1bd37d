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

from config import generation_channel
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


def memory_file(content: bytes = b"generation") -> int:
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    return descriptor


def publish(theirs: socket.socket, message: Any, *contents: bytes) -> None:
    """A file for each of these."""
    descriptors = list(map(memory_file, contents))
    data = message if isinstance(message, bytes) else msgpack.packb(message)
    socket.send_fds(theirs, [data], descriptors)
    for descriptor in descriptors:
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
        files = [b"%d" % one for one in range(number, 0, -1)]
        publish(theirs, {"generation": number, "complete": number == 2, "files": number}, *files)
    assert generations.receive(ours)
    assert list(map(content_of, generations.descriptors)) == [b"3", b"2", b"1"]
    assert not any(map(os.get_inheritable, generations.descriptors))
    assert (page[Head.GENERATION], page[Head.FIRST_COMPLETE]) == (3, 2)
    assert open_descriptors() == before + 3
    assert not generations.receive(ours)
    generations.close()
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("message", "copies"),
    [
        ({"generation": 5, "files": 1}, 1),
        ({"generation": 4, "files": 1}, 1),
        ({"generation": "6", "files": 1}, 1),
        ({"generation": 6}, 1),
        ({"files": 1}, 1),
        ([6], 1),
        (b"\xc1", 1),
        ({"generation": 6, "files": 1}, 2),
        ({"generation": 6, "files": 2}, 1),
        ({"generation": 6, "files": 0}, 0),
        ({"generation": 6, "files": 8}, 9),
        ({"generation": 6, "files": 9}, 9),
    ],
)
def test_what_makes_no_sense_is_refused_and_closed(
    page: ControlPage, channel: tuple[socket.socket, socket.socket], message: Any, copies: int
) -> None:
    theirs, ours = channel
    generations = Generations(page)
    page[Head.GENERATION] = 5
    before = open_descriptors()
    publish(theirs, message, *[b"generation"] * copies)
    assert not generations.receive(ours)
    assert not generations.descriptors
    assert open_descriptors() == before


def test_what_a_dead_provider_sent_last_still_counts(
    page: ControlPage, channel: tuple[socket.socket, socket.socket]
) -> None:
    theirs, ours = channel
    generations = Generations(page)
    publish(theirs, {"generation": 1, "complete": True, "files": 1}, b"generation")
    theirs.close()
    assert generations.receive(ours)
    with pytest.raises(ChannelClosed):
        generations.receive(ours)
    generations.close()


def test_each_worker_gets_each_generation_once(page: ControlPage) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    worker = FakeWorker(ours)
    generations = Generations(page)
    generations.relay(worker)
    assert worker.generation_sent == 0
    generations.adopt([memory_file(b"own"), memory_file(b"further")], 4, is_complete=False)
    generations.relay(worker)
    generations.relay(worker)
    parcel = generation_channel.receive(theirs)
    assert parcel is not None
    assert parcel.number == 4
    assert list(map(content_of, parcel.descriptors)) == [b"own", b"further"]
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert worker.generation_sent == 4
    for descriptor in parcel.descriptors:
        os.close(descriptor)
    generations.close()
    ours.close()
    theirs.close()


def test_a_worker_that_does_not_read_gets_the_newest_later(page: ControlPage) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    until_it_would_block(lambda: ours.send(b"x" * 1000))
    worker = FakeWorker(ours)
    generations = Generations(page)
    generations.adopt([memory_file()], 1, is_complete=False)
    generations.relay(worker)
    assert worker.generation_sent == 0
    until_it_would_block(lambda: theirs.recv(2000))
    generations.relay(worker)
    assert worker.generation_sent == 1
    generations.close()
    ours.close()
    theirs.close()
