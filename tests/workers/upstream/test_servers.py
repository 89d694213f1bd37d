"""Servers that are exchanged again and again are made when somebody asks for them, and then as ever."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from config.http import LoadBalancer, Server, Service
from tests.workers.fakes import FakeExchange
from workers.building import BuildError
from workers.services import ServiceState
from workers.upstream.servers import Servers

A, B, C = (f"http://10.0.0.{number}:8080" for number in (1, 2, 3))
CONFIG = LoadBalancer(pass_host_header=True, strategy="wrr")


def listed(*urls: str, fenced: tuple[str, ...] = ()) -> list[Server]:
    return [Server(url=url, fenced=url in fenced) for url in urls]


def renewed(before: Servers, *urls: str, fenced: tuple[str, ...] = ()) -> Servers:
    return Servers.renewed("s", CONFIG, listed(*urls, fenced=fenced), before)


def is_made(servers: Servers) -> bool:
    return servers._recipe is None


@pytest.fixture
def first() -> Servers:
    return Servers("s", CONFIG, listed(A))


@pytest.mark.parametrize(
    "ask",
    [
        lambda servers: servers.pick(FakeExchange()).name == B,
        lambda servers: [one.name for one in servers.candidates] == [A, B],
        lambda servers: servers.is_up,
        lambda servers: servers.tracker is None,
    ],
)
def test_whoever_asks_first_makes_them(first: Servers, ask: Callable[[Servers], bool]) -> None:
    servers = renewed(first, A, B, fenced=(A,))
    assert not is_made(servers)
    assert ask(servers)
    assert is_made(servers)


def test_what_is_known_of_a_server_outlives_what_nobody_asked_for(first: Servers) -> None:
    (known,) = first.candidates
    between = renewed(first, A, B)
    last = renewed(between, C, A)
    assert not is_made(between)
    assert last.candidates[1] is known
    assert not is_made(between)
    assert renewed(last, A, C).candidates == last.candidates[::-1]


def test_a_long_row_of_changes_keeps_two_of_them(first: Servers) -> None:
    servers = first
    for _ in range(5):
        servers = renewed(servers, A, B)
        assert servers._recipe is not None
        assert servers._recipe.before is first


@pytest.mark.parametrize("url", ["ftp://10.0.0.1:80", "http://", "http://10.0.0.1:70000", "http://10..1:80"])
def test_what_might_fail_is_made_at_once(first: Servers, url: str) -> None:
    with pytest.raises(BuildError):
        renewed(first, A, url)


def test_a_name_is_no_obstacle(first: Servers) -> None:
    servers = renewed(first, "http://a.example:80")
    assert is_made(servers)
    assert servers.is_up


def test_there_is_nothing_else_to_ask_for(first: Servers) -> None:
    servers = renewed(first, B)
    with pytest.raises(AttributeError):
        _ = servers.nothing  # type: ignore[attr-defined]
    assert not is_made(servers)


@pytest.mark.parametrize("is_checked", [False, True])
def test_those_of_a_service_that_is_checked_are_made_before_they_are_exchanged(
    first: Servers, is_checked: bool
) -> None:
    state: Any = ServiceState("s", Service(load_balancer=CONFIG), listed(A))
    state.balanced = SimpleNamespace(balancer=first)
    state.monitor = SimpleNamespace(passive=None) if is_checked else None
    swap = state.swapped(listed(A, B))
    assert is_made(swap.fresh) is is_checked


def test_an_error_while_they_are_made_leaves_nothing_half_made(
    first: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = renewed(first, A, B)
    with monkeypatch.context() as patch:
        patch.setattr("workers.upstream.servers.STRATEGIES", {})
        for _ in range(2):
            with pytest.raises(KeyError):
                servers.pick(FakeExchange())
    assert servers.pick(FakeExchange()) in servers.candidates
    assert len(servers.candidates) == 2
