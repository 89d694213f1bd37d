"""Servers that authenticate connections: nobody but the challenged client ever meets such a connection."""

from __future__ import annotations

import gevent
import pytest

from tests.playbook import Client, Stage
from tests.upstreams import Peer, body_of
from tests.waiting import wait_until
from tests.workers.http2.client import converse
from tests.workers.upstream.connections import connection_to
from workers.exchange import Exchange
from workers.upstream import own
from workers.upstream.probe import fetch
from workers.upstream.server import UpstreamServer
from workers.upstream.transport import Transport


class Guard:
    """Answers with the number of the connection and whom it believes to be there; `Authorization` says who.

    `challenge`: what it says to those it does not know, "" for nothing; `status` of that answer.
    """

    def __init__(self, challenge: str = "NTLM", status: int = 401, more: str = "", chunked: bool = False) -> None:
        self.challenge, self.status, self.more, self.chunked = challenge, status, more, chunked
        self.connections = 0
        self.closed = 0

    def __call__(self, peer: Peer) -> None:
        self.connections += 1
        number, user = self.connections, "nobody"
        while head := self._next(peer):
            if (at := head.find(b"\r\nAuthorization: ")) >= 0:
                user = head[at + 17 :].partition(b"\r\n")[0].decode()
            body_of(head, peer)
            peer.send(self._answer(number, user))
        self.closed += 1

    def _next(self, peer: Peer) -> bytes:
        if not peer.unread:
            peer.unread = peer.socket.recv(65536)
        return peer.read_head() if peer.unread else b""

    def _answer(self, number: int, user: str) -> bytes:
        body = f"{number} {user}"
        if user != "nobody":
            return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        lines = f"HTTP/1.1 {self.status} X\r\nWWW-Authenticate: {self.challenge}\r\n{self.more}"
        if self.chunked:
            return f"{lines}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode()
        return f"{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def said(client: Client, user: str = "") -> str:
    lines = [f"Authorization: {user}".encode()] if user else []
    return client.get(b"/", *lines).body.decode()


def log_in(stage: Stage, user: str) -> Client:
    client = stage.client()
    assert said(client).endswith("nobody")
    assert said(client, user).endswith(user)
    return client


@pytest.mark.parametrize(
    "challenge",
    [
        "NTLM",
        "Negotiate",
        "ntlm",
        "NEGOTIATE oYG2",
        "Basic realm=x\r\nWWW-Authenticate: NTLM",
        "Negotiate, NTLM",
        'Basic realm="x", NTLM',
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_the_challenged_connection_is_the_clients_from_then_on(challenge: str, chunked: bool) -> None:
    with Stage(guard := Guard(challenge, chunked=chunked)) as stage:
        first = log_in(stage, "eve")
        assert said(first) == "1 eve"
        second = stage.client()
        assert said(second) == "2 nobody"
        assert said(second, "bob") == "2 bob"
        assert (said(first), said(second)) == ("1 eve", "2 bob")
    assert guard.connections == 2


@pytest.mark.parametrize("challenge", ["Basic realm=x", "Digest a=b", "Negotiated x", "X NTLM"])
def test_other_schemes_are_of_requests(challenge: str) -> None:
    with Stage(guard := Guard(challenge)) as stage:
        assert said(stage.client()) == said(stage.client()) == "1 nobody"
    assert guard.connections == 1


def test_an_answer_that_completes_it_pins_as_well() -> None:
    """RFC 4559 section 5: the server's last token comes with a 200; the client had sent its own unasked."""
    with Stage(guard := Guard("Negotiate oRQw", status=200)) as stage:
        first = stage.client()
        assert said(first) == said(first) == "1 nobody"
        assert said(stage.client()) == "2 nobody"
    assert guard.connections == 2


@pytest.mark.parametrize("scheme", ["Negotiate", "ntlm"])
def test_who_brings_an_identity_unasked_has_his_own_too(scheme: str) -> None:
    """The server believes it and never says so: nothing in its answers tells whose connection it is."""
    with Stage(guard := Guard()) as stage:
        first, second = stage.client(), stage.client()
        assert said(first, f"{scheme} eve") == f"1 {scheme} eve"
        assert said(second) == "2 nobody"
        assert said(first) == f"1 {scheme} eve"
    assert guard.connections == 2


def test_credentials_of_requests_share_connections() -> None:
    with Stage(guard := Guard()) as stage:
        assert said(stage.client(), "Basic eve") == said(stage.client(), "Basic eve") == "1 Basic eve"
    assert guard.connections == 1


def test_a_client_of_http2_that_brings_an_identity() -> None:
    with Stage(Guard()) as stage:
        client = converse(stage)
        assert client.get(b"/", (b"authorization", b"Negotiate eve")).body == b"1 Negotiate eve"
        assert said(stage.client()) == "2 nobody"
        client.peer.close()


def test_an_identity_that_a_middleware_brings() -> None:
    with Stage(Guard()) as stage:
        inner = stage.table.handler
        assert inner is not None

        def with_identity(exchange: Exchange) -> None:
            if exchange.request.path == b"/eve":
                exchange.request.headers.append((b"Authorization", b"Negotiate eve"))
            inner(exchange)

        stage.table.handler = with_identity
        client = stage.client()
        assert client.get(b"/eve").body == b"1 Negotiate eve"
        assert said(stage.client()) == "2 nobody"


def test_an_identity_in_a_question_of_the_proxys_own() -> None:
    """An authentication server gets the client's credentials: the connection is for nobody afterwards."""
    with Stage(Guard()) as stage:
        assert stage.upstream is not None
        server = UpstreamServer(stage.upstream.url)
        for lines, answer in (([(b"Authorization", b"NTLM eve")], b"1 NTLM eve"), ([], b"2 nobody")):
            found = fetch(stage.transport, server, b"GET", b"/", b"a", lines, 5.0, 100)
            assert found.body == answer


def test_an_identity_beyond_the_limit_is_forgotten_with_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "MOST_OWNERS", len(own._owners))
    with Stage(Guard()) as stage:
        client = stage.client()
        assert said(client, "NTLM eve") == "1 NTLM eve"
        assert said(client) == "2 nobody"


def test_copies_of_transports_that_are_no_more_are_let_go() -> None:
    mine = own.Own()
    with Stage(Guard()) as stage:
        for _ in range(5):
            transport = Transport(wheel=stage.clock.wheel)
            mine.copy_of(transport)
            transport.close()
        assert len(mine._copies) == 1
        mine.close()


def test_own_connections_end_with_the_client() -> None:
    with Stage(guard := Guard()) as stage:
        first = log_in(stage, "eve")
        first.close()
        wait_until(lambda: guard.closed, what="the server's connection is closed", pause=gevent.sleep)
        assert said(stage.client()) == "2 nobody"


def test_a_connection_that_the_server_closes_is_nobodys() -> None:
    with Stage(guard := Guard(more="Connection: close\r\n")) as stage:
        client = stage.client()
        assert (said(client), said(client)) == ("1 nobody", "2 nobody")
    assert guard.connections == 2


def test_a_client_of_http2_has_its_own_too() -> None:
    with Stage(guard := Guard()) as stage:
        client = converse(stage)
        users = (b"", b"eve", b"")
        answers = [
            client.get(b"/", *((b"authorization", user) for user in (user,) if user)).body for user in users
        ]
        assert answers == [b"1 nobody", b"1 eve", b"1 eve"]
        assert said(stage.client()) == "2 nobody"
        client.peer.close()
        wait_until(lambda: guard.closed, what="the server's connection is closed", pause=gevent.sleep)


def test_those_beyond_the_limit_share_nothing_and_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "MOST_OWNERS", len(own._owners) + 1)
    with Stage(guard := Guard()) as stage:
        log_in(stage, "eve")
        second = stage.client()
        assert (said(second), said(second)) == ("2 nobody", "3 nobody")
    assert guard.connections == 3


def test_nothing_is_left_of_a_client_that_is_gone() -> None:
    before = len(own._owners)
    with Stage(Guard()) as stage:
        client = log_in(stage, "eve")
        assert len(own._owners) == before + 1
        client.close()
        wait_until(lambda: len(own._owners) == before, what="the owner is forgotten", pause=gevent.sleep)


def test_a_transport_that_is_retired_takes_its_copies_along() -> None:
    with Stage(guard := Guard()) as stage:
        client = log_in(stage, "eve")
        stage.transport.close()
        wait_until(lambda: guard.closed, what="the server's connection is closed", pause=gevent.sleep)
        assert said(client) == "2 nobody"


def test_the_shared_pool_is_without_it() -> None:
    with Stage(Guard()) as stage:
        log_in(stage, "eve")
        assert stage.upstream is not None
        connection = connection_to(stage.transport, stage.upstream.url)
        assert not connection.is_reused
        connection.close()
