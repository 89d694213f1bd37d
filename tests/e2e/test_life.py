"""The tree's life: it starts, survives the death of its members, and ends as it is told."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

import psutil
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import SlowRequest, Visitors, is_gone
from tests.waiting import wait_until

pytestmark = pytest.mark.process


def test_a_started_tree_serves_and_leaves_nothing_behind(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    workers = tree.wait_ready(2)
    family = [*workers, *tree.providers()]
    assert len(family) == 3
    assert tree.get().status == 200
    assert tree.stop() == 0
    assert all(is_gone(pid) for pid in family)


def test_killing_every_worker_in_turn_refuses_no_connection(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    workers = tree.wait_ready(2)
    with Visitors(tree.port()) as visitors:
        for victim in workers:
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: is_gone(victim) and len(tree.workers()) == 2, what="a successor")  # noqa: B023
            visitors.wait_for(20)
    assert not visitors.refused
    assert not set(tree.workers()) & set(workers)
    assert len(visitors.broken) <= 2, "at most the request that was in the victim's hands"


def test_a_connection_waiting_for_a_killed_worker_is_served_by_its_successor(start_tree: StartTree) -> None:
    tree = start_tree("--workers=1")
    (worker,) = tree.wait_ready(1)
    psutil.Process(worker).suspend()
    with socket.create_connection(("127.0.0.1", tree.port()), timeout=15) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        os.kill(worker, signal.SIGKILL)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_dead_provider_is_replaced_and_the_workers_go_on(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    workers = tree.wait_ready(2)
    (provider,) = tree.providers()
    before = tree.get().generation
    os.kill(provider, signal.SIGKILL)
    assert tree.get().status == 200
    wait_until(lambda: tree.get().generation > before, what="a newer generation")
    assert tree.providers() != [provider]
    assert tree.workers() == workers


def test_a_generation_reaches_every_worker(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    tree.wait_ready(2)
    before = tree.get().generation
    os.kill(tree.providers()[0], signal.SIGUSR2)
    wait_until(lambda: all(tree.get().generation > before for _ in range(8)), what="all workers follow")


def test_a_hung_worker_is_killed_and_replaced(start_tree: StartTree) -> None:
    tree = start_tree("--workers=1", environ={"STAND_IN_HANG_SECONDS": "2"})
    (worker,) = tree.wait_ready(1)
    with socket.create_connection(("127.0.0.1", tree.port())) as client:
        client.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        wait_until(lambda: is_gone(worker) and tree.workers(), what="a successor")
    assert tree.get().pid != worker
    assert "Fatal Python error" in tree.log(), "the log says where it hung"


AS_INIT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans of the tree become ours, as with PID 1
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_orphans_are_reaped_as_pid_1_must(start_tree: StartTree) -> None:
    tree = start_tree("--workers=1", wrapper=(sys.executable, "-c", AS_INIT))
    tree.wait_ready(1)
    family = {child.pid for child in tree.master.children()}
    with socket.create_connection(("127.0.0.1", tree.port()), timeout=15) as client:
        client.sendall(b"GET /orphan HTTP/1.1\r\n\r\n")
        wait_until(lambda: {child.pid for child in tree.master.children()} > family, what="the orphan is adopted")
    wait_until(lambda: {child.pid for child in tree.master.children()} == family, what="it is reaped")


def test_workers_that_never_start_end_the_tree(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2", environ={"STAND_IN_FAILS": "1"})
    assert tree.wait_exit() == 1
    assert "told to fail" in tree.log()
    assert "no worker could start" in tree.log()


def test_nothing_outlives_a_killed_master(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    family = [*tree.wait_ready(2), *tree.providers()]
    tree.process.kill()
    tree.process.wait()
    wait_until(lambda: all(is_gone(pid) for pid in family), what="workers and provider are gone")


def test_term_lets_a_request_finish_and_a_second_one_changes_nothing(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    tree.wait_ready(2)
    slow = SlowRequest(tree.port(), 2)
    tree.send(signal.SIGTERM)
    tree.wait_for_log("I have to go")
    tree.send(signal.SIGTERM)
    assert slow.body()
    assert tree.wait_exit() == 0


def test_ping_turns_red_at_once_while_requests_are_still_accepted(start_tree: StartTree) -> None:
    tree = start_tree(
        "--workers=2", "--entryPoints.web.transport.lifeCycle.requestAcceptGraceTimeout=2", "--ping.entryPoint=web"
    )
    tree.wait_ready(2)
    port = tree.port()
    assert tree.get("/ping", port).status == 200
    tree.send(signal.SIGTERM)
    wait_until(lambda: tree.get("/ping", port).status == 503, deadline_seconds=1)
    assert tree.get("/", port).status == 200
    assert tree.wait_exit() == 0
    with pytest.raises(ConnectionRefusedError):
        tree.get("/", port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_end_it_quickly(start_tree: StartTree, number: signal.Signals) -> None:
    tree = start_tree("--workers=2")
    tree.wait_ready(2)
    slow = SlowRequest(tree.port(), 10)
    began = time.monotonic()
    tree.send(number)
    assert tree.wait_exit() == 0
    assert time.monotonic() - began < 5
    assert slow.body() == ""


def test_int_cuts_a_graceful_stop_short(start_tree: StartTree) -> None:
    tree = start_tree("--workers=1", "--entryPoints.web.transport.lifeCycle.requestAcceptGraceTimeout=60")
    tree.wait_ready(1)
    tree.send(signal.SIGTERM)
    tree.wait_for_log("I have to go")
    tree.send(signal.SIGINT)
    assert tree.wait_exit() == 0
