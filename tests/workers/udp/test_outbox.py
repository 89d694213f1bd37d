"""Answers when the way to the clients is full."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from tests.waiting import wait_until
from workers.udp.outbox import LARGEST_BYTES, Outbox

PEER = ("127.0.0.1", 9)


class Narrow:
    """A socket that takes so many datagrams and then says it is full. Always writable, as far as the hub knows."""

    def __init__(self) -> None:
        self._real = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.room = 0
        self.sent: list[bytes] = []
        self.error: OSError | None = None

    def fileno(self) -> int:
        return self._real.fileno()

    def sendto(self, data: Any, *_: object) -> int:
        if not self.room:
            raise BlockingIOError
        self.room -= 1
        if self.error is not None:
            raise self.error
        self.sent.append(bytes(data))
        return len(data)

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def narrow() -> Iterator[Narrow]:
    made = Narrow()
    yield made
    made.close()


def test_datagrams_wait_in_order_until_there_is_room(narrow: Narrow) -> None:
    lost: list[object] = []
    outbox = Outbox(narrow, lost.append)  # type: ignore[arg-type]
    buffer = bytearray(b"0")
    for number in range(5):
        buffer[0:1] = b"%d" % number
        outbox.send(memoryview(buffer), [], PEER)
    assert outbox.waiting_bytes
    narrow.room = 100
    wait_until(lambda: len(narrow.sent) == 5, pause=gevent.sleep)
    assert narrow.sent == [b"0", b"1", b"2", b"3", b"4"]
    assert (outbox.waiting_bytes, lost) == (0, [])
    outbox.send(b"5", [], PEER)
    assert narrow.sent[-1] == b"5"
    outbox.close()


def test_the_oldest_give_way_when_too_much_waits(narrow: Narrow) -> None:
    lost: list[object] = []
    outbox = Outbox(narrow, lost.append)  # type: ignore[arg-type]
    for number in range(40):
        outbox.send(b"%2d" % number + bytes(60000), [], PEER)
    assert outbox.waiting_bytes <= LARGEST_BYTES
    assert lost == [None] * (40 - LARGEST_BYTES // 60258)
    narrow.room = 100
    wait_until(lambda: not outbox.waiting_bytes, pause=gevent.sleep)
    assert narrow.sent[-1].startswith(b"39")
    assert int(narrow.sent[0][:2]) == len(lost)


def test_a_failure_costs_its_datagram_only(narrow: Narrow) -> None:
    lost: list[object] = []
    outbox = Outbox(narrow, lost.append)  # type: ignore[arg-type]
    narrow.room, narrow.error = 2, PermissionError(1, "forbidden")
    outbox.send(b"1", [], PEER)
    assert lost == [narrow.error]
    narrow.error = None
    outbox.send(b"2", [], PEER)
    assert narrow.sent == [b"2"]


def test_closing_forgets_what_waits(narrow: Narrow) -> None:
    outbox = Outbox(narrow, lambda error: None)  # type: ignore[arg-type]
    outbox.send(b"1", [], PEER)
    outbox.close()
    narrow.room = 10
    gevent.sleep(0.01)
    assert narrow.sent == []
