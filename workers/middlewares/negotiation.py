"""Which content coding a client gets: Accept-Encoding (RFC 9110, section 12.5.3) against what is offered.

Not by the letter of the RFC but as clients know it from the original: coding names are case-sensitive, only a
weight right behind the first `;` counts, and the configured order decides between equal weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

IDENTITY: Final = "identity"
_ANY: Final = "*"
_MOST_MEMBERS: Final = 64
_WEIGHT: Final = re.compile(r"[0-9]*\.?[0-9]*")


def negotiate(values: Sequence[bytes], offered: Sequence[str], default: str) -> str:
    """The coding for a request with these Accept-Encoding lines; IDENTITY where there is to be none.

    `default` (may be empty) is what no header at all, or a winning `*`, means.
    """
    if not values:
        return default or IDENTITY
    if len(values) == 1 and not values[0]:
        return IDENTITY
    order = [_ANY, *offered, IDENTITY]
    best, best_weight = IDENTITY, 0.0
    for name, weight in _members(values):
        if name not in order or weight <= 0:
            continue
        if weight > best_weight or (weight == best_weight and order.index(name) < order.index(best)):
            best, best_weight = name, weight
    if best == _ANY:
        return default or offered[0]
    return best


def accepts_word(value: bytes, word: str) -> bool:
    """Does one Accept-Encoding line name this very coding with a weight above zero?"""
    return any(name == word and weight > 0 for name, weight in _members([value]))


def _members(values: Sequence[bytes]) -> list[tuple[str, float]]:
    text = ",".join(value.decode("latin-1") for value in values).replace(" ", "")
    return [_member(part) for part in text.split(",", _MOST_MEMBERS)[:_MOST_MEMBERS]]


def _member(part: str) -> tuple[str, float]:
    name, *parameters = part.split(";")
    if not parameters or not parameters[0].startswith("q="):
        return name, 1.0
    text = parameters[0][2:]
    if len(text) > 20 or text in ("", ".") or not _WEIGHT.fullmatch(text):
        return name, 0.0
    return name, float(text)
