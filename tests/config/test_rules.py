"""Rule text -> tree: the grammar, its spellings, its errors and its limits."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.rules import (
    DEEPEST_NESTING,
    LONGEST_RULE,
    And,
    Matcher,
    Not,
    Or,
    RuleError,
    hosts_of,
    matchers_of,
    parse,
)

A, B, C = (Matcher("Host", (name,)) for name in (b"a", b"b", b"c"))


@pytest.mark.parametrize(
    ("rule", "tree"),
    [
        ("Host(`a`)", A),
        ("Host(`a`) && Host(`b`)", And((A, B))),
        ("Host(`a`) || Host(`b`) && Host(`c`)", Or((A, And((B, C))))),
        ("(Host(`a`) || Host(`b`)) && Host(`c`)", And((Or((A, B)), C))),
        ("Host(`a`) && (Host(`b`) && Host(`c`))", And((A, B, C))),
        ("!Host(`a`)", Not(A)),
        ("!!Host(`a`)", A),
        ("!Host(`a`) && Host(`b`)", And((Not(A), B))),
        ("!(!Host(`a`) && (Host(`b`) || !Host(`c`)))", Or((A, And((Not(B), C))))),
    ],
)
def test_operators_bind_as_in_go_and_negation_moves_down_to_the_matchers(rule: str, tree: object) -> None:
    assert parse(rule) == tree


@pytest.mark.parametrize(
    "rule",
    [
        'Host("a")',
        "host(`a`)",
        "HOST(`a`)",
        "Host (`a`)",
        "Host( `a` )",
        "((Host(`a`)))",
        "Host(`a`,)",
        "Host(`a`...)",
        "Host(`a`... , )",
        "Host(`a`,\n)",
        "Host(\n`a`)",
        "(\nHost(`a`))",
        "\n\n Host(`a`)\n\t\n",
        "Host(`a`)\r\n",
        "/* x */ Host(`a`) // y",
        "Host(/* x */`a`/* * / */)",
        "Host(`a`) /* x\n */",
        "Host(`a`) // y\n/* z */",
        'Host("\\x61")',
        'Host("\\141")',
        'Host("\\u0061")',
        'Host("\\U00000061")',
        "Host(`\ra`)",
        "\ufeffHost(`a`)",
    ],
)
def test_many_ways_to_write_one_matcher(rule: str) -> None:
    assert parse(rule) == A


@pytest.mark.parametrize("gap", ["\n", " // x\n ", "/* x\ny */", "\r\n\t"])
@pytest.mark.parametrize("operator", ["&&", "||"])
def test_lines_break_behind_operators(gap: str, operator: str) -> None:
    assert parse(f"Host(`a`) {operator}{gap}!{gap}Host(`b`)") == parse(f"Host(`a`) {operator} !Host(`b`)")


def test_values_are_the_bytes_of_the_text_with_escapes_resolved() -> None:
    assert parse("Path(`/é\\n`)") == Matcher("Path", ("/é\\n".encode(),))
    assert parse(r'Path("/é\"\\\a\b\f\n\r\t\v\xff\u00e9\101x")') == Matcher(
        "Path", (b'/\xc3\xa9"\\\a\b\f\n\r\t\v\xff\xc3\xa9Ax',)
    )


REFUSED = [
    ("", 1, "ends too early"),
    ("   ", 4, "ends too early"),
    ("Host", 5, "ends too early"),
    ("Host(`a`", 9, "ends too early"),
    ("Host(`a`) &&", 13, "ends too early"),
    ("(Host(`a`)", 11, "ends too early"),
    ("Host('a')", 6, "single quotes"),
    ("Host(a)", 6, "needs quotes"),
    ("Host(1)", 6, "needs quotes"),
    ("Host()", 1, "needs a value"),
    ("Host(``)", 1, "empty value"),
    ('Host("")', 1, "empty value"),
    ("Host(,)", 6, "missing before"),
    ("Host(`a`,,)", 10, "missing before"),
    ("Host(`a`))", 10, "missing before"),
    ("Host(`a` `b`)", 10, "a value stands here"),
    ("Host(`a`,`b`)", 1, "takes one value, got 2"),
    ("Host(`a`) && Header(`k`)", 14, "takes 2 values, got 1"),
    ("Query(`a`,`b`,`c`)", 1, "takes 1 to 2 values, got 3"),
    ("Host(`a`\n)", 9, "a line may break only"),
    ("Host(`a`)\n&& Host(`b`)", 11, "a line may break only"),
    ("(Host(`a`)\n)", 11, "a line may break only"),
    ("Host\n(`a`)", 5, "a line may break only"),
    ("Host(`a`) // &&\n Host(`b`)", 18, "needs quotes"),
    ("Host(`a`) /*", 11, "comment has no end"),
    ("Host(`a`);", 10, "not allowed here"),
    ("Host(`a`) & Host(`b`)", 11, "both signs"),
    ("Host(`a`) and Host(`b`)", 11, "in place of words"),
    ("-Host(`a`)", 1, "not allowed here"),
    ("Host(`a", 6, "closing quote"),
    ('Host("a\n")', 6, "closing quote"),
    ("`a`", 1, "a value stands here"),
    ('Host("\\q")', 7, "no escape"),
    ('Host("a\\\'")', 8, "no escape"),
    ('Host("\\400")', 7, "no escape"),
    ('Host("\\14")', 7, "no escape"),
    ('Host("\\ud800")', 7, "no escape"),
    ('Host("\\U00110000")', 7, "no escape"),
    ("Foo(`a`)", 1, "there is no matcher Foo"),
    ("hOST(`a`)", 1, "not a way to write Host"),
    ("HostHeader(`a`)", 1, "belongs to the v2 syntax"),
    ("x.Host(`a`)", 2, "not allowed here"),
    ("Host(`a`) && Path(`x`)", 14, "must start with a /"),
    ("Host(`é`)", 1, "xn--"),
    ("PathRegexp(`(`)", 1, "not a regular expression"),
    ("ClientIP(`10.0.0.01`)", 1, "neither an IP address nor a network"),
    ("Path(`/\0`)", 8, "U+0000"),
    ("Path(`/\ufeff`)", 8, "U+FEFF"),
    ("Path(`/\ud800`)", 8, "U+D800"),
]


@pytest.mark.parametrize(("rule", "column", "message"), REFUSED)
def test_errors_say_where_and_what_to_change(rule: str, column: int, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(rule)
    assert message in caught.value.message
    assert caught.value.column == column
    assert str(caught.value) == f"{caught.value.message} (column {column})"


@pytest.mark.behaviour("DP-46")
@pytest.mark.parametrize("rule", ["Host(`a`,`b`)", "Host('a')", 'Host("")', "Foo(`a`)", "Path(`x`)"])
def test_each_wrong_rule_is_refused(rule: str) -> None:
    with pytest.raises(RuleError):
        parse(rule)


@pytest.mark.behaviour("DP-47")
def test_matcher_names_may_be_all_upper_or_all_lower() -> None:
    assert parse('HOST("a") && pathprefix("/x")') == And((A, Matcher("PathPrefix", (b"/x",))))


def test_v2_has_its_own_matchers_and_counts() -> None:
    tree = parse("Host(`a`,`b`) && Headers(`k`,`v`,`l`,`w`)", "v2")
    assert tree == And((Matcher("Host", (b"a", b"b")), Matcher("Headers", (b"k", b"v", b"l", b"w"))))
    for rule in ("Header(`k`,`v`)", "Headers(`k`)", "Host(``)", "Query(`a`)", "Path(`/{x`)", "HostRegexp(`{}`)"):
        with pytest.raises(RuleError):
            parse(rule, "v2")


def test_any_syntax_but_v2_is_v3() -> None:
    assert parse("Header(`k`,`v`)", "v4") == parse("Header(`k`,`v`)", "") == parse("Header(`k`,`v`)")


def test_hosts_are_gathered_lower_case_and_negated_ones_too() -> None:
    assert hosts_of(parse("Host(`B.com`) || !(Host(`a.com`) && Path(`/`)) || Host(`b.com`)")) == ("b.com", "a.com")
    assert hosts_of(parse("HostHeader(`a`,`b`) && HostRegexp(`c`)", "v2")) == ("a", "b")
    assert [matcher.name for matcher in matchers_of(parse("!Host(`a`) || Path(`/`)"))] == ["Host", "Path"]


@pytest.mark.parametrize(
    "rule",
    [
        "(" * 30_000 + "Host(`a`)" + ")" * 30_000,
        "!" * 65_000 + "Host(`a`)",
        "!(" * 20_000 + "Host(`a`)" + ")" * 20_000,
        " && ".join(["Host(`a`)"] * 5_000),
        "Host(`a`)&&!(" * 4_000 + "Host(`a`)" + ")" * 4_000,
        "Host(`a`)&&(" * 5_000 + "Host(`a`)" + ")" * 5_000,
        "(" * 65_000,
        "!" * 65_000,
        "/*" * 30_000,
        "Host(`a`)" + "/*\n*/" * 10_000 + "x",
        "Host(`a`" + "," * 60_000,
        'Host("' + "\\" * 60_000,
        "PathRegexp(`" + "(" * 30_000 + ")" * 30_000 + "`)",
        "PathRegexp(`" + "(a{1000}){1000}" + "`)",
        "Path(`/" + "{" * 60_000 + "`)",
    ],
)
@pytest.mark.parametrize("syntax", ["v2", "v3"])
def test_large_rules_are_read_or_refused_in_time(rule: str, syntax: str) -> None:
    began = time.process_time()
    with suppress(RuleError):
        parse(rule, syntax)
    assert time.process_time() - began < 2


def test_limits_are_named() -> None:
    with pytest.raises(RuleError, match="more than 65536"):
        parse("Host(`" + "a" * LONGEST_RULE + "`)")
    nested = "Host(`a`)"
    for level in range(DEEPEST_NESTING):
        nested = f"Host(`a`) {'&&' if level % 2 else '||'} ({nested})"
    parse(nested)
    with pytest.raises(RuleError, match="nested too deeply"):
        parse(f"Host(`a`) && (Host(`a`) || ({nested}))")


PIECES = st.sampled_from(
    [
        *("Host", "Path(", "PathPrefix", "Header", "Query", "ClientIP", "host(", "Host(`a`)", "Path(`/`)"),
        *("(", ")", ",", "&&", "||", "!", "&", "|", "...", "\n", "\r", "//", "/*", "*/", "\0", "\ufeff"),
        *("`", '"', "'", "\\", "\\x4", "{a}", "`a`", "`/`", '"/"', "10.0.0.0/8", "é", "{", "}", "=", "["),
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=15).map(" ".join)), st.sampled_from(["v2", "v3"]))
@settings(max_examples=300)
def test_any_text_gives_a_tree_or_a_rule_error(rule: str, syntax: str) -> None:
    with suppress(RuleError):
        assert all(matcher.args and all(matcher.args) for matcher in matchers_of(parse(rule, syntax)))


@given(st.lists(PIECES, max_size=6).map(" ".join))
def test_the_column_of_an_error_is_a_place_in_the_rule(rule: str) -> None:
    wrong = f"Host(`a`) Host({rule}"
    with pytest.raises(RuleError) as caught:
        parse(wrong)
    assert 1 <= caught.value.column <= len(wrong) + 1


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and "\ufeff" not in text))
def test_quoting_any_value_gives_it_back(value: str) -> None:
    quoted = "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}" for char in value)
    if not any("\ud800" <= char <= "\udfff" for char in value):
        assert parse(f'Method("{quoted}")') == Matcher("Method", (value.encode(),))


def test_ten_thousand_rules_are_read_within_seconds() -> None:
    began = time.process_time()
    for number in range(1_000):
        parse(f"Host(`host{number}.example.com`) && (PathPrefix(`/api`) || Path(`/x`)) && !Method(`GET`)")
    assert time.process_time() - began < 1  # measured: 0.1
