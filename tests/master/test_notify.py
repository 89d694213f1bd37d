"""Messages to systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def environ_for(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.update(True, "serving")
    notifier.reloading()
    assert notifier.seconds_to_beat(0) == float("inf")


def test_a_manager_that_has_gone_is_no_error(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nowhere")}).send("READY=1")


def test_ready_is_said_once_and_again_after_a_reload(manager: socket.socket) -> None:
    notifier = Notifier(environ_for(manager))
    notifier.update(False, "starting")
    notifier.update(False, "starting")
    notifier.update(True, "serving")
    notifier.update(True, "serving")
    notifier.update(False, "one worker is missing")
    notifier.update(True, "serving")
    assert heard(manager) == [
        "STATUS=starting",
        "READY=1\nSTATUS=serving",
        "STATUS=one worker is missing",
        "STATUS=serving",
    ]
    notifier.reloading()
    notifier.update(True, "serving")
    reloading, ready = heard(manager)
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert ready == "READY=1"


def test_stopping_asks_for_the_time_it_may_take(manager: socket.socket) -> None:
    Notifier(environ_for(manager)).stopping("draining", 20.5)
    assert heard(manager) == ["STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=20500000"]


def test_the_main_process_can_change(manager: socket.socket) -> None:
    Notifier(environ_for(manager)).main_process(42)
    assert heard(manager) == ["MAINPID=42"]


def test_the_watchdog_is_fed_at_half_its_time_and_only_in_health(manager: socket.socket) -> None:
    notifier = Notifier(environ_for(manager, WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid())))
    notifier.beat(100.0, is_healthy=True)
    notifier.beat(101.0, is_healthy=True)
    assert heard(manager) == ["WATCHDOG=1"]
    assert notifier.seconds_to_beat(101.0) == 1.0
    notifier.beat(102.0, is_healthy=False)
    notifier.beat(104.0, is_healthy=True)
    assert heard(manager) == ["WATCHDOG=1"]


def test_the_watchdog_of_another_process_is_not_ours(manager: socket.socket) -> None:
    notifier = Notifier(environ_for(manager, WATCHDOG_USEC="4000000", WATCHDOG_PID="1"))
    assert notifier.watchdog_interval_seconds == 0


def test_children_see_no_variable(manager: socket.socket) -> None:
    environ = environ_for(manager, WATCHDOG_USEC="1", HOME="/")
    Notifier(environ)
    assert environ == {"HOME": "/"}


def test_abstract_addresses() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = f"pointsman-test-{os.getpid()}"
        sock.bind("\0" + name)
        Notifier({"NOTIFY_SOCKET": "@" + name}).send("READY=1")
        assert sock.recv(100) == b"READY=1"
