"""The explanation of a mismatch agrees with the predicate, and names what the request has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import rules
from config.rules import And, Matcher, Not, Or, Tree
from tests.workers.routing.fakes import FakeRequest, request
from workers.routing import matchers, matchers_v2, mismatch
from workers.routing.mismatch import Mismatch, mismatches
from workers.routing.predicate import predicate_of

REQUEST = request("/x", "a.example")


def failed(rule: str, asked: FakeRequest = REQUEST, syntax: str = "v3") -> list[str]:
    return [one.matcher for one in mismatches(rules.parse(rule, syntax), syntax, asked)]


def test_the_first_part_of_a_conjunction_that_fails() -> None:
    assert failed("Host(`a.example`) && Path(`/y`) && Method(`PUT`)") == ["Path(`/y`)"]


def test_every_alternative_of_a_disjunction() -> None:
    assert failed("Path(`/y`) || (Host(`a.example`) && Method(`PUT`))") == ["Path(`/y`)", "Method(`PUT`)"]
    assert failed("Path(`/y`) || Path(`/x`)") == []


def test_negation_keeps_its_sign() -> None:
    assert failed("!Host(`a.example`)") == ["!Host(`a.example`)"]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("Host(`b`)", "the host is a.example"),
        ("PathPrefix(`/y`)", "the path is /x"),
        ("Method(`PUT`)", "the method is GET"),
        ("Header(`X-A`, `1`)", "there is no header X-A"),
        ("Query(`q`, `1`)", "there is no query parameter q"),
        ("ClientIP(`10.0.0.0/8`)", f"the client is {REQUEST.peer_ip}"),
    ],
)
def test_what_the_request_has_instead(rule: str, found: str) -> None:
    (one,) = mismatches(rules.parse(rule), "v3", REQUEST)
    assert one == Mismatch(rule, found)


def test_every_matcher_is_known() -> None:
    assert set(mismatch._LOOKS) == set(matchers.MATCHERS) | set(matchers_v2.MATCHERS)


LEAVES = st.sampled_from(
    [
        Matcher("Host", (b"a.example",)),
        Matcher("Path", (b"/x",)),
        Matcher("Path", (b"/y",)),
        Matcher("Method", (b"PUT",)),
    ]
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES | LEAVES.map(Not),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3)
        .map(tuple)
        .flatmap(lambda items: st.sampled_from([And(items), Or(items)]))
    ),
    max_leaves=8,
)


@given(TREES)
def test_no_mismatch_means_a_match(tree: Tree) -> None:
    assert predicate_of(tree)(REQUEST) is not bool(mismatches(tree, "v3", REQUEST))
