"""A whole rule as one predicate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import And, Matcher, Not, Tree, parse
from tests.workers.routing.fakes import REQUESTS, RULES, RULES_V2, FakeRequest, request
from workers.routing import matchers, matchers_v2
from workers.routing.predicate import predicate_of


def matches(rule: str, seen: FakeRequest) -> bool:
    return predicate_of(parse(rule))(seen)


@pytest.mark.behaviour("DP-44")
def test_and_binds_tighter_than_or() -> None:
    rule = "Host(`a`) || Host(`b`) && Path(`/x`)"
    assert matches(rule, request("/y", host="a"))
    assert not matches(rule, request("/y", host="b"))
    assert matches(rule, request("/x", host="b"))


@pytest.mark.behaviour("DP-45")
def test_negated_group() -> None:
    rule = "!(Host(`a`) || Path(`/x`))"
    assert matches(rule, request("/y", host="b"))
    assert not matches(rule, request("/y", host="a"))
    assert not matches(rule, request("/x", host="b"))


def test_host_and_path_together_and_with_more() -> None:
    for rule in (
        "Host(`a`) && PathPrefix(`/x`)",
        "Path(`/x`) && Host(`a`)",
        "Path(`/x`) && Host(`a`) && Method(`GET`)",
    ):
        assert matches(rule, request("/x", host="a."))
        assert not matches(rule, request("/x", host="b"))
        assert not matches(rule, request("/y", host="a"))
    assert not matches("Path(`/x`) && Host(`a`) && Method(`GET`)", request("/x", host="a", method="PUT"))


def plainly(tree: Tree, syntax: str, seen: FakeRequest) -> bool:
    """The meaning of a tree, spelled out."""
    if isinstance(tree, Matcher):
        table = matchers_v2.MATCHERS if syntax == "v2" else matchers.MATCHERS
        return table[tree.name](tree.args)(seen)
    if isinstance(tree, Not):
        return not plainly(tree.item, syntax, seen)
    answers = [plainly(item, syntax, seen) for item in tree.items]
    return all(answers) if isinstance(tree, And) else any(answers)


@given(st.one_of(RULES, RULES_V2), REQUESTS)
def test_the_predicate_says_what_the_tree_says(rule: tuple[str, str], seen: FakeRequest) -> None:
    syntax, text = rule
    tree = parse(text, syntax)
    assert predicate_of(tree, syntax)(seen) is plainly(tree, syntax, seen)
