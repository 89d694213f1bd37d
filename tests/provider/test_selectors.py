"""Label selectors: the grammar, and what matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.kube.selectors import SelectorError, parse_selector


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("app", {"app": ""}, True),
        ("app", {}, False),
        ("!app", {}, True),
        ("app=a", {"app": "a"}, True),
        ("app==a", {"app": "b"}, False),
        ("app!=a", {}, True),
        ("app!=a", {"app": "a"}, False),
        ("app in (a, b)", {"app": "b"}, True),
        ("app notin (a,b)", {"app": "b"}, False),
        ("app notin (a,b)", {}, True),
        ("app=", {"app": ""}, True),
        ("app=a, tier=b", {"app": "a", "tier": "b"}, True),
        ("app=a,tier=b", {"app": "a"}, False),
        (" example.com/x = a ", {"example.com/x": "a"}, True),
        ("in in (in)", {"in": "in"}, True),
    ],
)
def test_matching(text: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_selector(text).matches(labels) is expected


@pytest.mark.parametrize(
    "text",
    ["=", "app=a,", ",", "app in", "app in a", "app in (a", "app ! a", "-app", "app=-", "a b", "a/b/c=d", "()"],
)
def test_errors_quote_the_text(text: str) -> None:
    with pytest.raises(SelectorError, match="label selector"):
        parse_selector(text)


@given(st.text(alphabet="ab,!=() in", max_size=14))
def test_any_text_parses_or_gives_our_error(text: str) -> None:
    try:
        parse_selector(text).matches({"a": "b"})
    except SelectorError:
        return
