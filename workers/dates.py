"""The Date header, formatted once a second for all responses of a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate


class DateLine:
    """`line` is `Date: ...` without a line end; `refresh` belongs into the timer wheel's hooks."""

    __slots__ = ("_clock", "_second", "line")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self.line = b""
        self.refresh()

    def refresh(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self.line = b"Date: " + formatdate(second, usegmt=True).encode()

    def __repr__(self) -> str:
        return f"<DateLine {self.line.decode()}>"
