"""Aligned columns for terminals. Texts from objects may hold anything: what would move the cursor is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GAP = "  "


def clean(text: str) -> str:
    """One line of printable characters.

    >>> clean("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table; the last column is not padded."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cleaned, strict=True)]
    for row in (head, *cleaned):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield _GAP.join(cells).rstrip()
