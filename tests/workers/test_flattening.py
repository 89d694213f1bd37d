"""CNAME flattening: chains, what is remembered for how long, and the bounds that clients cannot pass."""

from __future__ import annotations

import logging

import gevent
import pytest
from gevent.event import Event

from config.static import HostResolver
from workers import flattening
from workers.dns import Alias, DNSError
from workers.flattening import Flattener, flattener_for

LOG = logging.getLogger("tests.flattening")


class Names:
    """A DNS of a test's own. `now` is the time, in seconds."""

    def __init__(self, aliases: dict[bytes, tuple[bytes, int]], depth: int = 5) -> None:
        self.aliases = aliases
        self.asked: list[bytes] = []
        self.now = 1000.0
        self.broken = False
        self.gate = Event()
        self.gate.set()
        self.flattener = Flattener(depth, self.alias_of, LOG, lambda: self.now)

    def alias_of(self, name: bytes) -> Alias | None:
        self.asked.append(name)
        self.gate.wait()
        if self.broken:
            raise DNSError("broken")
        found = self.aliases.get(name)
        return Alias(*found) if found else None

    def flat(self, host: bytes) -> bytes:
        return self.flattener.flat(host)


CHAIN = {b"a": (b"b", 60), b"b": (b"c", 30), b"c": (b"d", 90)}


@pytest.mark.parametrize(("depth", "end"), [(-1, b"a"), (0, b"a"), (1, b"b"), (2, b"c"), (3, b"d"), (9, b"d")])
def test_a_chain_is_followed_so_far(depth: int, end: bytes) -> None:
    assert Names(CHAIN, depth).flat(b"a") == end


def test_a_circle_ends() -> None:
    names = Names({b"a": (b"b", 1), b"b": (b"a", 1)})
    assert names.flat(b"a") in (b"a", b"b")
    assert len(names.asked) == 5


def test_answers_are_kept_as_long_as_all_of_them_hold() -> None:
    names = Names(CHAIN)
    assert [names.flat(b"a"), names.flat(b"a")] == [b"d", b"d"]
    assert len(names.asked) == 4
    names.now += 29
    assert names.flat(b"a") == b"d"
    assert len(names.asked) == 4
    names.now += 2
    assert names.flat(b"a") == b"d"
    assert len(names.asked) == 8


def test_a_later_alias_that_holds_longer_prolongs_nothing() -> None:
    names = Names({b"a": (b"b", 3600), b"b": (b"c", 80000)}, depth=2)
    names.flat(b"a")
    names.now += 3601
    names.flat(b"a")
    assert names.asked.count(b"a") == 2


@pytest.mark.parametrize(("ttl", "kept"), [(0, 1.0), (60, 60.0), (10**9, 86400.0)])
def test_neither_too_short_nor_too_long(ttl: int, kept: float) -> None:
    names = Names({b"a": (b"b", ttl)}, depth=1)
    names.flat(b"a")
    for later, count in ((kept - 0.5, 1), (kept + 0.5, 2)):
        names.now = 1000.0 + later
        names.flat(b"a")
        assert names.asked.count(b"a") == count


def test_that_there_is_none_is_remembered_too() -> None:
    names = Names({})
    assert names.flat(b"a") == b"a"
    names.now += 1799
    assert names.flat(b"a") == b"a"
    assert names.asked == [b"a"]
    names.now += 2
    names.flat(b"a")
    assert len(names.asked) == 2


def test_a_failure_is_not_believed_for_long(caplog: pytest.LogCaptureFixture) -> None:
    names = Names(CHAIN)
    names.broken = True
    assert [names.flat(b"a"), names.flat(b"a"), names.flat(b"b")] == [b"a", b"a", b"b"]
    assert names.asked == [b"a", b"b"]
    assert caplog.text.count("CNAME flattening: ") == 1
    names.broken = False
    names.now += 6
    assert names.flat(b"a") == b"d"


@pytest.mark.parametrize("host", [b"", b"10.0.0.1", b"::1", b"fe80::1%eth0"])
def test_what_is_not_asked_for(host: bytes) -> None:
    names = Names({})
    assert names.flat(host) == host
    assert names.asked == []


def test_a_dot_at_the_end_is_not_asked_with() -> None:
    names = Names(CHAIN)
    assert names.flat(b"a.") == b"d"
    assert names.flat(b"x.") == b"x."
    assert names.asked[0] == b"a"


def test_one_question_for_all_who_wait() -> None:
    names = Names(CHAIN, depth=1)
    names.gate.clear()
    waiting = [gevent.spawn(names.flat, b"a") for _ in range(5)]
    gevent.sleep(0)
    names.gate.set()
    gevent.joinall(waiting, timeout=5)
    assert [one.value for one in waiting] == [b"b"] * 5
    assert names.asked == [b"a"]


def test_so_many_questions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "MOST_ASKED", 2)
    names = Names(CHAIN, depth=1)
    names.gate.clear()
    waiting = [gevent.spawn(names.flat, host) for host in (b"b", b"c")]
    gevent.sleep(0)
    assert names.flat(b"a") == b"a"
    names.gate.set()
    gevent.joinall(waiting, timeout=5)
    assert [one.value for one in waiting] == [b"c", b"d"]
    assert names.flat(b"a") == b"b"


def test_while_others_ask_too_much_what_was_known_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a flood of invented hosts takes the alias away from those that everybody uses."""
    monkeypatch.setattr(flattening, "MOST_ASKED", 2)
    names = Names(CHAIN, depth=1)
    assert names.flat(b"a") == b"b"
    names.now += 61
    names.gate.clear()
    waiting = [gevent.spawn(names.flat, host) for host in (b"1.x", b"2.x")]
    gevent.sleep(0)
    assert names.flat(b"a") == b"b"
    names.gate.set()
    gevent.joinall(waiting, timeout=5)


def test_so_much_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "PATIENCE_SECONDS", 0.05)
    names = Names(CHAIN)
    names.gate.clear()
    assert names.flat(b"a") == b"a"
    names.gate.set()
    gevent.sleep(0)
    assert names.flat(b"a") != b"a"


def test_so_many_are_remembered_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "MOST_REMEMBERED", 3)
    names = Names({b"a": (b"b", 600)}, depth=1)
    for host in (b"a", b"1.x", b"2.x", b"a", b"3.x", b"4.x", b"a"):
        names.flat(host)
    assert names.asked.count(b"a") == 1
    names.flat(b"1.x")
    assert names.asked.count(b"1.x") == 2


def test_only_where_it_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    assert flattener_for(None, LOG) is None
    assert flattener_for(HostResolver(), LOG) is None
    assert flattener_for(HostResolver(cname_flattening=True, resolv_config="/nowhere"), LOG) is not None
    assert "invalid resolver configuration file: /nowhere" in caplog.text
