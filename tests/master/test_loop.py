"""One poll for signals and channels."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from master.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_a_readable_descriptor_is_called_at_once(loop: Loop) -> None:
    left, right = socket.socketpair()
    called: list[str] = []
    loop.watch(left.fileno(), lambda: called.append("readable"))
    right.send(b"x")
    loop.run_once(10)
    assert called == ["readable"]
    left.recv(1)
    right.close()
    loop.run_once(10)
    assert called == ["readable"] * 2, "the end of the other side counts"
    loop.unwatch(left.fileno())
    loop.unwatch(left.fileno())
    loop.run_once(0)
    assert len(called) == 2
    left.close()


def test_a_callback_may_drop_another_descriptor_of_the_same_round(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called = []

    def first_come(own: int, other: int) -> None:
        called.append(own)
        loop.unwatch(other)

    mine, yours = pairs[0][0].fileno(), pairs[1][0].fileno()
    loop.watch(mine, lambda: first_come(mine, yours))
    loop.watch(yours, lambda: first_come(yours, mine))
    for _, right in pairs:
        right.send(b"x")
    loop.run_once(10)
    assert len(called) == 1
    for left, right in pairs:
        left.close()
        right.close()


def test_a_signal_ends_the_wait_after_its_handler_ran(loop: Loop) -> None:
    seen: list[int] = []
    former = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        loop.catch_signals()
        os.kill(os.getpid(), signal.SIGUSR1)
        began = time.monotonic()
        loop.run_once(10)
        assert time.monotonic() - began < 5
        assert seen == [signal.SIGUSR1]
        loop.run_once(0)
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGUSR1, former)


def test_nothing_happening_ends_with_the_timeout(loop: Loop) -> None:
    loop.run_once(-1)
    loop.run_once(0.001)
