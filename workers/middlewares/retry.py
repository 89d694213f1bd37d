"""Try again: after a failure that no server can have noticed, and after listed statuses.

Each try starts from the request as it came. What a discarded try answered is dropped; a body that has gone to a
server without having been kept ends the tries, and so does the first byte for the client.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import gevent

from config.middlewares_traffic import Retry
from config.units import DurationError, parse_go_duration
from workers import errors
from workers.errors import Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler, Header, Request
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.bodies import Dropped, Sieve, copied, read_whole
from workers.middlewares.spool import Cursor, Spool
from workers.middlewares.statuses import is_in, parse_range
from workers.wrapping import answered

DEFAULT_BODY_BYTES: Final = 2 << 20
MOST_BODY_BYTES: Final = 1 << 30
"""Where the configuration knows no limit."""
_MEMORY_BYTES: Final = 1 << 20
_LOOK_SECONDS: Final = 0.25
"""How often a pause looks whether the client is still there."""
_NOT_REPEATED: Final = frozenset({b"POST", b"PATCH", b"LOCK"})
_UNREADABLE: Final = Failure(
    "unreadable_body", Side.CLIENT, 500, Answer.TEXT, b"Internal Server Error\n", closes=True
)


def retry(options: Retry, context: Context) -> Wrap:
    policy = _Policy(options)

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            body = _Body(exchange)
            try:
                _tries(exchange, inner, policy, body)
            finally:
                body.spool.close()

        return handler if options.attempts > 1 else inner

    return wrap


class _Policy:
    """Checked options."""

    def __init__(self, options: Retry) -> None:
        if options.attempts <= 0:
            raise BuildError(f"incorrect (or empty) value for attempt ({options.attempts})")
        if options.disable_retry_on_network_error and not options.status:
            raise BuildError("retry middleware requires at least HTTP status codes or retry on TCP")
        try:
            self.ranges = [parse_range(text) for text in options.status]
        except BuildError as error:
            raise BuildError(f"creating HTTP code ranges: {error}") from error
        self.attempts = options.attempts
        self.on_network_error = not options.disable_retry_on_network_error
        self._any_method = options.retry_non_idempotent_method
        self.timeout_seconds = _seconds("timeout", options.timeout)
        self._interval_seconds = _seconds("initialInterval", options.initial_interval)
        limit = options.max_request_body_bytes
        self.body_bytes = DEFAULT_BODY_BYTES if limit is None else limit
        if self.body_bytes < 0:
            self.body_bytes = MOST_BODY_BYTES

    def repeats(self, request: Request) -> bool:
        """May a status be a reason to send this request again?"""
        return bool(self.ranges) and (self._any_method or request.method not in _NOT_REPEATED)

    def pause_seconds(self, tried: int) -> float:
        """Before the try after so many: growing to the double, by chance between half and one and a half of it."""
        growth: float = 2 ** ((tried - 1) / (self.attempts - 1))
        return self._interval_seconds * growth * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def _seconds(field: str, text: str) -> float:
    try:
        return parse_go_duration(text) if text else 0.0
    except DurationError as error:
        raise BuildError(f"{field}: {error}") from error


def _tries(exchange: Exchange, inner: Handler, policy: _Policy, body: _Body) -> None:
    started = time.monotonic()
    request = exchange.request
    on_status = policy.repeats(request)
    if on_status and request.content_length:
        on_status = body.read(policy.body_bytes)
    for number in range(1, policy.attempts + 1):
        exchange.failure = None
        one = _Try(exchange, copied(request), body, policy, on_status, started, number == policy.attempts)
        with suppress(Dropped):
            answered(inner, one)
        if not one.caught:
            return
        if exchange.note is not None:
            exchange.note.retried()
        _wait(exchange, policy.pause_seconds(number))


def _wait(exchange: Exchange, seconds: float) -> None:
    until = time.monotonic() + seconds
    gevent.sleep(0)  # a connection that its server closed after an error is seen to be closed
    while not exchange.client_gone and (left := until - time.monotonic()) > 0:
        gevent.sleep(min(left, _LOOK_SECONDS))
    if exchange.client_gone:
        raise ProxyError(errors.CLIENT_GONE)


class _Body:
    """The request body as far as it has been kept; `lost` once some of it went out that was not."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.spool = Spool(_MEMORY_BYTES)
        self.lost = False

    def read(self, limit_bytes: int) -> bool:
        """Keep all of it, if it is not more than that."""
        try:
            return read_whole(self.exchange, self.spool, limit_bytes)
        except ProxyError as error:
            if error.failure is errors.CLIENT_GONE:
                raise
            raise ProxyError(_UNREADABLE, str(error)) from error

    @property
    def live_complete(self) -> bool:
        return self.exchange.body_complete


class _Try(Sieve):
    """One try: the body from its start, and an answer that is caught if another try is to follow."""

    __slots__ = ("_body", "_cursor", "_is_last", "_on_status", "_policy", "_started")

    def __init__(
        self,
        inner: Exchange,
        request: Request,
        body: _Body,
        policy: _Policy,
        on_status: bool,
        started: float,
        is_last: bool,
    ) -> None:
        super().__init__(inner)
        self.request = request
        self._body = body
        self._cursor = Cursor(body.spool)
        self._policy = policy
        self._on_status = on_status
        self._started = started
        self._is_last = is_last

    def catches(self, status: int) -> bool:
        policy = self._policy
        if self._is_last or self._body.lost:
            return False
        if policy.timeout_seconds and time.monotonic() - self._started >= policy.timeout_seconds:
            return False
        if self._on_status and is_in(status, policy.ranges):
            return True
        failure = self.failure
        return policy.on_network_error and failure is not None and failure.retry is errors.Retry.ALWAYS

    def inform(self, status: int, headers: Iterable[Header]) -> None:
        if self._is_last:
            self.inner.inform(status, headers)

    # The request body: what was kept, then what is still to come

    @property
    def body_complete(self) -> bool:
        return not self._cursor.left and self._body.live_complete

    def take_body(self) -> bytes:
        """Kept for the next try: a first write that fails has not gone anywhere."""
        if not self._cursor.left:
            self._body.spool.append(self.inner.take_body())
        return self._cursor.read()

    def read_body(self) -> bytes:
        if self._cursor.left:
            return self._cursor.read()
        if not self._body.live_complete:
            self._body.lost = True
        return self.inner.read_body()

    def cancel_read(self) -> None:
        self.inner.cancel_read()
