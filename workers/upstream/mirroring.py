"""Mirroring: some requests are repeated to other services, whose answers nobody sees.

The main service comes first. When its answer is complete the mirrors are asked one after the other in a
greenlet of their own, each with the request as it was; whatever they do, the client notices nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

import gevent

from workers.errors import CLIENT_GONE, Failure, ProxyError
from workers.exchange import Exchange, Handler, Header, Note, Request, ResponseHead
from workers.middlewares.bodies import NO_LIMIT, Replayed, copied, read_whole
from workers.middlewares.spool import Spool
from workers.stream import StreamError

MEMORY_BYTES: Final = 1 << 18
"""So much of a body is kept in memory, the rest in a file."""
MOST_UNDER_WAY: Final = 1000
"""Requests of one service whose mirrors are still being asked; beyond that none are mirrored."""

_asking: Final[set[gevent.Greenlet]] = set()
"""Everything of this worker that asks mirrors."""

log = logging.getLogger(__name__)


def wait_for_mirrors(seconds: float) -> bool:
    """Wait until no mirror of this worker is being asked any more; False if that takes longer.

    For the end of a worker, when nothing new comes.
    """
    gevent.joinall(list(_asking), timeout=seconds)
    return not _asking


class Mirror:
    """One service that gets `percent` of the requests, evenly spread."""

    __slots__ = ("_sent", "_total", "handler", "name", "percent")

    def __init__(self, name: str, handler: Handler, percent: int) -> None:
        self.name = name
        self.handler = handler
        self.percent = percent
        self._sent = self._total = 0

    def takes(self) -> bool:
        """Count one request; is it one of the mirror's?"""
        self._total += 1
        if self._sent * 100 >= self._total * self.percent:
            return False
        self._sent += 1
        return True


class MirroringHandler:
    """The main service, and who else is asked."""

    __slots__ = ("_limit", "_main", "_mirrors", "_under_way", "_with_body")

    def __init__(self, main: Handler, mirrors: Sequence[Mirror], *, with_body: bool, limit_bytes: int) -> None:
        """`limit_bytes` of a body: larger ones are not mirrored; negative for no limit."""
        self._main = main
        self._mirrors = list(mirrors)
        self._with_body = with_body
        self._limit = limit_bytes if limit_bytes >= 0 else NO_LIMIT
        self._under_way = 0

    def __call__(self, exchange: Exchange) -> None:
        mirrors = [one for one in self._mirrors if one.takes()]
        if not mirrors or self._under_way >= MOST_UNDER_WAY:
            self._main(exchange)
        elif self._with_body and exchange.request.content_length:
            self._with_copy(exchange, mirrors)
        else:
            request = copied(exchange.request)
            request.content_length = 0
            self._main_first(exchange, exchange, mirrors, request, Spool(0))

    def _with_copy(self, exchange: Exchange, mirrors: Sequence[Mirror]) -> None:
        spool = Spool(MEMORY_BYTES)
        try:
            request = copied(exchange.request)
            fits = read_whole(exchange, spool, self._limit)
        except BaseException:
            spool.close()
            raise
        request.content_length = spool.size
        self._main_first(exchange, _Continued(exchange, spool), mirrors if fits else (), request, spool)

    def _main_first(
        self, exchange: Exchange, given: Exchange, mirrors: Sequence[Mirror], request: Request, spool: Spool
    ) -> None:
        """Ask the main service, then, also where it failed, leave `request` and `spool` to the mirrors."""
        handed_over = False
        try:
            self._main(given)
            handed_over = self._spawn(exchange, mirrors, request, spool)
        except ProxyError as error:
            handed_over = error.failure is not CLIENT_GONE and self._spawn(exchange, mirrors, request, spool)
            raise
        finally:
            if not handed_over:
                spool.close()

    def _spawn(self, exchange: Exchange, mirrors: Sequence[Mirror], request: Request, spool: Spool) -> bool:
        if not mirrors or exchange.client_gone:
            return False
        self._under_way += 1
        note = exchange.note.repeated() if exchange.note is not None else None
        greenlet = gevent.spawn(self._ask, mirrors, request, spool, note)
        _asking.add(greenlet)
        greenlet.rawlink(_asking.discard)
        return True

    def _ask(self, mirrors: Sequence[Mirror], request: Request, spool: Spool, note: Note | None) -> None:
        try:
            for mirror in mirrors:
                try:
                    mirror.handler(Replayed(_Nowhere(copied(request), note), spool))
                except (ProxyError, StreamError) as error:
                    log.debug("mirror %s: %s", mirror.name, error)
                except Exception:
                    log.exception("mirror %s failed", mirror.name)
        finally:
            self._under_way -= 1
            spool.close()


class _Continued(Replayed):
    """What was read of the body, then the rest of it."""

    __slots__ = ()

    def read_body(self) -> bytes:
        return super().read_body() or self.inner.read_body()

    def take_body(self) -> bytes:
        return super().take_body() or self.inner.take_body()

    @property
    def body_complete(self) -> bool:
        return not self._cursor.left and self.inner.body_complete

    def cancel_read(self) -> None:
        self.inner.cancel_read()


class _Nowhere(Exchange):
    """An exchange without a client: what is answered is thrown away. Its request has no body of its own."""

    __slots__ = ()

    def __init__(self, request: Request, note: Note | None) -> None:
        super().__init__(request, note)
        request.upgrade = b""
        request.expect_continue = False

    def respond_error(self, failure: Failure) -> None:
        self.status = failure.status

    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        self.status = head.status

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        """Nobody notices."""

    def inform(self, status: int, headers: Iterable[Header]) -> None:
        """Nobody waits for it."""

    def read_body(self) -> bytes:
        return b""

    @property
    def body_complete(self) -> bool:
        return True

    def take_body(self) -> bytes:
        return b""

    def cancel_read(self) -> None:
        """Nobody reads."""

    def upgrade(self, head: ResponseHead, first: bytes) -> NoReturn:
        raise StreamError("a mirror switches no protocols")
