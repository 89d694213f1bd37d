"""Names that are slow to resolve hold up nobody else."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import pytest

from tests.playbook import Clock
from workers.errors import ProxyError
from workers.timers import NEVER
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
    """ADV-F: a thread for each of them would starve every other name."""
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


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("10.1.2.3", ("10.1.2.3", 80)),
        ("::1", ("::1", 80, 0, 0)),
        ("::ffff:1.2.3.4", ("::ffff:1.2.3.4", 80, 0, 0)),
        ("fe80::1%lo", ("fe80::1", 80, 0, socket.if_nametoindex("lo"))),
        ("10.1", ("10.0.0.1", 80)),
        ("010.1.1.1", ("8.1.1.1", 80)),
        ("1.2.3.4.5", None),
        ("::1%nope", None),
        ("::g", None),
        ("a.test", None),
    ],
)
def test_numeric_addresses_are_read_as_the_system_reads_them(host: str, name: tuple[object, ...] | None) -> None:
    found = dial.numeric_address(host, 80)
    assert (found.name if found is not None else None) == name
    if found is not None:
        assert found.family == (socket.AF_INET6 if ":" in host else socket.AF_INET)


def test_an_address_that_refuses_leaves_nothing_for_the_collector() -> None:
    clock = Clock()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = Address(socket.AF_INET, closed.getsockname())
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        refused = [_is_refused([address, address], clock) for _ in range(3)]
        gc.collect()
        kept = [one for one in gc.garbage if isinstance(one, ProxyError)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        clock.wheel.close()
    assert refused == [True] * 3
    assert not kept


def _is_refused(addresses: list[Address], clock: Clock) -> bool:
    try:
        dial.connect(addresses, NEVER, clock.wheel)
    except ProxyError:
        return True
    return False
