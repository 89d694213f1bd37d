"""What a server is told of a body is what it gets, whoever has counted, kept or left out the body on the way."""

from __future__ import annotations

import gevent
import pytest

from config.middlewares_auth import ForwardAuth
from config.middlewares_traffic import Buffering, Retry
from tests.playbook import Rigid, Stage
from tests.upstreams import Peer, Upstream, answering, body_of, echo
from tests.waiting import wait_until
from tests.workers.http2.client import converse
from tests.workers.middlewares.around import behind, context, ok, post, service
from tests.workers.middlewares.test_retry import dead_port
from workers.middlewares.buffering import buffering
from workers.middlewares.forward_auth import forward_auth
from workers.middlewares.retry import retry
from workers.middlewares.statuses import StatusRange
from workers.proxy import ServiceHandler
from workers.upstream.composed import ErrorFailoverHandler
from workers.upstream.mirroring import Mirror, MirroringHandler

INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
"""A body that would be a request if nobody said where it ends."""


class Listener:
    """A server that reads requests strictly by their framing, and keeps them."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while data := peer.read_some():
            peer.unread = data
            head = peer.read_head()
            self.heads.append(head)
            self.bodies.append(body_of(head, peer))
            peer.send(ok(b"yes"))


@pytest.mark.behaviour("MW-142")
def test_a_buffered_http2_body_is_no_second_request() -> None:
    """It comes without a length, and goes on with one."""
    server = Listener()
    with behind(buffering, Buffering(), server) as stage:
        client = converse(stage)
        for _ in range(2):
            assert client.get(method=b"POST", body=INNER).status == 200
        assert server.bodies == [INNER, INNER]
        assert all(b"\r\nContent-Length: %d\r\n" % len(INNER) in head for head in server.heads)


def test_a_body_shown_to_the_auth_server_is_no_second_request() -> None:
    server = Listener()
    with (
        Upstream(echo) as auth,
        behind(forward_auth, ForwardAuth(address=auth.url, forward_body=True), server) as stage,
    ):
        client = converse(stage)
        for _ in range(2):
            assert client.get(method=b"POST", body=INNER).status == 200
        assert [body.split(b"\r\n", 1)[1] for body in server.bodies] == [INNER + b"\r\n0\r\n\r\n"] * 2


@pytest.mark.parametrize("with_body", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_mirrors_wait_for_no_body_that_does_not_come(with_body: bool, chunked: bool) -> None:
    server = Listener()
    with Upstream(server) as mirrored, Stage(echo) as stage:
        main, mirror = stage.table.handler, service(mirrored.url, stage.transport)
        assert main is not None
        stage.table.handler = MirroringHandler(
            main, [Mirror("m", mirror, 100)], with_body=with_body, limit_bytes=-1
        )
        client = stage.client()
        for count in (1, 2):
            client.send(post(INNER, chunked=chunked))
            assert client.response().status == 200
            wait_until(lambda: len(server.heads) == count, pause=gevent.sleep)  # noqa: B023 - at once
        assert [head.split(b" ")[1] for head in server.heads] == [b"/", b"/"]
        assert server.bodies == [INNER if with_body else b""] * 2


def test_an_attempt_that_failed_is_not_why_the_next_one_is_answered() -> None:
    """A retry around a buffering that has asked again already must not repeat what has been done."""
    server = Listener()
    with dead_port() as nobody, Upstream(server) as up, Stage(answering(b"")) as stage:
        servers = Rigid([f"http://127.0.0.1:{nobody}", up.url])
        both = ServiceHandler("two@test", servers, stage.transport)
        around = context(stage.transport)
        kept = buffering(Buffering(retry_expression="IsNetworkError() && Attempts() <= 2"), around)(both)
        stage.table.handler = retry(Retry(attempts=3), around)(kept)
        client = stage.client()
        for _ in range(3):
            client.send(b"DELETE /one HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.response().body == b"yes"
        assert len(server.heads) == 3


def test_a_service_that_is_down_is_not_why_its_fallback_answers() -> None:
    server = Listener()
    with dead_port() as nobody, Upstream(server) as up, Stage(answering(b"")) as stage:
        main, fallback = (
            ServiceHandler(url, Rigid([url]), stage.transport) for url in (f"http://127.0.0.1:{nobody}", up.url)
        )
        both = ErrorFailoverHandler(main, fallback, [StatusRange(502, 502)], None, lambda: True)
        stage.table.handler = retry(Retry(attempts=3), context(stage.transport))(both)
        client = stage.client()
        client.send(b"DELETE /one HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().body == b"yes"
        assert len(server.heads) == 1
