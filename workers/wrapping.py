"""Exchanges around exchanges: how a middleware gets between a handler and the client.

A middleware that changes or keeps a body gives the next handler a WrappedExchange of its own. Whatever it does
not override goes to the exchange inside; response heads pass the hooks that were added on the wrapper first, so
that the innermost middleware acts first, and then `forward`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from workers.errors import Answer, Failure, ProxyError
from workers.exchange import TEXT_HEADERS, Cancellable, Exchange, Handler, Header, ResponseHead

if TYPE_CHECKING:
    from workers.stream import Stream


def failure_head(failure: Failure) -> ResponseHead:
    """The head of a failure's answer; not for those that are silent or the parser's own."""
    headers = list(TEXT_HEADERS) if failure.answer is Answer.TEXT else []
    return ResponseHead(failure.status, headers, len(failure.body))


def answered(handler: Handler, exchange: Exchange) -> None:
    """Run `handler`; if it gives up before it has answered, its failure is the answer.

    For whoever has to see a response in every case. StreamError passes: the client is gone.
    """
    try:
        handler(exchange)
    except ProxyError as error:
        if exchange.status:
            exchange.abort()
        else:
            exchange.failure = error.failure
            exchange.respond_error(error.failure)


class WrappedExchange(Exchange):
    """An exchange as the handlers inside of a middleware see it; by itself it changes nothing.

    Override `forward`, `write` and `finish` for the response, the `body` ones for the request. What belongs to
    the client's connection (is it gone, what to shut down then) is always the innermost exchange's.
    """

    __slots__ = ("inner",)

    def __init__(self, inner: Exchange) -> None:
        self.inner = inner
        self.hooks = None
        self.request = inner.request
        self.note = inner.note

    # What is one for all exchanges around one request. A property in place of a slot, on purpose.

    @property
    def status(self) -> int:
        return self.inner.status

    @status.setter
    def status(self, value: int) -> None:
        self.inner.status = value

    @property
    def sent_bytes(self) -> int:
        return self.inner.sent_bytes

    @sent_bytes.setter
    def sent_bytes(self, value: int) -> None:
        self.inner.sent_bytes = value

    @property
    def client_gone(self) -> bool:
        return self.inner.client_gone

    @client_gone.setter
    def client_gone(self, value: bool) -> None:
        self.inner.client_gone = value

    @property
    def upstream(self) -> Cancellable | None:
        return self.inner.upstream

    @upstream.setter
    def upstream(self, value: Cancellable | None) -> None:
        self.inner.upstream = value

    @property
    def failure(self) -> Failure | None:
        return self.inner.failure

    @failure.setter
    def failure(self, value: Failure | None) -> None:
        self.inner.failure = value

    # The response

    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        self.run_hooks(head)
        self.forward(head, body, complete)

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """`send`, behind the hooks."""
        self.inner.send(head, body, complete)

    def respond_error(self, failure: Failure) -> None:
        if failure.answer in (Answer.SILENT, Answer.BARE):
            self.inner.respond_error(failure)
            return
        if failure.closes:
            self.end_connection()
        self.send(failure_head(failure), failure.body, complete=True)

    def write(self, data: bytes) -> None:
        self.inner.write(data)

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self.inner.finish(data, trailers)

    def abort(self) -> None:
        self.inner.abort()

    def inform(self, status: int, headers: Iterable[Header]) -> None:
        self.inner.inform(status, headers)

    def upgrade(self, head: ResponseHead, first: bytes) -> tuple[Stream, bytes]:
        return self.inner.upgrade(head, first)

    def end_connection(self) -> None:
        self.inner.end_connection()

    # The request body

    def read_body(self) -> bytes:
        return self.inner.read_body()

    @property
    def body_complete(self) -> bool:
        return self.inner.body_complete

    def take_body(self) -> bytes:
        return self.inner.take_body()

    def cancel_read(self) -> None:
        self.inner.cancel_read()
