"""TCP middlewares on connections: who is let in, how long a place is held, and which of several options acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent import ssl

from config.layer4 import InFlightConn as Options
from config.layer4 import TCPIPAllowList, TCPMiddleware
from tests.playbook import Client, Stage
from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from tests.workers.secure import client_context
from tests.workers.tcp.staging import environment, router, runtime, service, stage
from workers.shared import SharedState
from workers.tcp.environment import counted

ELSEWHERE = TCPIPAllowList(source_range=["192.0.2.0/24"])
HERE = TCPIPAllowList(source_range=["127.0.0.0/8"])


def echoing(peer: Peer) -> None:
    while data := peer.read_some():
        peer.send(data)


@contextmanager
def guarded(server: Upstream, *middlewares: TCPMiddleware, tls: str | None = None) -> Iterator[Stage]:
    """A stage with one router behind these, the first outermost; places are counted as in a worker."""
    names = {f"m{number}": one for number, one in enumerate(middlewares)}
    rule = "HostSNI(`*`)" if tls is None else "HostSNI(`a.test`)"
    running = runtime(
        {"r": router(rule, tls=tls, middlewares=list(names))},
        {"s": service(server.port)},
        middlewares=names,
        where=environment(in_flight=counted(SharedState.private())),
    )
    with stage(running) as here:
        yield here


def is_served(client: Client) -> bool:
    client.send(b"x")
    return client.read_some() == b"x"


@pytest.mark.behaviour("MW-160")
def test_a_peer_outside_of_the_list_sees_its_connection_closed() -> None:
    refusing = TCPMiddleware(ip_allow_list=ELSEWHERE)
    with Upstream(echoing) as server:
        with guarded(server, refusing) as here:
            assert here.client().is_closed()
        for tls in ("end", "pass"):
            with guarded(server, refusing, tls=tls) as here, pytest.raises((ssl.SSLError, OSError)):
                here.secure_client(client_context(), "a.test")
        assert not server.connections
        with guarded(server, TCPMiddleware(ip_allow_list=HERE)) as here:
            assert is_served(here.client())


@pytest.mark.behaviour("MW-161")
def test_a_place_is_held_as_long_as_its_connection() -> None:
    with Upstream(echoing) as server, guarded(server, TCPMiddleware(in_flight_conn=Options(amount=1))) as here:
        first = here.client()
        assert is_served(first)
        assert here.client().is_closed()
        assert is_served(first)
        first.close()
        wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)
        second = here.client()
        assert is_served(second)
        second.reset()
        wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)
        assert is_served(here.client())


@pytest.mark.behaviour("MW-161")
def test_an_amount_of_zero_closes_all() -> None:
    with Upstream(echoing) as server:
        with guarded(server, TCPMiddleware(in_flight_conn=Options())) as here:
            assert here.client().is_closed()
            assert here.client().is_closed()
        assert not server.connections


def test_a_connection_refused_by_a_later_one_holds_no_place() -> None:
    limit, refusing = TCPMiddleware(in_flight_conn=Options(amount=1)), TCPMiddleware(ip_allow_list=ELSEWHERE)
    with Upstream(echoing) as server, guarded(server, limit, refusing) as here:
        for _ in range(3):
            assert here.client().is_closed()
        assert not server.connections


@pytest.mark.behaviour("MW-162")
def test_of_two_options_the_allow_list_acts() -> None:
    with Upstream(echoing) as server:
        with guarded(server, TCPMiddleware(in_flight_conn=Options(), ip_allow_list=HERE)) as here:
            clients = [here.client(), here.client()]
            assert all(is_served(one) for one in clients)
        with guarded(server, TCPMiddleware(in_flight_conn=Options(amount=5), ip_allow_list=ELSEWHERE)) as here:
            assert here.client().is_closed()


def test_a_middleware_that_is_listed_twice_counts_twice_apart() -> None:
    """Two instances, as with HTTP: one connection is one in each of them."""
    with Upstream(echoing) as server:
        running = runtime(
            {"r": router(middlewares=["m", "m"])},
            {"s": service(server.port)},
            middlewares={"m": TCPMiddleware(in_flight_conn=Options(amount=1))},
            where=environment(in_flight=counted(SharedState.private())),
        )
        with stage(running) as here:
            assert is_served(here.client())
            assert here.client().is_closed()
