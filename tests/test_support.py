"""The suite's own tools: waiting, ports and the search for leftover processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests import leftovers
from tests.ports import PortReservation
from tests.waiting import wait_until

SLEEPER = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]


@contextmanager
def sleeper(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPER, env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


def test_wait_until_returns_what_came_true() -> None:
    answers = iter([0, "", None, "ready"])
    assert wait_until(lambda: next(answers), pause=lambda _: None) == "ready"


def test_wait_until_looks_at_least_once_and_says_what_did_not_happen() -> None:
    with pytest.raises(AssertionError, match=r"not within 0 s: the worker is up \(last value: \[\]\)"):
        wait_until(list, 0, what="the worker is up")


def test_a_reserved_port_refuses_connections_until_a_server_takes_it() -> None:
    with PortReservation() as held:
        address = (held.host, held.port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        with socket.create_server(address), socket.create_connection(address):
            pass


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_server_with_either_option_can_take_a_reserved_port(option: int) -> None:
    with PortReservation() as held, socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, option, 1)
        server.bind((held.host, held.port))
        server.listen()


def test_a_reserved_port_goes_to_nobody_who_asks_for_any() -> None:
    with PortReservation() as held:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(300)]
        ports = {each.getsockname()[1] for each in sockets}
        for each in sockets:
            each.close()
    assert held.port not in ports


def test_reserved_ports_differ(free_ports: Callable[[int], list[int]]) -> None:
    assert len(set(free_ports(50))) == 50


def test_a_port_of_the_second_protocol_family() -> None:
    with PortReservation("::1") as held:
        assert held.port > 0


def test_a_living_child_is_found_and_a_dead_one_is_not() -> None:
    before = leftovers.children()
    with sleeper() as process:
        found = leftovers.new_children(before, 0)
        assert [line.partition(":")[0] for line in found] == [str(process.pid)]
        assert "signal.pause" in found[0]
        process.kill()
        assert leftovers.new_children(before) == []  # not waited for yet, but dead


def test_a_grandchild_is_found() -> None:
    before = leftovers.children()
    shell = ["sh", "-c", '"$0" "$@" & echo $!; read line; kill $!; wait', *SLEEPER]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grandchild = process.stdout.readline().strip()
        found = {line.partition(":")[0] for line in leftovers.new_children(before, 0)}
        assert found == {str(process.pid), grandchild}
        process.communicate("end\n")
    assert leftovers.new_children(before) == []


def test_a_process_is_found_by_the_mark_in_its_environment() -> None:
    with sleeper(**{leftovers.MARK_VARIABLE: "test-mark"}) as process:
        wait_until(lambda: leftovers.marked("test-mark", 0))
        assert leftovers.marked("test-mark", 0)[0].startswith(f"{process.pid}:")
    assert leftovers.marked("test-mark") == []
