"""Middlewares with durations and defaults: circuitBreaker, compress, rateLimit, retry.

A field that the object leaves out keeps its default, one that it sets to zero does not.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from config.middlewares_responses import COMPRESS_DEFAULTS, Compress
from config.middlewares_traffic import (
    CIRCUIT_BREAKER_DEFAULTS,
    RATE_LIMIT_DEFAULTS,
    REDIS_DEFAULTS,
    RETRY_DEFAULTS,
    CircuitBreaker,
    RateLimit,
    Redis,
    Retry,
)
from config.shape import Shape
from config.units import DurationError, format_duration, parse_duration
from provider.findings import Rejected
from provider.resources import traefik_middlewares as written
from provider.resources.traefik_middlewares import Duration
from provider.translate.conversion import Conversion
from provider.translate.credentials import redis_credentials
from provider.translate.holder import Holder
from provider.translate.middleware_auth import client_tls

S = TypeVar("S", bound=Shape)

ZERO: Final = "0s"
_LONGEST_SECONDS: Final = 9_223_372_036
"""What the original can count in nanoseconds, 292 years."""


def circuit_breaker(conversion: Conversion, given: written.CircuitBreaker, field: str) -> CircuitBreaker:
    return _over(
        CIRCUIT_BREAKER_DEFAULTS,
        expression=given.expression,
        check_period=_duration(given.check_period, f"{field}.checkPeriod"),
        fallback_duration=_duration(given.fallback_duration, f"{field}.fallbackDuration"),
        recovery_duration=_duration(given.recovery_duration, f"{field}.recoveryDuration"),
        response_code=given.response_code or None,
    )


def compress(conversion: Conversion, given: written.Compress, field: str) -> Compress:
    return _over(
        COMPRESS_DEFAULTS,
        excluded_content_types=given.excluded_content_types,
        included_content_types=given.included_content_types,
        min_response_body_bytes=given.min_response_body_bytes,
        encodings=given.encodings,
        default_encoding=given.default_encoding,
    )


def retry(conversion: Conversion, given: written.Retry, field: str) -> Retry:
    return _over(
        RETRY_DEFAULTS,
        attempts=given.attempts,
        timeout=_duration(given.timeout, f"{field}.timeout"),
        initial_interval=_duration(given.initial_interval, f"{field}.initialInterval"),
        max_request_body_bytes=given.max_request_body_bytes,
        status=given.status,
        disable_retry_on_network_error=given.disable_retry_on_network_error,
        retry_non_idempotent_method=given.retry_non_idempotent_method,
    )


def rate_limit(conversion: Conversion, given: written.RateLimit, field: str) -> RateLimit:
    return _over(
        RATE_LIMIT_DEFAULTS,
        average=given.average,
        period=_duration(given.period, f"{field}.period"),
        burst=given.burst,
        source_criterion=given.source_criterion,
        redis=_redis(conversion.holder, given.redis, f"{field}.redis") if given.redis else None,
    )


def _redis(holder: Holder, given: written.Redis, field: str) -> Redis:
    username = password = ""
    if given.secret:
        username, password = redis_credentials(holder, given.secret, f"{field}.secret")
    return _over(
        REDIS_DEFAULTS,
        endpoints=given.endpoints or None,
        tls=client_tls(holder, given.tls, f"{field}.tls") if given.tls else None,
        username=username,
        password=password,
        db=given.db,
        pool_size=given.pool_size,
        min_idle_conns=given.min_idle_conns,
        max_active_conns=given.max_active_conns,
        read_timeout=_duration(given.read_timeout, f"{field}.readTimeout", zero=ZERO),
        write_timeout=_duration(given.write_timeout, f"{field}.writeTimeout", zero=ZERO),
        dial_timeout=_duration(given.dial_timeout, f"{field}.dialTimeout", zero=ZERO),
    )


def _over(defaults: S, **given: Any) -> S:
    """`defaults` with every field that was given, which is all but those that are None."""
    return msgspec.structs.replace(defaults, **{name: value for name, value in given.items() if value is not None})


def _duration(value: Duration, field: str, zero: str = "") -> str | None:
    """Go text of a duration, `zero` for zero, None for an absent one. Raises Rejected."""
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except DurationError as error:
        raise Rejected("InvalidDuration", str(error), field=field) from error
    if abs(seconds) > _LONGEST_SECONDS:
        raise Rejected(
            "InvalidDuration", "no duration may be longer than 292 years", field=field, advice="shorten it"
        )
    return format_duration(seconds) if seconds else zero
