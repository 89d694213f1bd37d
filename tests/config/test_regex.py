"""Go's regular expressions through RE2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.regex import Expression, RegexError, check, compile_search, repaired


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", b"abc", True),
        ("^b", b"abc", False),
        (r"\.php$", b"/x.php", True),
        (r"\.php$", b"/x.php\n", False),
        ("^a.c$", b"a\nc", False),
        ("(?s)^a.c$", b"a\nc", True),
        ("(?i)k", "\u212a".encode(), True),
        ("^.$", "é".encode(), True),
        ("^.$", b"\xff", True),
        ("^..$", b"\xe2\x82", True),
        ("^[^a]$", b"\xff", True),
        (r"\x{FFFD}", b"\xff", True),
        (r"^\w$", "é".encode(), False),
        (r"^\pL$", "é".encode(), True),
        ("[[:alpha:]]", b"1a", True),
        (r"\Qa.b\E", b"a.b", True),
        ("(?P<n>a)(?<m>b)", b"ab", True),
        ("", b"", True),
        ("^$", b"", True),
    ],
)
def test_search_has_gos_meaning(pattern: str, text: bytes, found: bool) -> None:
    assert compile_search(pattern.encode())(text) is found


def test_case_can_be_ignored_from_outside() -> None:
    assert compile_search(b"^abc$", ignore_case=True)(b"aBC")
    assert not compile_search(b"^abc$")(b"aBC")


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "(?=x)",
        r"(a)\1",
        "a**",
        "a{1001}",
        "(a{1000}){1000}",
        r"\Z",
        r"\C",
        r"[\C]",
        "[b-a]",
        r"\h",
        "(?x)a",
    ],
)
def test_what_go_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(RegexError):
        check(pattern.encode())


def test_a_quoted_single_byte_escape_is_text() -> None:
    assert compile_search(rb"\Q\C\E")(rb"\C")
    assert compile_search(rb"\\C")(rb"\C")


def test_patterns_are_utf8() -> None:
    with pytest.raises(RegexError):
        check(b"\xff")


def test_where_a_pattern_matches() -> None:
    expression = Expression(b"(?P<e>a)|(b)")
    assert (expression.groups, expression.group_numbers) == (2, {b"e": 1})
    assert expression.find(b"xb") == [(1, 2), (-1, -1), (1, 2)]
    assert expression.find(b"xba", 2) == [(2, 3), (2, 3), (-1, -1)]
    assert expression.find(b"xba", 3) is None
    assert Expression(b"^b").find(b"ab", 1) is None  # what is before the start is still seen
    with pytest.raises(RegexError):
        Expression(rb"\C")


def test_a_pattern_that_outgrows_the_usual_budget_still_works() -> None:
    assert compile_search(rb"^\pL{1000}$")("é".encode() * 1000)


def test_the_bound_method_below_the_public_interface_is_still_there() -> None:
    import re2

    spans = re2.compile(b"b")._regexp.Match(re2._Anchor.UNANCHORED, b"abc", 0, 3)
    assert spans[0] == (1, 2)
    assert re2.compile(b"x")._regexp.Match(re2._Anchor.UNANCHORED, b"abc", 0, 3)[0] == re2._NULL_SPAN


@given(st.binary())
def test_repairing_gives_utf8_and_leaves_utf8_alone(text: bytes) -> None:
    result = repaired(text)
    result.decode()
    assert repaired(result) == result
    if text.isascii():
        assert result == text
