"""Datagrams that were not passed on, counted by reason and told in the log now and then.

UDP allows a proxy to drop, but an operator must be able to see that it does, and a flood must not become a
flood of log lines.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Final

REPORT_SECONDS: Final = 10.0


class Drop(Enum):
    """Why; the value is what the log says."""

    NO_ROUTER = "no router for the entry point"
    NO_SERVER = "no server for the session"
    UNRESOLVED = "the server's name has no address"
    LEADS_BACK = "the server is an entry point of ours"
    FROM_OURSELVES = "sent from the address of an entry point of ours"
    TOO_MANY_SESSIONS = "given up for newer sessions"
    NO_DESCRIPTOR = "no descriptor is free"
    WAITING_TOO_MANY = "too much waits for a server's name"
    CLIENT_SLOW = "the way to the clients is full"
    SERVER_SLOW = "the way to the server is full"
    SERVER_UNREACHABLE = "the server cannot be reached"
    CLIENT_UNREACHABLE = "the client cannot be reached"
    TOO_LARGE = "too large"
    STOPPING = "no new sessions while stopping"


class Drops:
    """Counts of one entry point of one worker."""

    def __init__(self, entry_point: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[Drop] = Counter()
        self._told: Counter[Drop] = Counter()
        self._entry_point = entry_point
        self._log = log
        self._clock = clock
        self._next_report = float("-inf")

    def count(self, reason: Drop, datagrams: int = 1) -> None:
        """Note the loss; the log hears of it at once, but not more often than each REPORT_SECONDS."""
        self.counts[reason] += datagrams
        now = self._clock()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            self.report()

    def report(self) -> None:
        """Log what has come since the last report, if anything."""
        news = self.counts - self._told
        if news:
            self._told = self.counts.copy()
            text = ", ".join(f"{number}: {reason.value}" for reason, number in news.most_common())
            self._log.warning("entry point %s: %d datagrams dropped (%s)", self._entry_point, news.total(), text)

    def __repr__(self) -> str:
        return f"<Drops {self._entry_point} {self.counts.total()}>"
