"""Rules of Ingresses: what is written into them comes out of the rule parser again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import Matcher, parse
from provider.findings import Rejected
from provider.translate.ingress_rules import path_matcher, quoted, rule_of

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(TEXTS)
def test_any_path_survives_the_rule(path: str) -> None:
    rule = rule_of("", f"/{path}", "Path")
    assert rule.isprintable()
    assert parse(rule) == Matcher("Path", (f"/{path}".encode(),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/x", '"/x"'),
        ('"\\', r'"\"\\"'),
        ("\a\x01\x7f", r'"\a\x01\x7f"'),
        ("ü\u200b\U000e0001", r'"ü\u200b\U000e0001"'),
    ],
)
def test_text_is_quoted_as_in_go(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_host_and_path() -> None:
    assert rule_of("", "", "") == ""
    assert rule_of("a.example", "", "") == 'Host("a.example")'
    assert rule_of("*.a.example", "/x", "Path") == 'Host("*.a.example") && Path("/x")'
    old = rule_of("*.a.example", "", "", syntax="v2")
    assert old == 'HostRegexp("{subdomain:[a-zA-Z0-9-]+}.a.example")'
    assert parse(old, "v2")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", 'PathPrefix("/")'),
        ("/foo", '(Path("/foo") || PathPrefix("/foo/"))'),
        ("/foo/", '(Path("/foo") || PathPrefix("/foo/"))'),
        ("/foo//", '(Path("/foo/") || PathPrefix("/foo//"))'),
    ],
)
def test_strict_prefixes(path: str, expected: str) -> None:
    assert rule_of("", path, "PathPrefix", strict=True) == expected
    assert rule_of("", path, "Path", strict=True) == f'Path("{path}")'


def test_path_types() -> None:
    assert path_matcher("Exact", "PathRegexp") == "Path"
    assert path_matcher("Prefix", "Path") == "PathPrefix"
    assert path_matcher("ImplementationSpecific", "Path") == "Path"
    assert path_matcher("", "") == "PathPrefix"
    with pytest.raises(Rejected, match="Host is no path matcher"):
        path_matcher("ImplementationSpecific", "Host")
