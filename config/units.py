"""Durations as users write them (Go's syntax) and as we keep them (float seconds)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_UNIT_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_LONGEST_TEXT: Final = 64
_LARGEST_NANOSECONDS: Final = (1 << 63) - 1
_LONGEST_INTEGER: Final = 20
"""Characters that a 64-bit integer can have; longer ones are refused before anyone computes with them."""
_LONGEST_QUOTE: Final = 100


class DurationError(ValueError):
    """The text is no duration; the message says what a duration looks like."""


def parse_duration(value: int | str) -> float:
    """Seconds of an int-or-string duration: an integer counts seconds, other text is Go's `1h30m`, `250ms`.

    Raises DurationError for anything else, fractions without unit included.
    """
    if isinstance(value, int):
        return float(value)
    if len(value) <= _LONGEST_INTEGER and _INTEGER.fullmatch(value):
        return float(int(value))
    return parse_go_duration(value)


def parse_go_duration(text: str) -> float:
    """Seconds of Go duration text as time.ParseDuration reads it: a bare `0` is allowed, `5` is not."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text[1:] if text[:1] == "+" else text)
    if rest == "0":
        return 0.0
    nanoseconds, position = Decimal(0), 0
    while position < len(rest) <= _LONGEST_TEXT:
        part = _PART.match(rest, position)
        if part is None:
            break
        nanoseconds += Decimal(part[1]) * _UNIT_NANOSECONDS[part[2]]
        position = part.end()
    if not rest or position < len(rest) or nanoseconds > _LARGEST_NANOSECONDS:
        raise DurationError(
            f"{_quoted(text)} is not a duration; write a number with a unit (ns, us, ms, s, m, h) such as "
            f"10s, 1m30s or 250ms, or a bare number of seconds"
        )
    return sign * int(nanoseconds) / 1e9


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]!r}..."


def format_duration(seconds: float) -> str:
    """Go's text for a duration: `1m0s`, `100ms`, `1.5s`, `0s`."""
    nanoseconds = round(seconds * 1e9)
    sign, nanoseconds = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds < size * 1_000 and nanoseconds < 1_000_000_000:
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    text = f"{_decimal(rest, 1_000_000_000)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = (f"{hours}h{minutes}m" if hours else f"{minutes}m") + text
    return sign + text


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    if not fraction:
        return str(whole)
    digits = str(fraction).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}"
