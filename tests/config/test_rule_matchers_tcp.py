"""Matchers of TCP rules: what the original takes is taken, what it refuses is refused."""

from __future__ import annotations

import pytest

from config.rule_matchers_tcp import TCP, V2, V3
from config.rules import And, Matcher, Not, RuleError, parse, server_names_of

TAKEN_V3 = [
    "HostSNI(`*`)",
    "HostSNI(`a.example`)",
    "HostSNI(`*.a.example`)",
    "HostSNI(`a.example.`)",
    "HostSNI(`A.Example:443`)",
    "HostSNI(`::1`)",
    "HostSNI(`a_b`)",
    "HostSNI(`xn--e1`)",
    "hostsni(`*`)",
    "HOSTSNI(`*`)",
    "Hostsni(`*`)",
    "HostSNIRegexp(`^a`)",
    "ClientIP(`10.0.0.0/8`)",
    "ALPN(`h2`)",
    "ALPN(`ACME-TLS/1`)",
    "Alpn(`h2`)",
    "!HostSNI(`a`)",
    "HostSNI(`a`) && ClientIP(`10.0.0.1`) || ALPN(`h2`)",
    'HostSNI("a")',
]
REFUSED_V3 = [
    "HostSNI(`*.*.a`)",
    "HostSNI(`a*.example`)",
    "HostSNI(`é.example`)",
    "HostSNI(`a.example`,`b`)",
    "HostSNI()",
    "HostSNI(``)",
    "HostSNI(`a b`)",
    "HostSNI(`[::1]`)",
    "HostSNI(`*.`)",
    "HostSNI(`**`)",
    "hostSNI(`*`)",
    "HostSNIRegexp(`(`)",
    "HostSNIRegexp(`é`)",
    "HostSNIRegexp(``)",
    "HostSNIRegexp(`a`,`b`)",
    "ClientIP(`10.0.0.0`,`1.1.1.1`)",
    "ClientIP(`x`)",
    "ALPN(`acme-tls/1`)",
    "ALPN(`h2`,`http/1.1`)",
    "ALPN(``)",
    "Host(`a`)",
    "Path(`/`)",
    "HostSNI(`a`) ||",
]
TAKEN_V2 = [
    "HostSNI(`*`)",
    "HostSNI(`a.example`,`*`)",
    "HostSNIRegexp(`{x:[a-z]+}.a`,`b`)",
    "HostSNIRegexp(`é`)",
    "HostSNIRegexp(`{a:x{2}}`)",
    "HostSNIRegexp(`a{b}c{d:e:f}`)",
    "ClientIP(`10.0.0.0/8`,`1.1.1.1`)",
    "ALPN(`h2`,`b`)",
]
REFUSED_V2 = [
    "HostSNI(`*.a.example`)",
    "HostSNI(`é.example`)",
    "HostSNI(`a b`)",
    "HostSNI()",
    "HostSNI(``,`a`)",
    "HostSNIRegexp(`{x`)",
    "HostSNIRegexp(`{}`)",
    "HostSNIRegexp(`{a:(}`)",
    "HostSNIRegexp(`{:a}`)",
    "ClientIP(`x`)",
    "ALPN(`a`,`acme-tls/1`)",
    "ALPN()",
    "HostHeader(`a`)",
]


@pytest.mark.parametrize(
    ("syntax", "rule"), [("v3", rule) for rule in TAKEN_V3] + [("v2", rule) for rule in TAKEN_V2]
)
def test_taken(syntax: str, rule: str) -> None:
    parse(rule, syntax, TCP)


@pytest.mark.parametrize(
    ("syntax", "rule"), [("v3", rule) for rule in REFUSED_V3] + [("v2", rule) for rule in REFUSED_V2]
)
def test_refused(syntax: str, rule: str) -> None:
    with pytest.raises(RuleError):
        parse(rule, syntax, TCP)


@pytest.mark.parametrize(
    ("rule", "column", "words"),
    [
        ("HostSNI(`a`) && Host(`a`)", 17, "Host is for HTTP rules; TCP rules have HostSNI"),
        ("HostSNI(`a`) && HostSNI(`é.example`)", 17, "xn--"),
        ("HostSNI(`a*b`)", 1, "write a host name, *.example.com or *"),
        ("ALPN(`acme-tls/1`)", 1, "certificate challenges"),
        ("HostSNI(`a`, `b`)", 1, "HostSNI takes one value, got 2"),
        ("ClientIP(`10.0.0`)", 1, "ClientIP"),
    ],
)
def test_errors_say_where_and_what(rule: str, column: int, words: str) -> None:
    with pytest.raises(RuleError) as raised:
        parse(rule, "v3", TCP)
    assert raised.value.column == column
    assert words in raised.value.message


def test_http_rules_do_not_know_them() -> None:
    with pytest.raises(RuleError, match=r"HostSNI is for TCP rules; HTTP rules have Host, HostRegexp"):
        parse("HostSNI(`a`)")


def test_the_tree_is_that_of_http() -> None:
    tree = parse("hostsni(`A.example`) && !ALPN(`h2`)", "v3", TCP)
    assert tree == And((Matcher("HostSNI", (b"A.example",)), Not(Matcher("ALPN", (b"h2",)))))


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (
            "HostSNI(`B.example`, `*`) || HostSNI(`a.example`) || HostSNIRegexp(`c`)",
            ("b.example", "*", "a.example"),
        ),
        ("!HostSNI(`a`) && HostSNI(`b`, `b`)", ("b",)),
        ("!(HostSNI(`a`) || !HostSNI(`b`))", ("b",)),
        ("ClientIP(`10.0.0.1`)", ()),
    ],
)
def test_server_names(rule: str, names: tuple[str, ...]) -> None:
    assert server_names_of(parse(rule, "v2", TCP)) == names


def test_both_syntaxes_have_the_same_matchers() -> None:
    assert set(V2) == set(V3) == {"HostSNI", "HostSNIRegexp", "ClientIP", "ALPN"}
