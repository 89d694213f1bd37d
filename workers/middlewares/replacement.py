"""Replacing what a regular expression matches, with templates in Go's syntax.

`$1` and `${1}` are groups by number, `$name` and `${name}` by name, `$$` is a dollar sign. A name without braces
is as long as it can be, so `$1x` is the group called `1x`. Groups that are unset or do not exist are empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeGuard

import gevent

from config.regex import Expression, repaired
from workers.middlewares.patterns import compile_expression

Spans = Sequence[tuple[int, int]]
"""Begin and end of a match, then of its groups."""

Find = Callable[..., Spans | None]
"""As Expression.find."""

_PREFIX_AND_REST: Final = re.compile(r"\^((?:[A-Za-z0-9/:_-]|\\[./-])*)\(\.\*\)\$?")
"""A text that begins with this, and whatever follows as the one group."""
_LONGEST_NUMBER_DIGITS: Final = 8
_MATCHES_A_TURN: Final = 500
"""A path may be a megabyte, each byte of it a match: others get their turn after so many."""


class Replacement:
    """All matches of `pattern` replaced by `template`. Raises BuildError: `message`, then the reason."""

    __slots__ = ("_expanded", "_find")

    def __init__(self, pattern: str, template: str, message: str = "") -> None:
        expression = compile_expression(pattern, message)
        self._find = _finder(pattern, expression)
        self._expanded = _expander(_compiled(template, expression))

    def __call__(self, text: bytes) -> bytes | None:
        """The new text; None if nothing matches. Bytes that are no UTF-8 become U+FFFD.

        May switch greenlets where there are many matches.
        """
        if not text.isascii():
            text = repaired(text)
        spans = self._find(text)
        if spans is None:
            return None
        start, stop = spans[0]
        if stop == len(text):  # nearly always: nothing is left in which to look for another one
            return text[:start] + self._expanded(text, spans)
        return self._replaced(text, spans)

    def _replaced(self, text: bytes, first: Spans) -> bytes:
        """All matches from the `first` one on."""
        find, spans = self._find, first
        result: list[bytes] = []
        position = end = matches = 0
        while spans:
            matches += 1
            if not matches % _MATCHES_A_TURN:
                gevent.sleep(0)
            start, stop = spans[0]
            result.append(text[end:start])
            if stop > end or not start:  # an empty match right behind another one does not count
                result.append(self._expanded(text, spans))
            end = stop
            position = max(stop, _behind(text, position))
            spans = (find(text, position) or ()) if end < len(text) >= position else ()
        result.append(text[end:])
        return b"".join(result)


def _finder(pattern: str, expression: Expression) -> Find:
    """`expression.find`; for the commonest kind of pattern something that finds the same, only faster."""
    kind = _PREFIX_AND_REST.fullmatch(pattern)
    if kind is None:
        return expression.find
    prefix = kind[1].replace("\\", "").encode()
    length = len(prefix)

    def find(text: bytes, start: int = 0) -> Spans | None:
        if start or b"\n" in text:  # which a dot does not match
            return expression.find(text, start)
        return ((0, len(text)), (length, len(text))) if text.startswith(prefix) else None

    return find


def _expander(pieces: Sequence[bytes | int]) -> Callable[[bytes, Spans], bytes]:
    """What a template makes of a match. An unset group is from -1 to -1, which is nothing."""
    groups = [piece for piece in pieces if isinstance(piece, int)]
    if len(groups) == 1:
        (only,) = groups
        place = pieces.index(only)
        before, after = (b"".join(filter(_is_text, part)) for part in (pieces[:place], pieces[place + 1 :]))

        def with_one(text: bytes, spans: Spans) -> bytes:
            start, stop = spans[only]
            return before + text[start:stop] + after

        return with_one
    form = b"".join([piece.replace(b"%", b"%%") if _is_text(piece) else b"%b" for piece in pieces])
    return lambda text, spans: form % tuple([text[slice(*spans[group])] for group in groups])


def _is_text(piece: bytes | int) -> TypeGuard[bytes]:
    return isinstance(piece, bytes)


def _behind(text: bytes, position: int) -> int:
    """Position of the character after the one at `position`: matches never stand still."""
    position += 1
    while position < len(text) and text[position] & 0xC0 == 0x80:
        position += 1
    return position


def _compiled(template: str, expression: Expression) -> list[bytes | int]:
    """Literal texts and numbers of groups, in order; groups that do not exist are left out."""
    pieces: list[bytes | int] = []
    literal = ""
    while template:
        before, dollar, rest = template.partition("$")
        literal += before
        if not dollar:
            break
        if rest.startswith("$"):
            literal, template = literal + "$", rest[1:]
            continue
        name, template = _name(rest)
        if not name:
            literal += "$"
            continue
        number = _group(name, expression)
        if number is not None:
            pieces += [literal.encode(), number]
            literal = ""
    return [piece for piece in (*pieces, literal.encode()) if piece != b""]


def _name(text: str) -> tuple[str, str]:
    """The group's name that `text` begins with and what follows it; an empty name where there is none."""
    braced = text.startswith("{")
    start = end = 1 if braced else 0
    while end < len(text) and (text[end].isalpha() or text[end].isdecimal() or text[end] == "_"):
        end += 1
    if braced and not text.startswith("}", end):
        return "", text
    name = text[start:end]
    return (name, text[end + 1 :] if braced else text[end:]) if name else ("", text)


def _group(name: str, expression: Expression) -> int | None:
    if name.isascii() and name.isdecimal() and (len(name) == 1 or name[0] != "0"):
        return int(name) if len(name) <= _LONGEST_NUMBER_DIGITS and int(name) <= expression.groups else None
    return expression.group_numbers.get(name.encode())
