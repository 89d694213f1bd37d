"""Findings about what is put out and cannot be built: each says that the routers which need it are disabled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config.regex import RegexError, check
from provider.findings import Rejected

_CONSEQUENCE: Final = "the routers that use it will be disabled"


def refusal(reason: str, message: str, field: str = "", advice: str = "") -> Rejected:
    """What is wrong, with what comes of it."""
    return Rejected(reason, f"{message}; {_CONSEQUENCE}", field=field, advice=advice)


def expression(pattern: str, field: str) -> Iterator[Rejected]:
    """A regular expression that is none."""
    try:
        check(pattern.encode())
    except (RegexError, UnicodeEncodeError) as error:
        yield refusal(
            "InvalidExpression",
            f"{pattern[:80]!r} is no regular expression: {error}",
            field,
            "write it in Go's dialect (RE2)",
        )
