"""Whole bodies in both directions before anything goes on, with limits; and asking again on a condition.

The server sees the request only when all of it is there, with its length; the client sees the response only when
the server is done. What exceeds the memory limits waits in a file. A request without a body is never repeated: as
in the original, to repeat means to send what has been buffered once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from config.middlewares_traffic import Buffering
from workers.errors import CLIENT_GONE, CRASHED, Answer, Failure, ProxyError, Side
from workers.exchange import UNKNOWN_LENGTH, Exchange, Handler, Request, ResponseHead
from workers.middlewares import fields
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.bodies import NO_LIMIT, Kept, Replayed, copied, read_whole
from workers.middlewares.conditions import Condition, Function, compile_condition
from workers.middlewares.sniffing import SNIFFED_BYTES
from workers.middlewares.spool import Cursor, Spool
from workers.stream import StreamError
from workers.wrapping import answered

DEFAULT_MEMORY_BYTES: Final = 1 << 20
MOST_ATTEMPTS: Final = 11
TOO_LARGE: Final = Failure("request_too_large", Side.CLIENT, 413, Answer.PLAIN, b"Request Entity Too Large")
RESPONSE_TOO_LARGE: Final = Failure(
    "buffered_response_too_large", Side.UPSTREAM, 500, Answer.PLAIN, b"Internal Server Error"
)


class _Attempt(NamedTuple):
    """What a retry expression can ask about."""

    number: int
    status: int
    method: str


_FUNCTIONS: Final[Mapping[str, Function[_Attempt]]] = {
    "Attempts": Function((), int, lambda attempt: attempt.number),
    "ResponseCode": Function((), int, lambda attempt: attempt.status),
    "IsNetworkError": Function((), bool, lambda attempt: attempt.status in (502, 504)),
    "RequestMethod": Function((), str, lambda attempt: attempt.method),
}


def buffering(options: Buffering, context: Context) -> Wrap:
    request_sizes = _Sizes.of(options.max_request_body_bytes, options.mem_request_body_bytes)
    response_sizes = _Sizes.of(options.max_response_body_bytes, options.mem_response_body_bytes)
    again: Condition[_Attempt] | None = None
    if options.retry_expression:
        again = compile_condition(options.retry_expression, _FUNCTIONS)

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            body = Spool(request_sizes.memory_bytes)
            try:
                if read_whole(exchange, body, request_sizes.limit_bytes):
                    _attempts(exchange, inner, body, response_sizes, again)
                else:
                    exchange.respond_error(TOO_LARGE)
            finally:
                body.close()

        return handler

    return wrap


class _Sizes(NamedTuple):
    limit_bytes: int
    memory_bytes: int

    @classmethod
    def of(cls, limit: int, memory: int) -> _Sizes:
        """From options, where 0 is the default. Raises BuildError."""
        if limit < 0:
            raise BuildError(f"max bytes should be >= 0 got {limit}")
        if memory < 0:
            raise BuildError(f"mem bytes should be >= 0 got {memory}")
        memory = memory or DEFAULT_MEMORY_BYTES
        return cls(limit or NO_LIMIT, min(memory, limit) if limit else memory)


def _attempts(
    exchange: Exchange, inner: Handler, body: Spool, sizes: _Sizes, again: Condition[_Attempt] | None
) -> None:
    request = _with_length(exchange.request, body.size)
    for number in range(1, MOST_ATTEMPTS + 1):
        exchange.failure = None  # that of an attempt before is not why this answer is given
        answer = _Bounded(exchange, Spool(sizes.memory_bytes), sizes.limit_bytes)
        try:
            if not _ask(inner, Replayed(answer, body, copied(request)), answer):
                return
            head = answer.head
            assert head is not None
            attempt = _Attempt(number, head.status, request.method.decode("latin-1"))
            if number == MOST_ATTEMPTS or again is None or not body.size or not again(attempt):
                _send(exchange, answer, head)
                return
        finally:
            answer.spool.close()
        if exchange.client_gone:
            raise ProxyError(CLIENT_GONE)


def _ask(inner: Handler, exchange: Exchange, answer: _Bounded) -> bool:
    """One attempt; False if there is nothing left to be sent to the client."""
    try:
        answered(inner, exchange)
    except _TooLarge:
        answer.inner.respond_error(RESPONSE_TOO_LARGE)
        return False
    if answer.cut:
        raise ProxyError(CRASHED, "the response broke off")
    return answer.head is not None  # None: upgraded, or the client's connection ends without a word


def _with_length(request: Request, size: int) -> Request:
    request = copied(request)
    request.content_length = size
    request.expect_continue = False
    return request


class _TooLarge(StreamError):
    """The response has more bytes than it may have."""


class _Bounded(Kept):
    """A response kept up to a size."""

    __slots__ = ("_limit",)

    def __init__(self, inner: Exchange, spool: Spool, limit_bytes: int) -> None:
        super().__init__(inner, spool)
        self._limit = limit_bytes

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        self.head = head
        if 0 <= self._limit < (len(body) if self.is_silent else head.content_length):
            raise _TooLarge
        super().forward(head, body, complete)

    def accept(self, data: bytes) -> None:
        if 0 <= self._limit < self.spool.size + len(data):
            raise _TooLarge
        super().accept(data)


def _send(exchange: Exchange, answer: _Bounded, head: ResponseHead) -> None:
    """Everything that was kept."""
    if answer.is_silent:
        exchange.send(head, b"", complete=True)
        return
    if fields.first(head.headers, b"grpc-status") not in (b"", b"0"):
        answer.spool.close()
    head.content_length = UNKNOWN_LENGTH if answer.trailers else answer.spool.size
    cursor = Cursor(answer.spool)
    first = cursor.read()
    while len(first) < SNIFFED_BYTES and cursor.left:  # few bytes in memory must not decide what the body is
        first += cursor.read()
    complete = not cursor.left and not answer.trailers
    exchange.send(head, first, complete)
    if not complete:
        while piece := cursor.read():
            exchange.write(piece)
        exchange.finish(b"", answer.trailers)
