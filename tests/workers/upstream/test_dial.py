"""Names that are slow to resolve hold up nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import pytest

from tests.playbook import Clock
from workers.errors import ProxyError
from workers.upstream import dial
from workers.upstream.dial import Address, Resolver


class Slow:
    """A system resolver that answers when told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = gevent.event.Event()
        self.failure: OSError | None = None

    def getaddrinfo(self, host: str, port: int, *_: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    found = Slow()

    class Hub:
        resolver = found

    monkeypatch.setattr(dial, "get_hub", Hub)
    return found


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    clock = Clock()
    yield Resolver(clock.wheel)
    clock.wheel.close()


def outcome(resolver: Resolver, seconds: float = 10) -> Any:
    try:
        return resolver.resolve("a.test", 80, seconds)
    except ProxyError as error:
        return error.failure.kind


@pytest.mark.parametrize("failure", [None, OSError("no such name")])
def test_one_question_for_all_who_wait(slow: Slow, resolver: Resolver, failure: OSError | None) -> None:
    """ADV-F-8: a thread for each of them would starve every other name."""
    slow.failure = failure
    waiting = [gevent.spawn(outcome, resolver) for _ in range(20)]
    gevent.sleep(0)
    assert not any(one.ready() for one in waiting)
    slow.may_answer.set()
    gevent.joinall(waiting)
    expected = "unreachable" if failure else [Address(socket.AF_INET, ("127.0.0.1", 80))]
    assert [one.value for one in waiting] == [expected] * 20
    assert slow.asked == ["a.test"]
    assert outcome(resolver) == expected
    assert len(slow.asked) == (2 if failure else 1), "failures are not remembered"


def test_who_gave_up_waiting_leaves_the_question_to_the_next(slow: Slow, resolver: Resolver) -> None:
    assert outcome(resolver, 0.01) == "dial_timeout"
    later = gevent.spawn(outcome, resolver)
    gevent.sleep(0)
    slow.may_answer.set()
    later.join()
    assert later.value == [Address(socket.AF_INET, ("127.0.0.1", 80))]
    assert slow.asked == ["a.test"]
