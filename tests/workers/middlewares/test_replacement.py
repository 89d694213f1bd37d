"""Templates and replace-all, as Go's regexp package has them."""

from __future__ import annotations

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.building import BuildError
from workers.middlewares.replacement import Replacement


@pytest.mark.parametrize(
    ("pattern", "template", "text", "expected"),
    [
        (".*", "/x", b"/abc", b"/x"),
        ("a*", "X", b"aabaac", b"XbXcX"),
        ("a*", "X", b"bb", b"XbXbX"),
        ("", "-", b"ab", b"-a-b-"),
        ("", "-", "é".encode(), "-é-".encode()),
        ("^", "-", b"aaa", b"-aaa"),
        ("^a", "-", b"aaa", b"-aa"),
        ("$", "-", b"a\n", b"a\n-"),
        (r"\b", "|", b"ab cd", b"|ab| |cd|"),
        ("(a)(b)?", "[$1$2$3]", b"aab", b"[a][ab]"),
        ("(a)", "$1x$1", b"a", b"a"),
        ("(a)", "${1}x$$$1", b"a", b"ax$a"),
        ("(?P<one>a)(?<two>b)", "$two${one}$three", b"ab", b"ba"),
        ("a", "$ ${ $} ${a-b} $", b"a", b"$ ${ $} ${a-b} $"),
        ("(a)", "$01-$10-$100000000-$0", b"a", b"---a"),
        ("(a)", "$é1x", b"a", b""),
        ("a", "é", b"a", "é".encode()),
        ("(?i)A", "b", b"aA", b"bb"),
        ("(a)(b)?", "%b%%$1%$2", b"ab", b"%b%%a%b"),
        ("(a)", "\0%s$1\0", b"ab", b"\0%sa\0b"),
    ],
)
def test_as_in_go(pattern: str, template: str, text: bytes, expected: bytes) -> None:
    assert Replacement(pattern, template)(text) == expected


def test_no_match() -> None:
    assert Replacement("b", "c")(b"aaa") is None


def test_broken_bytes_are_seen_as_one_character_each() -> None:
    assert Replacement("^.(.)", "$1")(b"\xff\xfea") == "\ufffda".encode()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing closing ): `(`"),
        ("[a", "missing closing ]: `[a`"),
        ("(?=x)", "invalid or unsupported Perl syntax: `(?=`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2000}", "invalid repeat count: `{2000}`"),
    ],
)
def test_errors_in_the_words_of_the_original(pattern: str, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        Replacement(pattern, "", "here: ")
    assert str(caught.value) == f"here: error parsing regexp: {message}"


@given(st.text("ab/é", max_size=12), st.sampled_from(["a", "a*", "", "b|a*", "(a|b)+", ".", "é?"]))
def test_each_match_by_itself_leaves_the_text(text: str, pattern: str) -> None:
    assert Replacement(pattern, "$0")(text.encode()) in (text.encode(), None)


@given(
    st.sampled_from(["^(.*)", "^a(.*)", r"^a\./(.*)$", r"^http:\/\/a-b_(.*)", "^/é(.*)", "^a.(.*)"]),
    st.text("a./-_é\n", max_size=8) | st.text("a./\n", max_size=4).map("http://a-b_".__add__),
    st.sampled_from(["$1", "x$1y", "$0", "-"]),
)
def test_a_prefix_and_the_rest(pattern: str, text: str, template: str) -> None:
    """The group that is never set changes nothing but the way to the answer."""
    subject = text.encode()
    assert Replacement(pattern, template)(subject) == Replacement(f"{pattern}|(never^)", template)(subject)


def test_many_matches_let_others_have_their_turn() -> None:
    turns: list[int] = []
    other = gevent.spawn(lambda: [turns.append(turn) or gevent.sleep(0) for turn in range(20)])  # type: ignore[func-returns-value]
    assert Replacement("a", "b")(b"a" * 5000) == b"b" * 5000
    assert 5 <= len(turns) < 20
    other.kill()
