"""Options of the middlewares that decide how much, how often and how many times.

Durations are Go text and empty means zero, which Traefik leaves out. Only the timeouts of Redis tell zero (`0s`)
from absent.
"""

from __future__ import annotations

from typing import Final

from config.middlewares_auth import ClientTLS
from config.middlewares_source import SourceCriterion
from config.shape import Shape


class Buffering(Shape, frozen=True, kw_only=True):
    """A maximum of 0 means no limit, a memory size of 0 one MiB."""

    max_request_body_bytes: int = 0
    mem_request_body_bytes: int = 0
    max_response_body_bytes: int = 0
    mem_response_body_bytes: int = 0
    retry_expression: str = ""


class CircuitBreaker(Shape, frozen=True, kw_only=True):
    expression: str = ""
    check_period: str = ""
    fallback_duration: str = ""
    recovery_duration: str = ""
    response_code: int = 0


CIRCUIT_BREAKER_DEFAULTS: Final = CircuitBreaker(
    check_period="100ms", fallback_duration="10s", recovery_duration="10s", response_code=503
)


class InFlightReq(Shape, frozen=True, kw_only=True):
    """At most `amount` requests of one source at a time; without a criterion the request's host is the source."""

    amount: int = 0
    source_criterion: SourceCriterion | None = None


class Redis(Shape, frozen=True, kw_only=True):
    """Where limits are kept that several proxies share. Sizes of 0 mean the client library's own."""

    endpoints: list[str] = []
    tls: ClientTLS | None = None
    username: str = ""
    password: str = ""
    db: int = 0
    pool_size: int = 0
    min_idle_conns: int = 0
    max_active_conns: int = 0
    read_timeout: str | None = None
    write_timeout: str | None = None
    dial_timeout: str | None = None


REDIS_DEFAULTS: Final = Redis(
    endpoints=["localhost:6379"], read_timeout="3s", write_timeout="3s", dial_timeout="5s"
)


class RateLimit(Shape, frozen=True, kw_only=True):
    """`average` requests a `period`; an average of 0 means no limit.

    Without a criterion the peer of the connection is the source.
    """

    average: int = 0
    period: str = ""
    burst: int = 0
    source_criterion: SourceCriterion | None = None
    redis: Redis | None = None


RATE_LIMIT_DEFAULTS: Final = RateLimit(period="1s", burst=1)


class Retry(Shape, frozen=True, kw_only=True):
    """`attempts` counts the first try. `max_request_body_bytes`: -1 means no limit."""

    attempts: int = 0
    timeout: str = ""
    initial_interval: str = ""
    max_request_body_bytes: int | None = None
    status: list[str] = []
    disable_retry_on_network_error: bool = False
    retry_non_idempotent_method: bool = False


RETRY_DEFAULTS: Final = Retry(max_request_body_bytes=2 << 20)
