"""ContentType: a response without Content-Type gets one, from the first bytes of its body.

Such a response is otherwise sent on without.
"""

from __future__ import annotations

from collections.abc import Sequence

from config.middlewares_responses import ContentType
from workers.exchange import Exchange, Handler, Header, ResponseHead
from workers.middlewares.base import Context, Wrap
from workers.middlewares.fields import first
from workers.middlewares.sniffing import media_type_of
from workers.wrapping import WrappedExchange, answered


def content_type(options: ContentType, context: Context) -> Wrap:
    """`auto_detect` false, which is deprecated, makes it do nothing."""

    def wrap(handler: Handler) -> Handler:
        def typed(exchange: Exchange) -> None:
            answered(handler, TypedExchange(exchange))

        return handler if options.auto_detect is False else typed

    return wrap


class TypedExchange(WrappedExchange):
    """Keeps a head without Content-Type back until there is something of the body."""

    __slots__ = ("_head",)

    def __init__(self, inner: Exchange) -> None:
        super().__init__(inner)
        self._head: ResponseHead | None = None

    def forward(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        names = {name.lower() for name, _ in head.headers}
        if b"content-type" in names or first(head.headers, b"content-encoding"):
            self.inner.send(head, body, complete)
        elif body:
            self._send(head, body, complete)
        elif complete or not self._expects_body(head):
            self.inner.send(head, body, complete)
        else:
            self._head = head

    def _expects_body(self, head: ResponseHead) -> bool:
        return head.content_length != 0 and head.status not in (204, 304) and self.request.method != b"HEAD"

    def _send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        if head.status not in (204, 304):
            head.headers = [*head.headers, (b"Content-Type", media_type_of(body))]
        self.inner.send(head, body, complete)

    def write(self, data: bytes) -> None:
        head, self._head = self._head, None
        if head is None:
            self.inner.write(data)
        elif data:
            self._send(head, data, False)
        else:
            self._head = head

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        head, self._head = self._head, None
        if head is None:
            self.inner.finish(data, trailers)
            return
        if data:
            self._send(head, data, not trailers)
        else:
            self.inner.send(head, b"", not trailers)
        if trailers:
            self.inner.finish(b"", trailers)
