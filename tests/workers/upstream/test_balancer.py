"""Weighted round robin."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.upstream.balancer import WeightedRoundRobin


def picks(balancer: WeightedRoundRobin[str], count: int) -> Counter[str | None]:
    return Counter(balancer.pick() for _ in range(count))


@pytest.mark.behaviour("DP-88")
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_weights_three_and_one(seed: int | None) -> None:
    rng = None if seed is None else Random(seed)
    balancer = WeightedRoundRobin([("A", 3), ("B", 1)], rng)
    assert picks(balancer, 4) == {"A": 3, "B": 1}
    assert picks(balancer, 4) == {"A": 3, "B": 1}


@pytest.mark.behaviour("DP-89")
def test_equal_servers_take_turns() -> None:
    balancer = WeightedRoundRobin([("A", 1), ("B", 1)])
    assert [balancer.pick() for _ in range(10)] == ["A", "B"] * 5


@pytest.mark.behaviour("DP-89")
def test_the_first_server_is_a_random_one() -> None:
    entries = [(name, 1) for name in "abcdef"]
    firsts = {WeightedRoundRobin(entries, Random(seed)).pick() for seed in range(100)}
    assert firsts == set("abcdef")
    assert entries == [(name, 1) for name in "abcdef"]


def test_entries_without_weight_are_left_out() -> None:
    balancer = WeightedRoundRobin([("A", 0), ("B", 1), ("C", -1)])
    assert len(balancer) == 1
    assert picks(balancer, 3) == {"B": 3}
    assert WeightedRoundRobin([("A", 0)]).pick() is None
    assert WeightedRoundRobin[str]([]).pick() is None


def test_unusable_entries_are_passed_over_and_come_back_in_turn() -> None:
    balancer = WeightedRoundRobin([("A", 3), ("B", 1), ("C", 1)])
    assert Counter(balancer.pick(lambda name: name != "A") for _ in range(10)) == {"B": 5, "C": 5}
    # A lost its turns: it does not get them all at once now.
    assert picks(balancer, 5) == {"A": 3, "B": 1, "C": 1}


def test_nothing_usable_is_none_however_uneven_the_weights() -> None:
    balancer = WeightedRoundRobin([("A", 10**9), ("B", 1)])
    assert balancer.pick(lambda name: False) is None
    assert balancer.pick(lambda name: name == "B") == "B"
    assert picks(balancer, 10) == {"A": 10}
    one = WeightedRoundRobin([("A", 1)])
    assert one.pick(lambda name: False) is None
    assert one.pick(lambda name: True) == "A"


def test_a_failing_question_loses_no_entry() -> None:
    balancer = WeightedRoundRobin([("A", 1), ("B", 1), ("C", 1)])

    def broken(name: str) -> bool:
        if name == "C":
            raise LookupError
        return False

    with pytest.raises(LookupError):
        balancer.pick(broken)
    assert picks(balancer, 3) == {"A": 1, "B": 1, "C": 1}


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_each_full_round_gives_every_entry_its_weight(weights: list[int]) -> None:
    balancer = WeightedRoundRobin([(str(place), weight) for place, weight in enumerate(weights)])
    counted = picks(balancer, sum(weights) * 3)
    for place, weight in enumerate(weights):
        # Sums of 1/weight are not exact, so a deadline that equals another may fall just beyond it.
        assert abs(counted[str(place)] - weight * 3) <= 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.lists(st.sets(st.integers(0, 7)), max_size=40))
def test_a_pick_is_usable_or_nothing_is(weights: list[int], downs: list[set[int]]) -> None:
    balancer = WeightedRoundRobin(list(enumerate(weights)))
    for down in downs:
        choice = balancer.pick(lambda entry, down=down: entry not in down)  # type: ignore[misc]
        assert (choice is None) == (set(range(len(weights))) <= down)
        assert choice not in down
    assert len(balancer) == len(weights)
