"""RateLimit in Redis: one bucket for a source over all routers and all proxies that use the same middleware.

A bucket is the hash `rate:<middleware>:<source>` with `last` (microseconds since 1970) and `tokens`, as the
original keeps it, so that both may work on the same Redis while one replaces the other. The clock is the proxy's.
Where Redis does not answer, requests fail: a limit that cannot be checked is no permission.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from functools import lru_cache
from typing import Final

from gevent import sleep

from config.middlewares_traffic import Redis
from workers.errors import Answer, Failure, Side
from workers.exchange import Exchange, Handler
from workers.middlewares.base import Context, Wrap
from workers.middlewares.rate_limit import NO_BUCKET, Pace, refuse
from workers.middlewares.source import Source
from workers.redis_client import RedisClient, RedisUnavailable, Script, redis_client

NO_BURST: Final = Failure("rate_limited", Side.CLIENT, 429, Answer.TEXT, b"No bursty traffic allowed\n")

TAKE: Final = Script("""
local now, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local burst, longest_wait = tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = redis.call('HMGET', KEYS[1], 'last', 'tokens')
local tokens = burst
if kept[1] and kept[2] then
  local elapsed = math.max(0, now - tonumber(kept[1]))
  tokens = math.min(burst, tonumber(kept[2]) + elapsed * rate)
end
local wait = math.max(0, (1 - tokens) / rate)
local taken = wait <= longest_wait
if taken then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'last', ARGV[1], 'tokens', string.format('%.17g', tokens))
redis.call('EXPIRE', KEYS[1], ARGV[5])
return {taken and 1 or 0, string.format('%.17g', wait)}
""")
"""All times in microseconds, the rate in tokens a microsecond; the time to live in seconds."""

_LONGEST_SOURCE_BYTES: Final = 512
_NS: Final = 1_000_000_000
_NS_PER_US: Final = 1000


def redis_limited(options: Redis, pace: Pace, source: Source, context: Context) -> Wrap:
    """Raises BuildError. An average of 0 refuses everything here, unlike without Redis."""
    if pace.is_unlimited:
        return lambda handler: _refuse_all
    log = context.surroundings.log
    if options.min_idle_conns:
        _warn_of_idle_connections(log, context.name)
    client = redis_client(options)
    prefix = b"rate:%b:" % context.name.encode()

    def wrap(handler: Handler) -> Handler:
        def limited(exchange: Exchange) -> None:
            try:
                taken, wait_ns = take(client, prefix + _short(source(exchange.request)), pace)
            except RedisUnavailable as error:
                log.error("rate limit not checked", extra={"middleware": context.name, "error": error})
                exchange.failure = NO_BUCKET
                exchange.respond_error(NO_BUCKET)
                return
            if not taken:
                refuse(exchange, wait_ns)
                return
            if wait_ns:
                sleep(wait_ns / _NS)
            handler(exchange)

        return limited

    return wrap


def _short(source: bytes) -> bytes:
    """A source may be a header of a megabyte, and Redis would keep it as a key."""
    if len(source) <= _LONGEST_SOURCE_BYTES:
        return source
    return b"blake2b-" + hashlib.blake2b(source, digest_size=32).hexdigest().encode()


@lru_cache(maxsize=1024)
def _warn_of_idle_connections(log: logging.Logger, name: str) -> None:
    """Once, not for each router and reload."""
    log.warning(
        "minIdleConns has no effect, connections to Redis are opened as needed", extra={"middleware": name}
    )


def take(client: RedisClient, key: bytes, pace: Pace) -> tuple[bool, int]:
    """As TokenBuckets.take. Raises RedisUnavailable."""
    now_us = time.time_ns() // _NS_PER_US
    rate = _NS_PER_US / pace.interval_ns
    arguments = (now_us, rate, pace.burst, pace.longest_wait_ns / _NS_PER_US, pace.ttl_seconds)
    reply = client.run(TAKE, key, arguments)
    try:
        taken, wait_us = bool(int(reply[0])), float(reply[1])
    except (TypeError, ValueError, IndexError) as error:
        raise RedisUnavailable(f"strange reply of the script: {reply!r}") from error
    return taken, math.ceil(wait_us * _NS_PER_US)


def _refuse_all(exchange: Exchange) -> None:
    exchange.failure = NO_BURST
    exchange.respond_error(NO_BURST)
