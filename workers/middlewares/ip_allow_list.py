"""IPAllowList, and IPWhiteList as it used to be called: who may pass by address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from config.middlewares_source import IPAllowList, IPStrategy, IPWhiteList
from workers.building import BuildError
from workers.errors import Answer, Failure, Side
from workers.exchange import Exchange, Handler
from workers.middlewares.base import Context, Wrap
from workers.middlewares.source import AddressPool, address_source
from workers.phrases import reason_phrase

_FORBIDDEN: Final = 403


def ip_allow_list(options: IPAllowList, context: Context) -> Wrap:
    """Others are answered with `reject_status_code`."""
    status = options.reject_status_code or _FORBIDDEN
    if not options.source_range:
        raise BuildError("sourceRange is empty, IPAllowLister not created")
    pool = _pool(options.source_range, "cannot parse CIDRs")
    if not reason_phrase(status):
        raise BuildError(f"invalid HTTP status code {status}")
    return _check(pool, options.ip_strategy, status)


def ip_white_list(options: IPWhiteList, context: Context) -> Wrap:
    """Others are answered with 403."""
    if not options.source_range:
        raise BuildError("sourceRange is empty, IPWhiteLister not created")
    return _check(_pool(options.source_range, "cannot parse CIDR whitelist"), options.ip_strategy, _FORBIDDEN)


def _pool(source_range: Sequence[str], message: str) -> AddressPool:
    try:
        return AddressPool(source_range)
    except BuildError as error:
        raise BuildError(f"{message} [{' '.join(source_range)}]: {error}") from None


def _check(pool: AddressPool, strategy: IPStrategy | None, status: int) -> Wrap:
    source = address_source(strategy)
    refusal = Failure("address_refused", Side.CLIENT, status, Answer.PLAIN, reason_phrase(status))

    def wrap(handler: Handler) -> Handler:
        def checked(exchange: Exchange) -> None:
            if source(exchange.request) in pool:
                handler(exchange)
            else:
                exchange.respond_error(refusal)

        return checked

    return wrap
