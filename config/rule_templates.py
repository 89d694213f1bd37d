"""Templates of the v2 rule syntax, `/users/{id:[0-9]+}`, turned into regular expressions.

Text outside braces is literal, `{name}` stands for a run of characters that depends on the matcher,
`{name:pattern}` for the pattern. Names carry no meaning; braces inside a pattern nest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from config import regex

_SPECIAL: Final = re.compile(rb"[\\.+*?()|\[\]{}^$]")


class TemplateError(ValueError):
    """The braces or a pattern between them are wrong; the message shows the template."""


def host(template: bytes) -> bytes:
    """Pattern for a whole host; the caller compares without regard to case."""
    return b"^" + _translated(template, b"[^.]+") + b"$"


def path(template: bytes) -> bytes:
    """Pattern for a whole path."""
    return path_prefix(template) + b"$"


def path_prefix(template: bytes) -> bytes:
    """Pattern for the beginning of a path."""
    return b"^" + _translated(template, b"[^/]+")


def query(name: bytes, template: bytes) -> bytes:
    """Pattern for `name=value`, value being the parameter's first; an empty template takes any value."""
    return b"^" + _translated(name + b"=" + template, b".*") + (b"$" if template else b".*$")


def query_pairs(values: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """Names and templates out of Query's values: `k=v`, or name and value one after the other."""
    pieces = [piece for value in values for piece in value.split(b"=", 1)]
    if len(pieces) % 2:
        raise TemplateError("write each parameter as `name=value` (`name=` takes any value)")
    return list(zip(pieces[::2], pieces[1::2], strict=True))


def is_literal(template: bytes) -> bool:
    """Whether `template` has no braces and so means just its text."""
    return b"{" not in template and b"}" not in template


def _translated(template: bytes, default: bytes) -> bytes:
    translated, end = [], 0
    for start, stop in _braces(template):
        translated += [_literal(template[end:start]), _variable(template, template[start + 1 : stop - 1], default)]
        end = stop
    return b"".join(translated) + _literal(template[end:])


def _literal(part: bytes) -> bytes:
    return _SPECIAL.sub(rb"\\\g<0>", part)


def _variable(template: bytes, inside: bytes, default: bytes) -> bytes:
    name, colon, pattern = inside.partition(b":")
    if not name or (colon and not pattern):
        raise TemplateError(f"{_shown(template)}: write {{name}} or {{name:pattern}} between braces")
    if not colon:
        return default
    try:
        regex.check(b"^" + pattern + b"$")
    except regex.RegexError as error:
        raise TemplateError(f"{_shown(template)} holds a wrong regular expression: {error}") from error
    return b"(?:" + pattern + b")"


def _braces(template: bytes) -> Iterator[tuple[int, int]]:
    """Bounds of the outermost brace pairs."""
    level = start = 0
    for position, byte in enumerate(template):
        if byte == ord("{"):
            start = position if level == 0 else start
            level += 1
        elif byte == ord("}"):
            level -= 1
            if level == 0:
                yield start, position + 1
            elif level < 0:
                break
    if level:
        raise TemplateError(f"{_shown(template)} has unbalanced braces")


def _shown(template: bytes) -> str:
    return "`" + template.decode("utf-8", "backslashreplace") + "`"
