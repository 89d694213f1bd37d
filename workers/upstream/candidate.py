"""A server as a load balancer sees it: what it is worth, and how it is doing."""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import Final

from workers.upstream.server import UpstreamServer

SAMPLES: Final = 100
"""So many of the latest answers make up a server's response time."""


class Candidate(UpstreamServer):
    """Lives as long as its URL stays in the service; its state survives changes of the other servers.

    `is_up` is what counts for choosing: no check of either kind speaks against it.
    """

    __slots__ = (
        "_latencies",
        "_latency_sum",
        "in_flight",
        "is_up",
        "passed_check",
        "preserve_path",
        "weight",
    )

    def __init__(self, url: str, weight: int = 1, preserve_path: bool = False) -> None:
        """Raises ValueError for a URL that cannot be used."""
        super().__init__(url, preserve_path)
        self.weight = weight
        self.preserve_path = preserve_path
        self.is_up = True
        self.passed_check = True
        """What the last active health check said."""
        self.in_flight = 0
        self._latencies: deque[float] = deque()
        self._latency_sum = 0.0

    @property
    def cookie(self) -> str:
        """The value by which a sticky cookie names it."""
        return cookie_value(self.name)

    def answered_in(self, seconds: float) -> None:
        """One more sample of the time to its first byte."""
        if len(self._latencies) == SAMPLES:
            self._latency_sum -= self._latencies.popleft()
        self._latencies.append(seconds)
        self._latency_sum += seconds

    @property
    def mean_seconds(self) -> float:
        """Mean time to its first byte; zero before its first answer, so that it gets some."""
        return self._latency_sum / len(self._latencies) if self._latencies else 0.0

    def __repr__(self) -> str:
        state = "up" if self.is_up else "down"
        return f"<Candidate {self.name} {state}, weight {self.weight}>"


def cookie_value(name: str) -> str:
    """First 16 hex digits of SHA-256 over a server's URL or a service's name.

    >>> cookie_value("http://127.0.0.1:8081")
    '08d5f409490f61fc'
    """
    return sha256(name.encode()).hexdigest()[:16]
