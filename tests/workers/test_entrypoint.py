"""Accepting, counting, running out of descriptors, and the end of an entry point."""

from __future__ import annotations

import errno
import socket

import gevent
import pytest

from config.control_page import Cell
from tests.playbook import Client, Stage, respond
from tests.waiting import wait_until
from workers.exchange import Exchange

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def test_counters_reach_the_control_page() -> None:
    with Stage(handler=respond()) as stage:
        clients = [stage.client() for _ in range(3)]
        for client in clients:
            client.get()
            client.get()
        stage.clock.advance(0.2)
        assert stage.slot[Cell.OPEN_CONNECTIONS] == 3
        assert stage.slot[Cell.REQUESTS_TOTAL] == 6
        assert stage.slot[Cell.ACTIVE_REQUESTS] == 0
        for client in clients:
            client.close()
        wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)
        stage.clock.advance(0.2)
        assert stage.slot[Cell.OPEN_CONNECTIONS] == 0


def test_two_entry_points_of_a_worker_share_the_counters() -> None:
    with Stage(handler=respond()) as one, Stage(handler=respond()) as two:
        two.server._slot = one.slot
        one.client().get()
        two.client().get()
        one.clock.advance(0.2)
        two.clock.advance(0.2)
        assert one.slot[Cell.OPEN_CONNECTIONS] == 2
        assert one.slot[Cell.REQUESTS_TOTAL] == 2


def test_active_requests_are_counted() -> None:
    def wait(exchange: Exchange) -> None:
        turn.wait()
        exchange.respond(200, (), b"")

    turn = gevent.event.Event()
    with Stage(handler=wait) as stage:
        client = stage.client()
        client.send(GET)
        wait_until(lambda: stage.server.active == 1, pause=gevent.sleep)
        turn.set()
        client.response()
        assert stage.server.active == 0


def test_table_is_read_at_each_request() -> None:
    with Stage(handler=respond(200)) as stage:
        client = stage.client()
        assert client.get().status == 200
        stage.table.handler = respond(201)
        assert client.get().status == 201
        stage.server.table = None
        assert client.get().status == 404


def test_what_waits_in_the_queue_is_served_before_the_end() -> None:
    """No connection that the kernel has accepted is lost by a graceful stop."""
    with Stage(handler=respond()) as stage:
        plain = [socket.create_connection(("127.0.0.1", stage.port)) for _ in range(40)]
        for one in plain:
            one.sendall(GET)
        stage.server.stop_accepting()
        stage.server.close_idle()
        for one in plain:
            one.setblocking(True)
            one.settimeout(5)
        gevent.sleep(0.05)
        for one in plain:
            assert one.recv(65536).startswith(b"HTTP/1.1 200 OK")
            one.close()


def test_nothing_is_accepted_after_the_stop() -> None:
    with Stage(handler=respond()) as stage:
        stage.server.stop_accepting()
        stage.server.stop_accepting()
        late = Client(gevent.socket.create_connection(("127.0.0.1", stage.port)))
        late.send(GET)
        assert late.hears_nothing(0.1)
        late.close()


def test_abort_cuts_everything() -> None:
    def forever(exchange: Exchange) -> None:
        exchange.read_body()
        gevent.sleep(0.2)
        exchange.respond(200, (), b"")

    with Stage(handler=forever) as stage:
        idle, partial, body = stage.client(), stage.client(), stage.client()
        idle.send(b"")
        partial.send(b"GET / HT")
        body.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        wait_until(lambda: stage.server.open_connections == 3, pause=gevent.sleep)
        wait_until(lambda: stage.server.active == 1, pause=gevent.sleep)
        stage.server.abort()
        assert idle.is_closed()
        assert partial.is_closed()
        wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)


def test_partial_head_is_not_cut_by_close_idle() -> None:
    with Stage(handler=respond()) as stage:
        client = stage.client()
        client.send(GET[:10])
        wait_until(
            lambda: any(getattr(one, "partial", False) for one in stage.server._connections), pause=gevent.sleep
        )
        stage.server.stop_accepting()
        stage.server.close_idle()
        client.send(GET[10:])
        assert client.response()[b"connection"] == b"close"


class Exhausted:
    """A listening socket while the process has no descriptor left."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.calls = 0
        self.broken = True
        self.family, self.type = listener.family, listener.type

    def _accept(self) -> object:
        self.calls += 1
        if self.broken:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener._accept()  # type: ignore[attr-defined]


def test_running_out_of_descriptors_pauses_and_does_not_spin() -> None:
    with Stage(handler=respond()) as stage:
        exhausted = Exhausted(stage.listener)
        stage.server._listener = exhausted  # type: ignore[assignment]
        client = stage.client()
        client.send(GET)
        wait_until(lambda: exhausted.calls, pause=gevent.sleep)
        gevent.sleep(0.05)
        assert exhausted.calls == 1
        assert "cannot accept" in stage.log[0]
        exhausted.broken = False
        assert client.response().status == 200


@pytest.mark.parametrize("family", ["::ffff:192.0.2.1", "192.0.2.1"])
def test_peer_address_of_a_dual_stack_socket(family: str) -> None:
    from workers.entrypoint import _peer_ip

    assert _peer_ip((family, 1)) == "192.0.2.1"
    assert _peer_ip(("::1", 1)) == "::1"


def test_stopping_while_no_descriptor_is_left() -> None:
    """ADV-F: the drain goes on."""
    with Stage(handler=respond()) as stage:
        exhausted = Exhausted(stage.listener)
        stage.server._listener = exhausted  # type: ignore[assignment]
        stage.server.stop_accepting()
        assert exhausted.calls == 1
        stage.server._listener = stage.listener
