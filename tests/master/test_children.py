"""The provider process: started, replaced, restarted with a growing pause, killed when it is silent."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.control_page import ControlPage, Head
from master import children
from master.children import HUNG_AFTER_SECONDS, Provider, provider_environment
from master.loop import Loop
from tests.waiting import wait_until

# from Python 3.12 on a fork beside the threads of a test runner is warned about; our programs have none
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PAUSED = "import signal; signal.pause()"
UNTIL_THE_CHANNEL_CLOSES = """
import os, socket
channel = socket.socket(fileno=int(os.environ["POINTSMAN_CHANNEL_FD"]))
with open(int(os.environ["POINTSMAN_STATIC_FD"]), "rb") as static:
    channel.send(static.read())
os.fstat(int(os.environ["POINTSMAN_CONTROL_FD"]))
while channel.recv(10):
    channel.send(b"told")
"""


@pytest.fixture
def page() -> Iterator[ControlPage]:
    made = ControlPage.create()
    yield made
    made.close()


@pytest.fixture
def provider(page: ControlPage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(children, "PROVIDER_COMMAND", ("-c", PAUSED))
    loop = Loop()
    made = Provider(page, dict(os.environ), loop, lambda: None)
    yield made
    made.stop(0)
    loop.close()


def wait_for_end(provider: Provider) -> None:
    def has_ended() -> bool:
        provider.reap()
        return provider.pid == 0

    wait_until(has_ended)


def receive(channel: socket.socket | None) -> bytes:
    assert channel is not None
    channel.setblocking(True)
    return channel.recv(100)


def test_it_gets_configuration_channel_and_control_page(
    provider: Provider, page: ControlPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "PROVIDER_COMMAND", ("-c", UNTIL_THE_CHANNEL_CLOSES))
    provider.start(b"static")
    assert receive(provider.channel) == b"static"
    assert page[Head.PROVIDER_PID] == provider.pid
    provider.reopen_logs()
    assert receive(provider.channel) == b"told"
    pid = provider.pid
    provider.stop(10)
    assert page[Head.PROVIDER_PID] == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_dead_one_is_restarted_after_pauses_that_double(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "PROVIDER_COMMAND", ("-c", "raise SystemExit(1)"))
    provider.start(b"")
    pauses = []
    for _ in range(8):
        wait_for_end(provider)
        assert provider.state == "restarting"
        now = time.monotonic()
        pause = provider.seconds_to_next_step(now)
        provider.manage(now)
        assert provider.pid == 0, "too early"
        provider.manage(now + pause + 0.001)
        assert provider.state == "running"
        pauses.append(pause)
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30], rel=0.2)


def test_a_steady_life_forgives_former_deaths(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STEADY_AFTER_SECONDS", 0.0)
    for _ in range(2):
        provider.start(b"")
        os.kill(provider.pid, signal.SIGKILL)
        wait_for_end(provider)
        assert provider.seconds_to_next_step(time.monotonic()) <= 0.5


def test_a_silent_one_is_killed(provider: Provider, page: ControlPage) -> None:
    provider.start(b"")
    now = time.monotonic()
    provider.manage(now)
    page[Head.PROVIDER_HEARTBEAT_NS] = int((now - HUNG_AFTER_SECONDS - 1) * 1e9)
    provider.manage(now)
    wait_for_end(provider)
    assert provider.seconds_to_next_step(time.monotonic()) > 0


def test_one_that_closed_its_channel_is_killed(provider: Provider) -> None:
    provider.start(b"")
    provider.abandon()
    wait_for_end(provider)


def test_a_new_configuration_replaces_it_at_once(provider: Provider) -> None:
    provider.start(b"1")
    first = provider.pid
    provider.start(b"2")
    assert provider.pid not in (0, first)
    wait_until(lambda: not _exists(first, provider))
    assert provider.state == "running"


def test_one_that_does_not_leave_is_killed_later(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "import os, signal; signal.signal(15, signal.SIG_IGN); os.write(1, b''); signal.pause()"
    monkeypatch.setattr(children, "PROVIDER_COMMAND", ("-c", stubborn))
    provider.start(b"1")
    first = provider.pid
    status = Path(f"/proc/{first}/status")
    wait_until(lambda: _ignores_term(status), what="TERM is ignored")
    provider.start(b"2")
    provider.manage(time.monotonic())
    assert _exists(first, provider)
    provider.manage(time.monotonic() + children.LEAVE_SECONDS)
    wait_until(lambda: not _exists(first, provider))


def test_children_of_others_are_not_its_business(provider: Provider) -> None:
    assert not provider.ended(12345, 0)
    provider.start(b"")
    assert not provider.ended(12345, 0)


def _exists(pid: int, provider: Provider) -> bool:
    provider.reap()
    return Path(f"/proc/{pid}").exists()


def _ignores_term(status: Path) -> bool:
    ignored = next(line for line in status.read_text().splitlines() if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) & 1 << signal.SIGTERM - 1)


def test_the_environment_is_reduced_to_what_reaches_a_cluster() -> None:
    environ = {
        "PATH": "/bin",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "https_proxy": "http://proxy",
        "SSL_CERT_FILE": "/ca",
        "KUBECONFIG": "/config",
        "LC_ALL": "C",
        "PYTHONPATH": "/lib",
        "AWS_PROFILE": "x",
        "TRAEFIK_LOG_LEVEL": "DEBUG",
        "DATABASE_PASSWORD": "secret",
    }
    passed = provider_environment(environ, Path("/app"))
    assert passed.pop("PYTHONPATH") == "/app:/lib"
    del environ["PYTHONPATH"], environ["DATABASE_PASSWORD"], environ["TRAEFIK_LOG_LEVEL"]
    assert passed == environ


def test_a_machine_without_room_for_it_is_asked_again_later(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", refuse)
        provider.start(b"static")
        now = time.monotonic()
        assert provider.pid == 0
        assert 0 < provider.seconds_to_next_step(now) < 60
        assert os.listdir("/proc/self/fd") == before
        provider.manage(now + 60)
        assert provider.pid == 0
    provider.manage(now + 120)
    assert provider.pid > 0
