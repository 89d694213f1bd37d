"""One process reads a shared UDP socket at a time."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest

from config.static import LifeCycle
from tests.waiting import wait_until
from tests.workers.udp.stage import UDPStage
from workers.udp.draining import drain
from workers.udp.lease import Lease


@pytest.fixture
def shared() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@contextmanager
def another_reader(sock: socket.socket) -> Iterator[int]:
    """A process that takes the lease and keeps it until it is killed."""
    told, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        Lease(sock).take()
        os.write(tells, b"x")
        while True:
            signal.pause()
    os.read(told, 1)
    try:
        yield pid
    finally:
        kill(pid)
        os.close(told)
        os.close(tells)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass
    except ProcessLookupError:
        pass


def test_taking_and_giving_up(shared: socket.socket) -> None:
    lease = Lease(shared)
    assert not lease.is_held()
    assert lease.take()
    assert lease.is_held()
    assert not lease.is_others()
    lease.give_up()
    assert not lease.is_held()


def test_a_living_process_keeps_it_and_a_dead_one_does_not(shared: socket.socket) -> None:
    lease = Lease(shared)
    with another_reader(shared) as pid:
        assert not lease.take()
        assert lease.is_others()
        lease.give_up()
        assert lease.is_others(), "what is another's cannot be given up"
        kill(pid)
        assert not lease.is_others()
        assert lease.take()


def test_a_worker_waits_for_the_socket_and_then_reads_what_waits_there() -> None:
    stage = UDPStage()
    with another_reader(stage.socket) as pid, stage:
        stage.serve(stage.answerer("a").address)
        client = stage.client()
        client.send(b"x")
        gevent.sleep(0.15)
        assert not stage.server.is_reading
        assert client.hears_nothing()
        kill(pid)
        assert client.receive() == b"a:x"
        assert stage.server.is_reading


def test_a_worker_whose_socket_another_one_took_stops_to_read() -> None:
    with UDPStage() as stage:
        stage.serve(stage.answerer("a").address)
        client = stage.client()
        client.ask(b"x")
        stage.server._lease.give_up()
        with another_reader(stage.socket):
            client.send(b"y")
            wait_until(lambda: not stage.server.is_reading, pause=gevent.sleep)
            assert stage.socket.recv(10, socket.MSG_DONTWAIT) == b"y"


def draining(stage: UDPStage, grace_seconds: float) -> gevent.Greenlet[..., None]:
    life_cycle = LifeCycle(grace_time_out_seconds=grace_seconds)
    return gevent.spawn(drain, stage.server, life_cycle, stage.server.drops._log)


def test_the_end_waits_for_sessions_and_serves_them() -> None:
    with UDPStage() as stage:
        stage.serve(stage.answerer("a").address)
        client, late = stage.client(), stage.client()
        client.ask(b"1")
        ending = draining(stage, 30)
        wait_until(lambda: stage.server.is_reading and not stage.server._takes_new, pause=gevent.sleep)
        late.send(b"x")
        assert client.ask(b"2") == b"a:2"
        assert late.hears_nothing()
        assert not ending.ready()
        stage.advance(4)
        ending.join(5)
        assert ending.ready()


def test_the_grace_time_ends_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    with UDPStage() as stage:
        stage.serve(stage.answerer("a").address)
        stage.client().ask(b"1")
        draining(stage, 0.1).join(5)
        assert stage.server.is_settled
        assert "1 sessions cut after the grace period" in caplog.text


def test_a_successor_gets_the_socket_and_answers_still_go_out() -> None:
    with UDPStage() as stage:
        server = stage.answerer("a")
        stage.serve(server.address)
        client = stage.client()
        client.ask(b"1")
        ending = draining(stage, 30)
        wait_until(lambda: not stage.server.is_reading, pause=gevent.sleep)
        with another_reader(stage.socket):
            wait_until(lambda: stage.server.has_successor, pause=gevent.sleep)
            server.socket.sendto(b"late", ("127.0.0.1", server.heard[0][1]))
            assert client.receive() == b"late"
            assert not stage.server.is_reading
            stage.advance(4)
            ending.join(5)
            assert ending.ready()
