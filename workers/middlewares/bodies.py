"""Request bodies that are read before they are passed on, and answers that do not go to the client by themselves.

What Buffering, Retry, Errors and ForwardAuth build on. A body read in full is a Spool; `Replayed` gives it to the
handlers inside as if it came from the client, as often as there are Replayed made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workers.exchange import Exchange, Request
from workers.middlewares.spool import Cursor, Spool
from workers.stream import StreamError
from workers.wrapping import WrappedExchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.exchange import Header, ResponseHead

NO_LIMIT: Final = -1
_DROPPED_BYTES: Final = 1 << 20
"""So much of a body that nobody sees is read, so that the server's connection may be used again."""
_WITHOUT_BODY: Final = frozenset({204, 304})


def copied(request: Request) -> Request:
    """A twin that may be changed without the first one noticing."""
    twin = Request.__new__(Request)
    for name in Request.__slots__:
        if hasattr(request, name):
            setattr(twin, name, getattr(request, name))
    twin._headers = list(request._headers)
    return twin


def read_whole(exchange: Exchange, spool: Spool, limit_bytes: int = NO_LIMIT) -> bool:
    """Read what is left of the request body into `spool`; False as soon as that is more than the limit.

    A length that is too large is not read at all. Raises as `read_body`.
    """
    if 0 <= limit_bytes < exchange.request.content_length:
        return False
    while not exchange.body_complete:
        piece = exchange.read_body()
        spool.append(piece)
        if 0 <= limit_bytes < spool.size:
            return False
    return True


class Replayed(WrappedExchange):
    """The exchange with a request body from a spool. Give it a request of its own if the body was changed."""

    __slots__ = ("_cursor",)

    def __init__(self, inner: Exchange, spool: Spool, request: Request | None = None) -> None:
        super().__init__(inner)
        self._cursor = Cursor(spool)
        if request is not None:
            self.request = request

    def read_body(self) -> bytes:
        return self._cursor.read()

    @property
    def body_complete(self) -> bool:
        return not self._cursor.left

    def take_body(self) -> bytes:
        return self._cursor.read()

    def cancel_read(self) -> None:
        """Reading does not wait for anybody."""


class Dropped(StreamError):
    """Enough has come of a body that nobody sees: for the one who made the Sieve."""


class Sieve(WrappedExchange):
    """Lets an answer pass, or catches it: then nothing of it reaches the client, and `caught` is its status.

    Subclasses say what is caught. Raises Dropped out of the handlers inside where a caught body is too long.
    """

    __slots__ = ("_dropped", "caught")

    def __init__(self, inner: Exchange) -> None:
        super().__init__(inner)
        self._dropped = 0
        self.caught = 0

    def catches(self, status: int) -> bool:
        """Asked once, when the final head is there."""
        raise NotImplementedError

    @property
    def status(self) -> int:
        return self.caught or self.inner.status

    @status.setter
    def status(self, value: int) -> None:
        self.inner.status = value

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        if self.catches(head.status):
            self.caught = head.status
            self._drop(body)
        else:
            self.inner.send(head, body, complete)

    def write(self, data: bytes) -> None:
        if self.caught:
            self._drop(data)
        else:
            self.inner.write(data)

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        if not self.caught:
            self.inner.finish(data, trailers)

    def abort(self) -> None:
        if not self.caught:
            self.inner.abort()

    def _drop(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > _DROPPED_BYTES:
            raise Dropped("the body of an answer that is replaced")


class Kept(WrappedExchange):
    """Keeps head and body of the answer; 1xx go nowhere, an upgrade does. Subclasses may refuse in `accept`.

    `cut`: the answer could not be completed.
    """

    __slots__ = ("cut", "head", "spool", "trailers")

    def __init__(self, inner: Exchange, spool: Spool) -> None:
        super().__init__(inner)
        self.cut = False
        self.spool = spool
        self.head: ResponseHead | None = None
        self.trailers: Sequence[Header] = ()

    @property
    def status(self) -> int:
        return self.head.status if self.head is not None else self.inner.status

    @status.setter
    def status(self, value: int) -> None:
        self.inner.status = value

    def abort(self) -> None:
        self.cut = True

    def inform(self, status: int, headers: object) -> None:
        """Nobody waits for it."""

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        self.head = head
        self.write(body)

    def write(self, data: bytes) -> None:
        if data and not self.is_silent:
            self.accept(data)

    def accept(self, data: bytes) -> None:
        self.spool.append(data)

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self.write(data)
        self.trailers = trailers

    @property
    def is_silent(self) -> bool:
        """Is there no body whatever the head says?"""
        return self.status in _WITHOUT_BODY or self.request.method == b"HEAD"
