"""What TCP rules say of connections, their priorities, and which names they need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rule_matchers_tcp import TCP
from config.rules import parse
from tls.server_names import normalize_server_name
from workers.tcp.matchers import Caller, is_catch_all, needed_names, predicate_of, priority_of


def holds(
    rule: str, name: str = "", *, ip: str = "127.0.0.1", alpn: tuple[bytes, ...] = (), syntax: str = "v3"
) -> bool:
    return predicate_of(parse(rule, syntax, TCP), syntax)(Caller(ip, normalize_server_name(name), alpn))


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        ("HostSNI(`a.test`)", "a.test", True),
        ("HostSNI(`A.Test.`)", "a.TEST", True),
        ("HostSNI(`a.test`)", "b.a.test", False),
        ("HostSNI(`a.test`)", "", False),
        ("HostSNI(`*`)", "a.test", True),
        ("HostSNI(`*`)", "", True),
        ("HostSNI(`*.test`)", "a.test", True),
        ("HostSNI(`*.test`)", "test", False),
        ("HostSNI(`*.test`)", "b.a.test", False),
        ("HostSNI(`*.test`)", "", False),
        ("!HostSNI(`a.test`)", "a.test", False),
        ("!HostSNI(`a.test`)", "", True),
        ("!HostSNI(`*`)", "a.test", False),
        ("HostSNIRegexp(`^a[0-9]+\\.test$`)", "A12.test", True),
        ("HostSNIRegexp(`[0-9]`)", "x7y", True),
        ("HostSNIRegexp(`^A`)", "a", False),
        ("HostSNIRegexp(`^$`)", "", True),
        ("HostSNI(`a`) && HostSNI(`b`)", "a", False),
        ("HostSNI(`a`) || HostSNI(`b`)", "b", True),
        ("HostSNI(`::1`)", "0:0::1", True),
    ],
)
def test_names(rule: str, name: str, expected: bool) -> None:
    assert holds(rule, name) is expected


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        ("HostSNI(`a.test`, `b.test`)", "b.test", True),
        ("HostSNI(`a.test`, `*`)", "", True),
        ("HostSNI(`a.test`, `b.test`)", "c.test", False),
        ("HostSNIRegexp(`{sub:[a-z]+}.test`)", "abc.test", True),
        ("HostSNIRegexp(`{sub}.TEST`)", "a1.test", True),
        ("HostSNIRegexp(`{sub}.test`)", "b.a.test", False),
        ("HostSNIRegexp(`a.test`, `b.test`)", "xb.test", False),
    ],
)
def test_names_of_the_v2_syntax(rule: str, name: str, expected: bool) -> None:
    assert holds(rule, name, syntax="v2") is expected


def test_addresses_and_protocols() -> None:
    assert holds("ClientIP(`10.0.0.0/8`)", ip="10.1.2.3")
    assert not holds("ClientIP(`10.0.0.0/8`)", ip="11.1.2.3")
    assert holds("ClientIP(`fe80::/10`)", ip="fe80::1%eth0")
    assert holds("ALPN(`mqtt`)", alpn=(b"h2", b"mqtt"))
    assert not holds("ALPN(`mqtt`)", alpn=(b"h2",))
    assert not holds("ALPN(`mqtt`)")
    assert holds("ALPN(`mqtt`, `h2`)", alpn=(b"h2",), syntax="v2")


@pytest.mark.parametrize(
    ("rule", "catch_all", "priority"),
    [
        ("HostSNI(`*`)", True, -1),
        ("  (hostsni( `*` ))", True, -1),
        ("!HostSNI(`*`)", True, -1),
        ('HostSNI("*")', True, -1),
        ("HostSNI(`*`) && ClientIP(`::/0`)", False, 32),
        ("HostSNI(`*`) || HostSNI(`*`)", False, 28),
        ("HostSNI(`a`)", False, 12),
    ],
)
def test_priorities(rule: str, catch_all: bool, priority: int) -> None:
    tree = parse(rule, "v3", TCP)
    assert is_catch_all(tree) is catch_all
    assert priority_of(rule, tree) == priority
    assert priority_of(rule, None) == len(rule)


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("HostSNI(`A.test.`)", {"a.test"}),
        ("HostSNI(`*.test`)", None),
        ("HostSNI(`*`)", None),
        ("!HostSNI(`a`)", None),
        ("HostSNI(`a`) && ClientIP(`::1`)", {"a"}),
        ("ClientIP(`::1`) && (HostSNI(`a`) || HostSNI(`b`))", {"a", "b"}),
        ("HostSNI(`a`) || ClientIP(`::1`)", None),
        ("HostSNI(`a`) || (HostSNI(`b`) && ALPN(`x`))", {"a", "b"}),
    ],
)
def test_needed_names(rule: str, names: set[str] | None) -> None:
    assert needed_names(parse(rule, "v3", TCP)) == names


_ATOMS = st.sampled_from(
    ["HostSNI(`a`)", "HostSNI(`b`)", "HostSNI(`*`)", "HostSNI(`*.a`)", "ClientIP(`127.0.0.1`)", "ALPN(`x`)"]
)
_RULES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda rule: f"!{rule}"),
    ),
    max_leaves=6,
)


@given(_RULES, st.sampled_from(["", "a", "b", "c.a"]))
def test_rule_holds_only_for_names_that_it_needs(rule: str, name: str) -> None:
    tree = parse(rule, "v3", TCP)
    names = needed_names(tree)
    if names is not None and predicate_of(tree)(Caller("127.0.0.1", name)):
        assert name in names
