"""RateLimit: so many requests a period from one source; who comes a little early is held, others get 429.

The buckets are shared by all workers (workers/shared_words.py) and live as long as neither the options nor the
middleware's place change. With `redis` they are in Redis instead, see rate_limit_redis.py.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from gevent import sleep

from config.middlewares_traffic import RateLimit
from config.units import DurationError, format_duration, parse_duration
from workers.errors import Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.source import Source, request_source
from workers.shared import CellsBusy, TokenBuckets, shared_state

RATE_LIMITED: Final = Failure("rate_limited", Side.CLIENT, 429, Answer.PLAIN, b"Too Many Requests")
NO_BUCKET: Final = Failure(
    "rate_limit_unavailable", Side.PROXY, 500, Answer.TEXT, b"Could not insert/update bucket\n"
)
"""Whether the request may pass cannot be told, so it may not."""

_NS: Final = 1_000_000_000
_SLOWEST_WAIT_NS: Final = _NS // 2


class Pace(NamedTuple):
    """What the options come to."""

    interval_ns: float
    """Between two tokens; 0 for no limit."""
    burst: int
    longest_wait_ns: int
    """Who would have to wait longer is refused."""
    ttl_seconds: int
    """A source that stays away so long starts with a full bucket again."""

    @property
    def is_unlimited(self) -> bool:
        return not self.interval_ns


def pace_of(options: RateLimit) -> Pace:
    """Raises BuildError for a period that is negative or no duration."""
    try:
        period_ns = round(parse_duration(options.period) * _NS) if options.period else 0
    except DurationError as error:
        raise BuildError(f"period: {error}") from error
    if period_ns < 0:
        raise BuildError(f"negative value not valid for period: {format_duration(period_ns / _NS)}")
    burst = max(1, options.burst)
    if options.average <= 0:
        return Pace(0, burst, 0, 1)
    interval_ns = (period_ns or _NS) / options.average
    rate = _NS / interval_ns
    if rate < 1:
        return Pace(interval_ns, burst, _SLOWEST_WAIT_NS, 1 + int(1 / rate))
    return Pace(interval_ns, burst, _NS // (int(rate) * 2), 2)


def rate_limit(options: RateLimit, context: Context) -> Wrap:
    """Raises BuildError."""
    try:
        source = request_source(options.source_criterion)
    except BuildError as error:
        raise BuildError(f"getting source extractor: {error}") from error
    pace = pace_of(options)
    if options.redis is not None:
        from workers.middlewares.rate_limit_redis import redis_limited  # the client library only where it is used

        return redis_limited(options.redis, pace, source, context)
    if pace.is_unlimited:
        return lambda handler: handler
    buckets = shared_state(context.surroundings.shared).buckets(
        context.identity(options),
        interval_ns=pace.interval_ns,
        burst=pace.burst,
        longest_wait_ns=pace.longest_wait_ns,
        ttl_seconds=pace.ttl_seconds,
    )
    return lambda handler: _limited(handler, buckets, source)


def _limited(handler: Handler, buckets: TokenBuckets, source: Source) -> Handler:
    take = buckets.take

    def limited(exchange: Exchange) -> None:
        try:
            taken, wait_ns = take(source(exchange.request))
        except CellsBusy as error:
            raise ProxyError(NO_BUCKET, str(error)) from error
        if wait_ns:
            if not taken:
                refuse(exchange, wait_ns)
                return
            sleep(wait_ns / _NS)
        handler(exchange)

    return limited


def refuse(exchange: Exchange, wait_ns: int) -> None:
    """Too early by `wait_ns`."""
    exchange.failure = RATE_LIMITED
    headers = [
        (b"Retry-After", b"%d" % math.ceil(wait_ns / _NS)),
        (b"X-Retry-In", format_duration(wait_ns / _NS).encode()),
    ]
    exchange.respond(RATE_LIMITED.status, headers, RATE_LIMITED.body)
