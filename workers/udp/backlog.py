"""Datagrams that wait until the name of their session's server is known: few for a session, bounded for all."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_DATAGRAMS: Final = 16
MOST_BYTES: Final = 1 << 17
MOST_BYTES_OF_ALL: Final = 1 << 22
"""Of all sessions of an entry point in one worker."""
OVERHEAD_BYTES: Final = 256
"""What a waiting datagram costs besides its bytes."""


class Budget:
    """Bytes that wait in all backlogs of an entry point."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = MOST_BYTES_OF_ALL) -> None:
        self.limit = limit
        self.used = 0


class Backlog:
    """Of one session. Where a limit is met its own oldest datagrams give way."""

    __slots__ = ("_budget", "_bytes", "_datagrams")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._datagrams: deque[bytes] = deque()
        self._bytes = 0

    def keep(self, data: bytes) -> int:
        """Take a copy in; return how many datagrams were dropped for it, itself included."""
        self._add(len(data) + OVERHEAD_BYTES)
        self._datagrams.append(data)
        dropped = 0
        while self._is_too_much():
            self.take()
            dropped += 1
        return dropped

    def _is_too_much(self) -> bool:
        return bool(self._datagrams) and (
            len(self._datagrams) > MOST_DATAGRAMS
            or self._bytes > MOST_BYTES
            or self._budget.used > self._budget.limit
        )

    def take(self) -> bytes | None:
        """The oldest one, None if there is none."""
        if not self._datagrams:
            return None
        data = self._datagrams.popleft()
        self._add(-len(data) - OVERHEAD_BYTES)
        return data

    def clear(self) -> None:
        self._datagrams.clear()
        self._add(-self._bytes)

    def _add(self, size: int) -> None:
        self._bytes += size
        self._budget.used += size

    def __len__(self) -> int:
        return len(self._datagrams)

    def __repr__(self) -> str:
        return f"<Backlog of {len(self)} datagrams, {self._bytes} bytes>"
