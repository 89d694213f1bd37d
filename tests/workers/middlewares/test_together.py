"""Middlewares that keep or change bodies around each other, in many orders."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence

import pytest

from config.middlewares_auth import BasicAuth, ForwardAuth
from config.middlewares_responses import Compress, Errors
from config.middlewares_traffic import Buffering, Retry
from tests.playbook import Response, Stage
from tests.upstreams import Peer, Upstream, body_of, echo
from tests.workers.middlewares.around import context, ok, post, service
from workers.exchange import Handler
from workers.middlewares import BUILDERS

BODY = bytes(range(256)) * 500
AUTHORIZATION = b"Authorization: Basic dGVzdDp0ZXN0"
NAMES = ["buffering", "compress", "errors", "forwardAuth", "retry"]
ORDERS = [order for place, order in enumerate(itertools.permutations(NAMES)) if place % 5 == 0]
"""A fifth of them, each two in both orders."""


def wrapped(names: Sequence[str], handler: Handler, where: Stage, page: str, auth: str) -> Handler:
    """All of them around the handler, the first outermost."""
    options = {
        "basicAuth": BasicAuth(users=["test:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="]),
        "buffering": Buffering(mem_request_body_bytes=1000, mem_response_body_bytes=1000),
        "compress": Compress(encodings=["gzip"]),
        "errors": Errors(status=["500-599"], query="/{status}", service="page", error_request_headers=[]),
        "forwardAuth": ForwardAuth(address=auth, forward_body=True, auth_response_headers=["X-User"]),
        "retry": Retry(attempts=3, status=["503"], retry_non_idempotent_method=True),
    }
    around = context(where.transport, services={"page": service(page, where.transport)})
    for name in reversed(names):
        handler = BUILDERS[name](options[name], around)(handler)
    return handler


def ask(names: Sequence[str], server: object) -> Response:
    def auth(peer: Peer) -> None:
        while data := peer.read_some():
            peer.unread = data
            head = peer.read_head()
            assert body_of(head, peer) == BODY
            peer.send(ok(b"yes", b"X-User: me"))

    with Upstream(echo) as pages, Upstream(auth) as auth_server, Stage(server) as where:  # type: ignore[arg-type]
        assert where.table.handler is not None
        where.table.handler = wrapped(names, where.table.handler, where, pages.url, auth_server.url)
        client = where.client()
        for chunked in (True, False):
            client.send(post(BODY, b"Accept-Encoding: gzip", AUTHORIZATION, b"X-User: evil", chunked=chunked))
            response = client.response()
        return response


@pytest.mark.parametrize("names", ORDERS, ids="-".join)
def test_bodies_arrive_in_many_orders(names: tuple[str, ...]) -> None:
    response = ask(["basicAuth", *names], echo)
    assert (response.status, response[b"content-encoding"]) == (200, b"gzip")
    seen = gzip.decompress(response.body)
    assert seen.endswith(b"\r\n\r\n" + BODY)
    assert b"\r\nX-User: me\r\n" in seen
    assert b"evil" not in seen


@pytest.mark.parametrize("names", ORDERS, ids="-".join)
def test_errors_are_replaced_in_many_orders(names: tuple[str, ...]) -> None:
    asked: list[bytes] = []

    def busy(peer: Peer) -> None:
        while data := peer.read_some():
            peer.unread = data
            head = peer.read_head()
            asked.append(body_of(head, peer))
            peer.send(ok(b"busy", b"X-Busy: 1", status=b"503 B"))

    response = ask(["basicAuth", *names], busy)
    assert (response.status, response[b"x-busy"]) == (503, None)
    assert (response[b"vary"] is None) is (names.index("errors") < names.index("compress"))
    assert response.body.startswith(b"GET /503 HTTP/1.1\r\n")
    assert asked[-3:] == [BODY] * 3
    assert len(asked) == 6


def test_each_two_stand_in_both_orders() -> None:
    found = {pair for order in ORDERS for pair in itertools.combinations(order, 2)}
    assert found == set(itertools.permutations(NAMES, 2))
