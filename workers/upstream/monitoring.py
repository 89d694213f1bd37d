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
"""A verdict outlives so many intervals without a new one: another worker has to take over probing."""


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
        ttl = max(self._options.longest_seconds * _KEPT_INTERVALS if self._options else 0.0, 2 * window, 10.0)
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
        self._watch.refresh()

    def start(self) -> None:
        self._board.watch(self._watch)
        self._watch.refresh()
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
