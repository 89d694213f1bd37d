"""Status codes as middlewares list them: `500` or `500-599`."""

from __future__ import annotations

from collections.abc import Sequence

from config import statuses
from config.statuses import StatusError
from config.statuses import StatusRange as StatusRange  # noqa: PLC0414
from workers.building import BuildError


def parse_range(text: str) -> StatusRange:
    """Raises BuildError in Go's words."""
    try:
        return statuses.parse_range(text)
    except StatusError as error:
        raise BuildError(str(error)) from None


def is_in(status: int, ranges: Sequence[StatusRange]) -> bool:
    """Is it listed?"""
    return any(first <= status <= last for first, last in ranges)
