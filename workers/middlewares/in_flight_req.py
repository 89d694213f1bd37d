"""InFlightReq: at most so many requests of one source at a time, over all workers; the next gets 429 at once.

A request counts until its response is completely written, a tunnel until it closes. A worker that dies takes its
counts with it (workers/shared_gauges.py).
"""

from __future__ import annotations

from config.middlewares_traffic import InFlightReq
from workers.errors import LIMIT_UNKNOWN, Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.source import request_source
from workers.shared import CellsBusy, shared_state


def in_flight_req(options: InFlightReq, context: Context) -> Wrap:
    """Without a criterion requests are counted by Host. Raises BuildError."""
    try:
        source = request_source(options.source_criterion, by_host=True)
    except BuildError as error:
        raise BuildError(f"error creating requests limiter: {error}") from error
    amount = options.amount
    body = b"max connections reached: %d" % amount
    full = Failure("too_many_in_flight", Side.CLIENT, 429, Answer.PLAIN, body)
    gauge = shared_state(context.surroundings.shared).gauge(context.identity(options))

    def wrap(handler: Handler) -> Handler:
        def limited(exchange: Exchange) -> None:
            token = source(exchange.request)
            try:
                has_place = gauge.enter(token, amount)
            except CellsBusy as error:
                raise ProxyError(LIMIT_UNKNOWN, str(error)) from error
            if not has_place:
                exchange.failure = full
                exchange.respond_error(full)
                return
            try:
                handler(exchange)
            finally:
                gauge.leave(token)

        return limited

    return wrap
