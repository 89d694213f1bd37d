"""Passive health checks: what clients' requests tell about servers.

Failures are counted over all workers: the times of the latest ones stand in shared words, and an answer that is
no failure sets a mark behind which they do not count. A server that failed too often within the window is
shunned for as long as the window; where there is an active check as well, only that brings it back.
"""

from __future__ import annotations

from typing import Final

from config.http import PassiveHealthCheck
from workers.shared import CellsBusy
from workers.upstream.candidate import Candidate
from workers.upstream.health import HealthBoard, Ledger, milliseconds, read_word

DEFAULT_WINDOW_SECONDS: Final = 10.0
LARGEST_ATTEMPTS: Final = 1000
"""More failures than that are not told apart."""


class PassiveCheck:
    """One service's; asked after every request."""

    __slots__ = ("_active", "_attempts", "_board", "_failures", "_ledger", "_window")

    def __init__(
        self,
        options: PassiveHealthCheck,
        window_seconds: float,
        service: str,
        ledger: Ledger,
        board: HealthBoard,
        *,
        active: bool,
    ) -> None:
        """`active`: the service has an active check too."""
        self._attempts = min(max(options.max_failed_attempts, 1), LARGEST_ATTEMPTS)
        self._window = max(round(window_seconds * 1000), 1)
        self._ledger = ledger
        self._board = board
        self._active = active
        ttl = round(window_seconds) + 2
        self._failures = board.shared.words(board.shared.identity("failures", service), ttl_seconds=ttl)

    def judge(self, candidate: Candidate, failed: bool) -> None:
        """Take one request's outcome into account. State that is busy is not waited for."""
        try:
            if failed:
                self._failed(candidate)
            else:
                self._succeeded(candidate.name.encode())
        except CellsBusy:
            return

    def _succeeded(self, url: bytes) -> None:
        def mark(count: int | None) -> int | None:
            return 0 if count else None  # nothing to forget: nothing to write

        self._failures.update(url, mark)

    def _failed(self, candidate: Candidate) -> None:
        """The failures since the last success are numbered; the one `attempts` before this must be long ago."""
        url, now = candidate.name.encode(), milliseconds()
        number = self._failures.update(url, lambda count: (count or 0) + 1) or 1
        self._failures.update(b"%b#%d" % (url, number % self._attempts), lambda _: now)
        if number < self._attempts:
            return
        oldest = read_word(self._failures, b"%b#%d" % (url, (number + 1) % self._attempts))
        if oldest is not None and now - oldest <= self._window:
            if self._active:
                self._ledger.write(candidate.name, passed=False)
            else:
                self._ledger.shun(candidate.name, now + self._window)
