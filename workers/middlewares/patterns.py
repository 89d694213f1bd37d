"""Regular expressions of middlewares; what is wrong with one is told in the original's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from config.regex import Expression, RegexError, compile_search
from workers.building import BuildError

_WORDS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "unexpected )": "unexpected )",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


def compile_expression(pattern: str, message: str = "") -> Expression:
    """Raises BuildError: `message`, then the reason."""
    try:
        return Expression(pattern.encode())
    except RegexError as error:
        raise BuildError(message + described(error)) from None


def compile_test(pattern: str, message: str = "") -> Callable[[bytes], bool]:
    """As compile_expression; only tells whether there is a match, and faster."""
    try:
        return compile_search(pattern.encode())
    except RegexError as error:
        raise BuildError(message + described(error)) from None


def described(error: RegexError) -> str:
    """The reason as the original puts it.

    >>> described(RegexError("missing ): (a"))
    'error parsing regexp: missing closing ): `(a`'
    """
    reason, colon, part = str(error).partition(": ")
    reason = _WORDS.get(reason, reason)
    return f"error parsing regexp: {reason}: `{part}`" if colon else f"error parsing regexp: {reason}"
