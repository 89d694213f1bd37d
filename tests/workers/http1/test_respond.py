"""A complete answer goes out in one way or another, and the client cannot tell which."""

from __future__ import annotations

import re

import pytest

from tests.playbook import Stage
from workers.exchange import Exchange, ResponseHead

HEADERS = [(b"X-A", b"1"), (b"Location", b"/x")]
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
REQUESTS = {
    "usual": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "with a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "with too large a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nabc",
    "to be the last": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "old, keep-alive": b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
}


def answered(request: bytes, status: int, body: bytes, *, at_once: bool, hooked: bool) -> tuple[bytes, list[int]]:
    """All that the client sees of it and of one more request; sizes of the bodies that were counted."""
    exchanges: list[Exchange] = []

    def handler(exchange: Exchange) -> None:
        exchanges.append(exchange)
        if hooked:
            exchange.add_hook(lambda _, head: head.headers.append((b"X-Hook", b"%d" % head.status)))
        if at_once:
            exchange.respond(status, tuple(HEADERS), body)
        else:
            exchange.send(ResponseHead(status, list(HEADERS), len(body)), body, complete=True)

    with Stage(handler=handler) as stage:
        client = stage.client()
        client.send(request + LAST)
        seen = client.read_to_end()
    assert {exchange.status for exchange in exchanges} == {status}
    return re.sub(rb"\r\nDate: [^\r]+ GMT\r\n", b"\r\nDate: now\r\n", seen), [one.sent_bytes for one in exchanges]


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("status", [200, 204, 302, 304, 418, 599])
@pytest.mark.parametrize("name", REQUESTS)
def test_as_if_it_had_been_sent_by_hand(name: str, status: int, hooked: bool) -> None:
    for body in (b"", b"hello"):
        seen = answered(REQUESTS[name], status, body, at_once=True, hooked=hooked)
        assert seen == answered(REQUESTS[name], status, body, at_once=False, hooked=hooked)
        assert seen[0].startswith(b"HTTP/1.")
        assert b"\r\nDate: now\r\n" in seen[0]
