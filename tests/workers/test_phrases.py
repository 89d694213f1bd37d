"""Reason phrases: the original's table."""

from __future__ import annotations

import pytest

from workers.phrases import reason_phrase

KNOWN = [*range(100, 104), *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 419), *range(421, 427)]
KNOWN += [428, 429, 431, 451, *range(500, 509), 510, 511]


def test_which_statuses_have_one() -> None:
    assert [status for status in range(1000) if reason_phrase(status)] == KNOWN


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(203, b"Non-Authoritative Information"), (414, b"Request URI Too Long"), (425, b"Too Early")],
)
def test_spelling(status: int, phrase: bytes) -> None:
    assert reason_phrase(status) == phrase
