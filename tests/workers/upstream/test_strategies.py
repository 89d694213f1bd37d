"""Who is chosen: shares by weight, in-flight counts, response times, and a ranking for every client."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.fakes import FakeExchange
from workers.upstream.candidate import SAMPLES, Candidate
from workers.upstream.strategies import (
    STRATEGIES,
    HighestRandomWeight,
    LeastTime,
    PowerOfTwoChoices,
    Rendezvous,
    RoundRobin,
    fnv1a,
)

EXCHANGE = FakeExchange()


def candidates(*weights: int) -> list[Candidate]:
    return [Candidate(f"http://10.0.0.{place + 1}:80", weight) for place, weight in enumerate(weights)]


def from_peer(address: str) -> FakeExchange:
    exchange = FakeExchange()
    exchange.request.client = type("Peer", (), {"ip": address})()
    return exchange


@pytest.mark.behaviour("DP-88")
def test_round_robin_by_weight() -> None:
    first, second = candidates(3, 1)
    strategy = RoundRobin([first, second])
    picked = Counter(strategy.pick(EXCHANGE) for _ in range(8))
    assert picked == {first: 6, second: 2}


@pytest.mark.behaviour("DP-89")
def test_two_servers_share_evenly() -> None:
    both = candidates(1, 1)
    strategy = RoundRobin(both)
    assert Counter(strategy.pick(EXCHANGE) for _ in range(10)) == {both[0]: 5, both[1]: 5}


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "hrw"])
def test_servers_that_are_down_get_nothing(name: str) -> None:
    several = candidates(1, 2, 3)
    strategy = STRATEGIES[name](several)
    several[0].is_up = several[2].is_up = False
    assert {strategy.pick(EXCHANGE) for _ in range(10)} == {several[1]}
    several[1].is_up = False
    assert strategy.pick(EXCHANGE) is None
    several[0].is_up = True
    assert strategy.pick(EXCHANGE) is several[0]


def test_nobody_to_choose() -> None:
    for name, make in STRATEGIES.items():
        assert make([]).pick(from_peer("10.9.9.9")) is None, name


@pytest.mark.parametrize("name", ["wrr", "leasttime", "hrw"])
def test_without_weight_nothing_is_chosen(name: str) -> None:
    assert STRATEGIES[name](candidates(0, -1)).pick(from_peer("10.9.9.9")) is None


def test_power_of_two_takes_the_less_busy_whatever_the_weights() -> None:
    busy, idle = candidates(100, 0)
    busy.in_flight = 3
    strategy = PowerOfTwoChoices([busy, idle])
    assert {strategy.pick(EXCHANGE) for _ in range(20)} == {idle}


def test_power_of_two_looks_at_all() -> None:
    several = candidates(1, 1, 1, 1)
    strategy = PowerOfTwoChoices(several)
    assert {strategy.pick(EXCHANGE) for _ in range(300)} == set(several)


def test_least_time_prefers_the_quick_one_and_new_ones() -> None:
    slow, quick, new = candidates(1, 1, 1)
    slow.answered_in(0.5)
    quick.answered_in(0.1)
    strategy = LeastTime([slow, quick, new])
    assert strategy.pick(EXCHANGE) is new
    new.answered_in(0.3)
    assert strategy.pick(EXCHANGE) is quick
    quick.in_flight = 9
    assert strategy.pick(EXCHANGE) is new
    slow.weight = 100
    assert strategy.pick(EXCHANGE) is slow


def test_least_time_takes_turns_among_equals() -> None:
    both = candidates(1, 1)
    strategy = LeastTime(both)
    assert Counter(strategy.pick(EXCHANGE) for _ in range(10)) == {both[0]: 5, both[1]: 5}


def test_only_the_latest_answers_count() -> None:
    (one,) = candidates(1)
    for _ in range(SAMPLES):
        one.answered_in(9.0)
    for _ in range(SAMPLES):
        one.answered_in(1.0)
    assert one.mean_seconds == pytest.approx(1.0)


@pytest.mark.behaviour("DP-102")
def test_a_client_address_keeps_its_server() -> None:
    several = candidates(1, 1, 1)
    strategies = [HighestRandomWeight(several), HighestRandomWeight(list(reversed(several)))]
    for number in range(50):
        exchange = from_peer(f"10.1.2.{number}")
        assert len({strategy.pick(exchange) for strategy in strategies for _ in range(3)}) == 1


def test_shares_of_addresses_follow_the_weights() -> None:
    strategy = HighestRandomWeight(candidates(3, 1))
    picked = Counter(strategy.pick(from_peer(f"10.{n % 7}.{n // 250}.{n % 250}")) for n in range(2000))
    heavy, light = sorted(picked.values(), reverse=True)
    assert 2.4 < heavy / light < 3.8


def test_a_server_that_goes_moves_only_its_own_clients() -> None:
    several = candidates(1, 1, 1)
    strategy = HighestRandomWeight(several)
    clients = [from_peer(f"10.3.{n // 200}.{n % 200}") for n in range(300)]
    before = [strategy.pick(one) for one in clients]
    several[0].is_up = False
    after = [strategy.pick(one) for one in clients]
    assert all(new is old or old is several[0] for old, new in zip(before, after, strict=True))
    several[0].is_up = True
    assert [strategy.pick(one) for one in clients] == before


@given(st.lists(st.integers(-1, 5), max_size=6), st.text(max_size=20))
def test_a_ranking_never_fails(weights: list[int], key: str) -> None:
    ranked = Rendezvous([(place, f"http://h{place}", weight) for place, weight in enumerate(weights)])
    picked = ranked.pick(key)
    assert picked is None if all(weight <= 0 for weight in weights) else weights[picked or 0] > 0


def test_the_hash() -> None:
    assert fnv1a(b"") == 0xCBF29CE484222325
    assert fnv1a(b"b", fnv1a(b"a")) == fnv1a(b"ab")
