"""The structure of a header block (RFC 7541 section 6), looked through before anybody decodes it.

What is cut short, out of order or beyond all sizes is found here, so that no decoder has to be trusted with it. A
block of single-byte references to the tables, as most blocks of a busy connection are, is recognised by one look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_REFERENCES: Final = bytes(range(0x81, 0xFF))
_LONGEST_INTEGER_BYTES: Final = 4
CODE_LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c"
    "060a0a0c0d06080b0a0a080b080606060505050606060606060607080f060c0a"
    "0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c"
    "1416141416161617161717171717181718181617181717171715161716171718"
    "1615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b"
    "14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
)
"""Bits of each byte's Huffman code (RFC 7541 appendix B)."""

Literal = tuple[int, int, int, int]
"""Number of the field, 0 for its name or 1 for its value, bytes of the Huffman code, its last byte."""


class MalformedBlock(Exception):
    """Not a header block; the tables of the connection are lost with it."""


def find_literals(block: bytes) -> Sequence[Literal]:
    """Check the structure; the Huffman-coded strings in it come back. Raises MalformedBlock."""
    if not block.translate(None, _REFERENCES):
        return ()
    literals: list[Literal] = []
    position, number = 0, 0
    try:
        while position < len(block):
            first = block[position]
            position += 1
            if first >= 0x80:
                if first == 0x80:
                    raise MalformedBlock("reference to entry 0")
                if first == 0xFF:
                    position = _skip_integer(block, position)
                number += 1
            elif first & 0xE0 == 0x20:
                if number:
                    raise MalformedBlock("table size update behind a field")
                if first == 0x3F:
                    position = _skip_integer(block, position)
            else:
                most = 0x3F if first & 0x40 else 0x0F
                name = first & most
                if name == most:
                    position = _skip_integer(block, position)
                elif not name:
                    position = _skip_string(block, position, literals, number, 0)
                position = _skip_string(block, position, literals, number, 1)
                number += 1
    except IndexError:
        raise MalformedBlock("cut short") from None
    return literals


def _skip_integer(block: bytes, position: int) -> int:
    """Behind an integer whose prefix is full. Raises IndexError at the end of the block."""
    end = position + _LONGEST_INTEGER_BYTES
    while block[position] & 0x80:
        position += 1
        if position >= end:
            raise MalformedBlock("integer too large")
    return position + 1


def _skip_string(block: bytes, position: int, literals: list[Literal], number: int, part: int) -> int:
    first = block[position]
    size = first & 0x7F
    position += 1
    if size == 0x7F:
        start, position = position, _skip_integer(block, position)
        for shift, byte in enumerate(block[start:position]):
            size += (byte & 0x7F) << (7 * shift)
    position += size
    if position > len(block):
        raise MalformedBlock("cut short")
    if first & 0x80 and size:
        literals.append((number, part, size, block[position - 1]))
    return position


def check_codes(literals: Sequence[Literal], fields: Sequence[tuple[bytes, bytes, bool]]) -> None:
    """Huffman codes must end with less than a byte of ones (RFC 7541 section 5.2). Raises MalformedBlock."""
    for number, part, size, last in literals:
        field = fields[number]
        padding = 8 * size - sum((field[1] if part else field[0]).translate(CODE_LENGTHS))
        ones = (1 << padding) - 1 if 0 <= padding < 8 else -1
        if ones < 0 or last & ones != ones:
            raise MalformedBlock("Huffman padding")
