"""CircuitBreaker: while a condition on recent responses holds, answer at once instead of asking what is behind.

One breaker for all workers: it trips after the same response for everybody, and the share that is let in while it
recovers is one share.
"""

from __future__ import annotations

import time
from typing import Final

from config.middlewares_traffic import CIRCUIT_BREAKER_DEFAULTS, CircuitBreaker
from config.units import DurationError, parse_duration
from workers.errors import LIMIT_UNKNOWN, Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.breaker_state import FUNCTIONS, Breaker, Times
from workers.middlewares.conditions import compile_condition
from workers.phrases import reason_phrase
from workers.shared import CellsBusy, shared_state
from workers.stream import StreamError
from workers.wrapping import answered

_NS: Final = 1_000_000_000
_UPGRADED: Final = 101
_GONE: Final = 499
_BODILESS: Final = (204, 304)


def circuit_breaker(options: CircuitBreaker, context: Context) -> Wrap:
    """Raises BuildError."""
    condition = compile_condition(options.expression, FUNCTIONS)
    defaults = CIRCUIT_BREAKER_DEFAULTS
    times = Times(
        _positive_ns(options.check_period, defaults.check_period),
        _positive_ns(options.fallback_duration, defaults.fallback_duration),
        _positive_ns(options.recovery_duration, defaults.recovery_duration),
    )
    fallback = _fallback(options.response_code or defaults.response_code)
    shared, log = shared_state(context.surroundings.shared), context.surroundings.log
    breaker = Breaker(shared, context.identity(options), condition, times)

    def on_trip() -> None:
        log.warning("circuit breaker tripped", extra={"middleware": context.name, "owner": context.owner})

    def wrap(handler: Handler) -> Handler:
        def guarded(exchange: Exchange) -> None:
            try:
                may_pass = breaker.lets_pass()
            except CellsBusy as error:
                raise ProxyError(LIMIT_UNKNOWN, str(error)) from error
            if not may_pass:
                exchange.failure = fallback
                exchange.respond_error(fallback)
                return
            started_ns = time.monotonic_ns()
            status = 0
            try:
                answered(handler, exchange)
                status = exchange.status
            except StreamError:
                status = exchange.status or _GONE
                raise
            finally:
                if status and _tripped(breaker, status, time.monotonic_ns() - started_ns):
                    on_trip()

        return guarded

    return wrap


def _tripped(breaker: Breaker, status: int, latency_ns: int) -> bool:
    """A sample that cannot be counted is no reason to fail a request that has been answered."""
    try:
        return breaker.record(200 if status == _UPGRADED else status, latency_ns)
    except CellsBusy:
        return False


def _fallback(status: int) -> Failure:
    if not 200 <= status <= 999:
        raise BuildError(f"responseCode {status} is not the status of a final response")
    body = b"" if status in _BODILESS else reason_phrase(status)
    return Failure("circuit_open", Side.UPSTREAM, status, Answer.PLAIN, body)


def _positive_ns(text: str, default: str) -> int:
    try:
        seconds = parse_duration(text) if text else 0.0
    except DurationError as error:
        raise BuildError(str(error)) from error
    return max(1, round((seconds if seconds > 0 else parse_duration(default)) * _NS))
