"""All that watches the servers of one service: the prober, the board's view, the passive check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from config.http import LoadBalancer
from config.units import DurationError, parse_duration
from workers.building import BuildError
from workers.upstream.health import HealthBoard, Ledger
from workers.upstream.passive import DEFAULT_WINDOW_SECONDS, PassiveCheck
from workers.upstream.probing import CheckOptions, Prober
from workers.upstream.servers import HealthWatch, Servers
from workers.upstream.transport import Transport

_KEPT_INTERVALS: Final = 3
_KEPT_SECONDS: Final = 600
"""A verdict outlives at least so many intervals, and so long beyond, without a new one: another worker has to take
over probing, and a loop over many servers that all have to time out takes its time.
"""


class Monitor:
    """Of a load balancer with a health check of either kind; does nothing before `start` and after `stop`."""

    __slots__ = ("_board", "_current", "_ledger", "_options", "_prober", "_transport", "_watch", "passive")

    def __init__(
        self,
        service: str,
        config: LoadBalancer,
        transport: Transport,
        board: HealthBoard,
        current: Callable[[], Servers],
    ) -> None:
        """`current` gives the service's servers of the moment. Raises BuildError."""
        check, passive = config.health_check, config.passive_health_check
        self._options = CheckOptions.of(check) if check is not None else None
        window = _window(passive.failure_window) if passive is not None else 0.0
        longest = self._options.longest_seconds if self._options is not None else 0.0
        ttl = max(longest * _KEPT_INTERVALS, 2 * window) + _KEPT_SECONDS
        self._board = board
        # another check, another verdict: the options are part of what the words are found by
        identity = f"{service} {msgspec.json.encode([check, passive]).decode()}"
        self._ledger = Ledger(board, identity, round(ttl))
        self._watch = HealthWatch(self._ledger, current, has_verdicts=check is not None)
        self._transport = transport
        self._current = current
        self._prober: Prober | None = None
        self.passive: PassiveCheck | None = None
        if passive is not None:
            self.passive = PassiveCheck(passive, window, identity, self._ledger, board, active=check is not None)

    def refresh(self) -> None:
        """After the servers were exchanged: what is known of the new ones?"""
        self._board.refresh(self._watch)

    def start(self) -> None:
        self._board.watch(self._watch)
        if self._options is not None and self._prober is None:
            self._prober = Prober(
                self._options,
                self._transport,
                lambda: list(self._current().candidates),
                self._board.may_probe,
                self._ledger.write,
            )

    def stop(self) -> None:
        self._board.forget(self._watch)
        if self._prober is not None:
            self._prober.stop()
            self._prober = None


def _window(text: str) -> float:
    try:
        seconds = parse_duration(text) if text else DEFAULT_WINDOW_SECONDS
    except DurationError as error:
        raise BuildError(f"passive health check failureWindow: {error}") from error
    return seconds if seconds > 0 else DEFAULT_WINDOW_SECONDS
