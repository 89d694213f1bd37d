"""Who is told of HTTP/3, and who has the last word in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.playbook import Stage, respond
from tests.workers.secure import client_context, engine, table
from workers.exchange import Exchange, ResponseHead
from workers.http3.alt_svc import Advertising

ENGINE = engine()


class Inner:
    """An observer with a hook of its own, which is called last."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[bytes, bytes]]] = []
        self.ended = 0

    def begin(self, exchange: Exchange) -> None:
        exchange.add_hook(lambda _, head: self.seen.append(list(head.headers)))

    def end(self, exchange: Exchange) -> None:
        self.ended += 1


@pytest.mark.behaviour("DP-112")
def test_answers_through_tls_are_marked_and_others_are_not() -> None:
    inner = Inner()
    with Stage(handler=respond(), tls=ENGINE, tls_table=table()) as here:
        here.server.observer = Advertising(inner, 8443)
        secure = here.secure_client(client_context(), "a.test")
        assert secure.get()[b"alt-svc"] == b'h3=":8443"; ma=2592000'
        here.server.secure_table = None
        answer = secure.get()
        assert (answer.status, answer[b"alt-svc"]) == (404, b'h3=":8443"; ma=2592000')
        assert here.client().get()[b"alt-svc"] is None
        assert [dict(headers).get(b"Alt-Svc") is not None for headers in inner.seen] == [True, True, False]
        assert inner.ended == 3


def test_a_middleware_has_the_last_word() -> None:
    def handler(exchange: Any) -> None:
        def silence(_: Exchange, head: ResponseHead) -> None:
            head.headers[:] = [header for header in head.headers if header[0] != b"Alt-Svc"]

        exchange.add_hook(silence)
        exchange.respond(200, (), b"")

    with Stage(handler=handler, tls=ENGINE, tls_table=table()) as here:
        here.server.observer = Advertising(None, 443)
        assert here.secure_client(client_context(), "a.test").get()[b"alt-svc"] is None
