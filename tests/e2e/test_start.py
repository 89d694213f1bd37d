"""What the master takes from its surroundings: sockets, pidfile, systemd, user."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import StartTree
from tests.waiting import wait_until

pytestmark = pytest.mark.process

NOBODY = 65532

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.lines: list[str] = []

    def heard(self, prefix: str) -> list[str]:
        while True:
            try:
                self.lines += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return [line for line in self.lines if line.startswith(prefix)]

    def wait_for(self, prefix: str, count: int = 1) -> str:
        return wait_until(
            lambda: self.heard(prefix)[-1] if len(self.heard(prefix)) >= count else "", what=f"{count} x {prefix}"
        )

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def test_systemd_hears_the_truth(start_tree: StartTree, manager: Manager) -> None:
    tree = start_tree("--workers=2", environ={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"})
    manager.wait_for("READY=1")
    assert not manager.heard("STOPPING")
    tree.wait_ready(2)
    manager.wait_for("STATUS=serving generation 1 with 2 workers; provider running")
    manager.wait_for("WATCHDOG=1", 2)
    os.kill(tree.providers()[0], signal.SIGUSR2)
    manager.wait_for("STATUS=serving generation 2 with 2 workers; provider running")
    os.kill(tree.providers()[0], signal.SIGKILL)
    manager.wait_for("STATUS=serving generation 2 with 2 workers; provider restarting")
    manager.wait_for("STATUS=serving generation 3 with 2 workers; provider running")
    assert len(manager.heard("READY=1")) == 1
    tree.send(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    assert int(manager.wait_for("MONOTONIC_USEC=").partition("=")[2]) > 0
    manager.wait_for("READY=1", 2)
    assert tree.stop() == 0
    manager.wait_for("STOPPING=1")


def test_ready_waits_for_the_first_complete_generation(start_tree: StartTree, manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.path), "PYTHON_STAND_IN_INCOMPLETE": "1"}
    tree = start_tree("--workers=2", environ=environ)
    manager.wait_for("STATUS=serving generation 1 with 2 workers")
    tree.wait_ready(2)
    assert not manager.heard("READY")
    os.kill(tree.providers()[0], signal.SIGUSR2)
    manager.wait_for("READY=1")


@pytest.mark.parametrize("name", ["web", "pointsman.socket"])
def test_sockets_of_systemd_are_taken_by_name_or_port(start_tree: StartTree, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        environ = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
        tree = start_tree(
            "--workers=2",
            f"--entryPoints.web.address=127.0.0.1:{port}",
            "--log.level=INFO",
            base=(),
            environ=environ,
            descriptors=(listener.fileno(),),
            wrapper=(sys.executable, "-c", AS_SYSTEMD, str(listener.fileno())),
        )
        tree.wait_ready(2)
        assert tree.port() == port
        old = tree.workers()
        tree.send(signal.SIGHUP)
        wait_until(lambda: tree.workers() and not set(tree.workers()) & set(old), what="new workers")
        assert tree.get(port=port).status == 200
        assert tree.stop() == 0
        # the socket is systemd's: it is still there for the next start
        with socket.create_connection(("127.0.0.1", port)):
            pass


def test_a_taken_port_ends_the_start_with_its_name(start_tree: StartTree) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        tree = start_tree(f"--entryPoints.web.address=127.0.0.1:{port}", base=())
        assert tree.wait_exit() == 1
    assert f"entry point web: cannot listen at 127.0.0.1:{port}: Address already in use" in tree.log()


@pytest.mark.behaviour("OP-10")
def test_two_entry_points_on_one_port_end_the_start(start_tree: StartTree, free_port: int) -> None:
    address = f"address=127.0.0.1:{free_port}"
    tree = start_tree(f"--entryPoints.a.{address}", f"--entryPoints.b.{address}", base=())
    assert tree.wait_exit() == 1


def test_a_second_instance_does_not_share_the_port_by_accident(start_tree: StartTree) -> None:
    first = start_tree("--workers=1")
    first.wait_ready(1)
    second = start_tree("--workers=1", f"--entryPoints.web.address=127.0.0.1:{first.port()}", base=())
    assert second.wait_exit() == 1
    third = start_tree(
        "--workers=1",
        f"--entryPoints.web.address=127.0.0.1:{first.port()}",
        "--entryPoints.web.reusePort=true",
        "--log.level=INFO",
        base=(),
    )
    third.wait_for_log("worker serves")
    assert third.stop() == 0


def test_the_pidfile_lives_as_long_as_the_master(start_tree: StartTree, tmp_path: Path) -> None:
    pidfile = tmp_path / "pointsman.pid"
    tree = start_tree(f"--pidFile={pidfile}", "--workers=1")
    tree.wait_ready(1)
    assert int(pidfile.read_text()) == tree.process.pid
    second = start_tree(f"--pidFile={pidfile}", "--workers=1")
    assert second.wait_exit() == 1
    assert "Already running" in second.log()
    assert tree.stop() == 0
    assert not pidfile.exists()


def can_become_nobody() -> bool:
    """Root, and an interpreter that the other user may start too (not one in root's home)."""
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run([sys.executable, "-c", "import pprint"], user=NOBODY, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_become_nobody(), reason="needs root and an interpreter for everybody")
def test_root_is_given_up_after_binding(start_tree: StartTree) -> None:
    tree = start_tree(f"--user={NOBODY}", f"--group={NOBODY}", "--workers=1")
    tree.wait_ready(1)
    for pid in (tree.process.pid, *tree.workers(), *tree.providers()):
        process = psutil.Process(pid)
        assert set(process.uids()) | set(process.gids()) == {NOBODY}
        status = Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        bind_only = "CapEff:\t0000000000000400" if pid == tree.process.pid else "CapEff:\t0000000000000000"
        assert bind_only in status
    # a further lane joins the group that root has opened
    tree.send(signal.SIGTTIN)
    tree.wait_ready(2)
    assert "no further worker" not in tree.log()
