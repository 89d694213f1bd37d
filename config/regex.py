"""Regular expressions of the Go dialect: the one door to RE2.

Go's regexp package and RE2 share syntax and linear time, so user patterns are taken as they are. Two things differ
and are settled here. Go matches UTF-8 text and sees every broken byte as U+FFFD, RE2 in UTF-8 mode matches nothing
there: such subjects are repaired first (`/%FF` would slip past a negated rule otherwise). And RE2 knows `\\C`,
a single byte of a character, which Go refuses and so do we.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from typing import Final

import re2

# RE2 keeps at most this much for one expression, automaton cache included, and slows down instead of growing.
# Nearly every pattern fits the first budget; one that does not even compile in it is given the second.
_BUDGETS_BYTES: Final = (1 << 20, 32 << 20)
_UNANCHORED: Final = re2._Anchor.UNANCHORED
_ESCAPES: Final = re.compile(rb"\\Q.*?(?:\\E|\Z)|\\C|\\.", re.DOTALL)


class RegexError(ValueError):
    """The pattern is not of Go's dialect or too large; the message names the part that is wrong."""


def compile_search(pattern: bytes, *, ignore_case: bool = False) -> Callable[[bytes], bool]:
    """A function telling whether `pattern` (UTF-8) occurs anywhere in a text. Raises RegexError.

    `^` and `$` are the ends of the text unless the pattern says `(?m)`. The result is safe in any greenlet.
    """
    # The public search() builds a match object at each call; the bound method below costs a third.
    match = _compile(pattern, ignore_case, captures=False)._regexp.Match
    unanchored, nothing = re2._Anchor.UNANCHORED, re2._NULL_SPAN

    def search(text: bytes) -> bool:
        if not text.isascii():
            text = repaired(text)
        return bool(match(unanchored, text, 0, len(text))[0] != nothing)

    return search


class Expression:
    """A pattern (UTF-8) that tells where it matches. Raises RegexError.

    `group_numbers` maps the names of groups to their numbers. Safe in any greenlet.
    """

    __slots__ = ("_match", "group_numbers", "groups")

    def __init__(self, pattern: bytes) -> None:
        compiled = _compile(pattern, ignore_case=False, captures=True)
        self._match = compiled._regexp.Match
        self.groups: int = compiled.groups
        self.group_numbers: dict[bytes, int] = compiled.groupindex

    def find(self, text: bytes, start: int = 0) -> Sequence[tuple[int, int]] | None:
        """Begin and end of the leftmost match from `start` on and of its groups ((-1, -1) where one is unset).

        `text` must be ASCII or have gone through `repaired`.
        """
        spans: Sequence[tuple[int, int]] = self._match(_UNANCHORED, text, start, len(text))
        return spans if spans[0][0] >= 0 else None


def check(pattern: bytes) -> None:
    """Raise RegexError unless compile_search() would take `pattern`."""
    compile_search(pattern)


def repaired(text: bytes) -> bytes:
    """`text` with each byte that is not part of valid UTF-8 turned into U+FFFD, as Go reads it."""
    return text.decode("utf-8", "pointsman.each_byte").encode()


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    # Python's own "replace" turns a cut sequence into one mark, Go makes one of every byte.
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd", error.start + 1


codecs.register_error("pointsman.each_byte", _each_byte)


def _compile(pattern: bytes, ignore_case: bool, captures: bool) -> re2._Regexp:
    if any(escape == b"\\C" for escape in _ESCAPES.findall(pattern)):
        raise RegexError("invalid escape sequence: \\C")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures
    options.case_sensitive = not ignore_case
    for budget_bytes in _BUDGETS_BYTES:
        options.max_mem = budget_bytes
        try:
            return re2.compile(pattern, options)
        except re2.error as error:
            reason = _text(error)
            if "too large" not in reason:
                break
    raise RegexError(reason)


def _text(error: re2.error) -> str:
    reason = error.args[0] if error.args else "invalid pattern"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
