"""Replacing what a regular expression matches, with templates in Go's syntax.

`$1` and `${1}` are groups by number, `$name` and `${name}` by name, `$$` is a dollar sign. A name without braces
is as long as it can be, so `$1x` is the group called `1x`. Groups that are unset or do not exist are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import gevent

from config.regex import Expression, repaired
from workers.middlewares.patterns import compile_expression

_LONGEST_NUMBER_DIGITS: Final = 8
_MATCHES_A_TURN: Final = 500
"""A path may be a megabyte, each byte of it a match: others get their turn after so many."""


class Replacement:
    """All matches of `pattern` replaced by `template`. Raises BuildError: `message`, then the reason."""

    __slots__ = ("_expression", "_pieces")

    def __init__(self, pattern: str, template: str, message: str = "") -> None:
        self._expression = compile_expression(pattern, message)
        self._pieces = _compiled(template, self._expression)

    def __call__(self, text: bytes) -> bytes | None:
        """The new text; None if nothing matches. Bytes that are no UTF-8 become U+FFFD.

        May switch greenlets where there are many matches.
        """
        if not text.isascii():
            text = repaired(text)
        find = self._expression.find
        spans = find(text)
        if spans is None:
            return None
        result: list[bytes] = []
        position = end = matches = 0
        while spans is not None:
            matches += 1
            if not matches % _MATCHES_A_TURN:
                gevent.sleep(0)
            start, stop = spans[0]
            result.append(text[end:start])
            if stop > end or not start:  # an empty match right behind another one does not count
                self._expand(text, spans, result)
            end = stop
            position = max(stop, _behind(text, position))
            spans = find(text, position) if end < len(text) >= position else None
        result.append(text[end:])
        return b"".join(result)

    def _expand(self, text: bytes, spans: Sequence[tuple[int, int]], result: list[bytes]) -> None:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                result.append(piece)
            else:
                start, stop = spans[piece]
                if start >= 0:
                    result.append(text[start:stop])


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
