"""Services made of services: weighted, by highest random weight, failover. Mirroring is in mirroring.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from config.http import Cookie
from workers.errors import BODY_TOO_LARGE, NO_SERVER
from workers.exchange import Exchange, Handler
from workers.middlewares.bodies import NO_LIMIT, Dropped, Replayed, Sieve, copied, read_whole
from workers.middlewares.spool import Spool
from workers.middlewares.statuses import StatusRange, is_in
from workers.upstream.balancer import WeightedRoundRobin
from workers.upstream.sticky import Stickiness
from workers.upstream.strategies import Rendezvous
from workers.wrapping import answered

MEMORY_BYTES: Final = 1 << 20
"""A body that is kept for a second service: so much in memory, the rest in a file."""


class Child:
    """A service under another one."""

    __slots__ = ("handler", "name", "weight")

    def __init__(self, name: str, handler: Handler, weight: int) -> None:
        """`name` as the parent's configuration writes it."""
        self.name = name
        self.handler = handler
        self.weight = weight

    def __repr__(self) -> str:
        return f"<Child {self.name}, weight {self.weight}>"


class WeightedHandler:
    """Sends each request to one of several services by weight; a zero weight gets nothing."""

    __slots__ = ("_balancer", "_stickiness")

    def __init__(self, service: str, children: Sequence[Child], cookie: Cookie | None = None) -> None:
        self._balancer = WeightedRoundRobin([(one, one.weight) for one in children])
        self._stickiness: Stickiness[Child] | None = None
        if cookie is not None:
            usable = [(one, one.name) for one in children if one.weight > 0]
            self._stickiness = Stickiness(service, cookie, usable)

    def __call__(self, exchange: Exchange) -> None:
        if self._stickiness is None:
            child = self._balancer.pick()
        else:
            child = self._stickiness.pick(exchange, lambda _: True, lambda _: self._balancer.pick())
        if child is None:
            exchange.respond_error(NO_SERVER)
        else:
            child.handler(exchange)


class RendezvousHandler:
    """Every client address keeps to one service."""

    __slots__ = ("_rendezvous",)

    def __init__(self, children: Sequence[Child]) -> None:
        self._rendezvous = Rendezvous([(one, one.name, one.weight) for one in children])

    def __call__(self, exchange: Exchange) -> None:
        child = self._rendezvous.pick(exchange.request.peer_ip)
        if child is None:
            exchange.respond_error(NO_SERVER)
        else:
            child.handler(exchange)


class FailoverHandler:
    """The main service while it is up, else the fallback."""

    __slots__ = ("_fallback", "_is_up", "_main")

    def __init__(self, main: Handler, fallback: Handler, is_up: Callable[[], bool]) -> None:
        self._main = main
        self._fallback = fallback
        self._is_up = is_up

    def __call__(self, exchange: Exchange) -> None:
        if self._is_up():
            self._main(exchange)
        else:
            self._fallback(exchange)


class _Caught(Sieve):
    """Catches the main service's answers with a listed status; its 1xx go nowhere."""

    __slots__ = ("_ranges",)

    def __init__(self, inner: Exchange, ranges: Sequence[StatusRange]) -> None:
        super().__init__(inner)
        self._ranges = ranges

    def catches(self, status: int) -> bool:
        return is_in(status, self._ranges)

    def inform(self, status: int, headers: object) -> None:
        """They would have to be taken back if the answer is caught."""


class ErrorFailoverHandler:
    """Asks the fallback the same thing again if the main service's answer has a listed status, or if it is down.

    The request body is kept for that; one above `limit_bytes` is refused before anybody is asked.
    """

    __slots__ = ("_fallback", "_is_up", "_limit", "_main", "_ranges")

    def __init__(
        self,
        main: Handler,
        fallback: Handler,
        ranges: Sequence[StatusRange],
        limit_bytes: int | None,
        is_up: Callable[[], bool],
    ) -> None:
        self._main = main
        self._fallback = fallback
        self._ranges = list(ranges)
        self._limit = NO_LIMIT if limit_bytes is None else limit_bytes
        self._is_up = is_up

    def __call__(self, exchange: Exchange) -> None:
        if not self._is_up():
            self._fallback(exchange)
            return
        spool = Spool(MEMORY_BYTES)
        try:
            if not read_whole(exchange, spool, self._limit):
                exchange.respond_error(BODY_TOO_LARGE)
                return
            caught = _Caught(Replayed(exchange, spool, copied(exchange.request)), self._ranges)
            with suppress(Dropped):
                answered(self._main, caught)
            if caught.caught:
                self._fallback(Replayed(exchange, spool))
        finally:
            spool.close()
