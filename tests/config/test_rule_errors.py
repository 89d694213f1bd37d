"""Words of rule errors; which errors there are is tested with the rules."""

from __future__ import annotations

import pytest

from config.rule_errors import RuleError, unknown_matcher
from config.rule_matchers import HTTP, Table
from config.rule_matchers_tcp import TCP


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("hostsnI", TCP, "hostsnI is not a way to write HostSNI"),
        ("PathPrefixx", HTTP, "there is no matcher PathPrefixx; known are Host, "),
        ("Headers", HTTP, "Headers belongs to the v2 syntax of rules, this rule is v3"),
        ("Path", TCP, "Path is for HTTP rules; TCP rules have HostSNI, HostSNIRegexp, ClientIP, ALPN"),
        ("ALPN", HTTP, "ALPN is for TCP rules; HTTP rules have Host, "),
    ],
)
def test_unknown_matchers(name: str, table: Table, words: str) -> None:
    assert unknown_matcher(name, "v3", table).startswith(words)


def test_an_error_shows_its_column() -> None:
    error = RuleError("no", 3)
    assert str(error) == "no (column 3)"
    assert (error.message, error.column) == ("no", 3)
