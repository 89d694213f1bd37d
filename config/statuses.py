"""Status codes as objects list them: `500` or `500-599`."""

from __future__ import annotations

from typing import NamedTuple


class StatusError(ValueError):
    """The text is neither a status code nor a range of them; the message is Go's."""


class StatusRange(NamedTuple):
    """Both ends belong to it; a reversed one has no members."""

    first: int
    last: int


def parse_range(text: str) -> StatusRange:
    """Raises StatusError in Go's words."""
    parts = text.split("-")
    numbers = [_number(part) for part in parts[:2]]
    return StatusRange(numbers[0], numbers[-1])


def _number(text: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise StatusError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
