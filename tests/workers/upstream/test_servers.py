"""Servers that are exchanged again and again are made when somebody asks for them, and then as ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from config.http import LoadBalancer, Server
from tests.workers.fakes import FakeExchange
from workers.building import BuildError
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


@pytest.mark.parametrize("url", ["ftp://10.0.0.1:80", "http://", "http://10.0.0.1:70000"])
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
