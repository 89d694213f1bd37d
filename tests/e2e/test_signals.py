"""Signals that change the running tree: no request may be lost by any of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import SlowRequest, Tree, Visitors, is_gone, request
from tests.waiting import wait_until

pytestmark = pytest.mark.process

CONFIGURATION = """
entryPoints:
  web: {{address: "127.0.0.1:0"}}
{more}
workers: {workers}
log: {{level: INFO}}
"""


def write_configuration(path: Path, more: str = "", workers: int = 2) -> None:
    path.write_text(CONFIGURATION.format(more=more, workers=workers))


@pytest.fixture
def configured(start_tree: StartTree, tmp_path: Path) -> tuple[Tree, Path]:
    """A tree of two workers that reads a file, and that file."""
    path = tmp_path / "pointsman.yml"
    write_configuration(path)
    tree = start_tree(f"--configFile={path}", base=())
    tree.wait_ready(2)
    return tree, path


def test_ttin_and_ttou_change_the_number_of_workers(start_tree: StartTree) -> None:
    tree = start_tree("--workers=1")
    first = tree.wait_ready(1)
    with Visitors(tree.port()) as visitors:
        tree.send(signal.SIGTTIN)
        tree.wait_ready(2)
        visitors.wait_for(50)
        tree.send(signal.SIGTTOU)
        wait_until(lambda: tree.workers() == first, what="the second worker leaves")
        tree.send(signal.SIGTTOU)
        os.kill(tree.providers()[0], signal.SIGUSR2)
        wait_until(lambda: tree.get().generation > 1, what="the master has gone round")
        assert tree.workers() == first, "the last one stays"
        tree.send(signal.SIGTTIN)
        tree.wait_ready(2)
        visitors.wait_for(50)
    assert not visitors.refused + visitors.broken
    assert len(visitors.by_pid) >= 3


def test_hup_replaces_everything_without_losing_a_request(configured: tuple[Tree, Path]) -> None:
    tree, _ = configured
    workers, providers = tree.workers(), tree.providers()
    slow = SlowRequest(tree.port(), 2)
    with Visitors(tree.port()) as visitors:
        for _ in range(2):
            before = set(tree.workers())
            tree.send(signal.SIGHUP)
            wait_until(lambda b=before: len(set(tree.workers()) - b) == 2, what="two new workers")  # type: ignore[misc]
            visitors.wait_for(50)
        assert slow.body()
        wait_until(lambda: len(tree.workers()) == 2, what="the old workers leave")
    assert not visitors.refused + visitors.broken
    assert not set(tree.workers()) & set(workers)
    assert tree.providers() != providers


def test_hup_binds_new_entry_points_and_closes_removed_ones(configured: tuple[Tree, Path], free_port: int) -> None:
    tree, path = configured
    port = tree.port()
    write_configuration(path, f'  extra: {{address: "127.0.0.1:{free_port}"}}', workers=3)
    tree.send(signal.SIGHUP)
    tree.wait_for_log("entry point extra listens")
    assert request("127.0.0.1", free_port, "/").status == 200
    assert tree.port() == port, "an entry point that did not change keeps its sockets"
    tree.wait_ready(3)
    write_configuration(path)
    tree.send(signal.SIGHUP)
    tree.wait_for_log("entry point extra no longer listens")

    def is_refused() -> bool:
        try:
            request("127.0.0.1", free_port, "/")
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            return False  # taken by a worker that was leaving
        return False

    wait_until(is_refused, what="the port is closed")
    assert tree.get().status == 200


@pytest.mark.parametrize("broken", ["entryPoints: [", "noSuchThing: {a: 1}\nentryPoints: {web: {adress: ':1'}}"])
def test_hup_with_a_broken_file_changes_nothing(configured: tuple[Tree, Path], broken: str) -> None:
    tree, path = configured
    workers = tree.workers()
    path.write_text(broken)
    tree.send(signal.SIGHUP)
    tree.wait_for_log("ERR reload refused")
    assert tree.get().status == 200
    assert tree.workers() == workers


def test_hup_with_a_taken_port_changes_nothing(configured: tuple[Tree, Path]) -> None:
    tree, path = configured
    workers = tree.workers()
    write_configuration(path, f'  extra: {{address: "127.0.0.1:{tree.port()}"}}')
    tree.send(signal.SIGHUP)
    tree.wait_for_log("ERR reload refused.*entry point extra")
    assert tree.get().status == 200
    assert tree.workers() == workers


def test_usr1_reopens_the_log_in_every_process(start_tree: StartTree, tmp_path: Path) -> None:
    current, renamed = tmp_path / "pointsman.log", tmp_path / "pointsman.log.1"
    tree = start_tree("--workers=2", f"--log.filePath={current}")
    wait_until(lambda: current.exists() and current.read_text().count("worker serves") == 2)
    current.rename(renamed)
    tree.send(signal.SIGUSR1)
    wait_until(current.exists, what="a new file")
    os.kill(tree.workers()[0], signal.SIGKILL)
    wait_until(lambda: "worker serves" in current.read_text() and "was killed" in current.read_text())
    assert "was killed" not in renamed.read_text()
    everybody = [tree.process.pid, *tree.workers()]
    wait_until(lambda: all(str(current) in _open_paths(pid) for pid in everybody), what="all reopened")


def _open_paths(pid: int) -> set[str]:
    return {file.path for file in psutil.Process(pid).open_files()}


def test_winch_drains_the_workers_and_hup_brings_them_back(start_tree: StartTree) -> None:
    tree = start_tree("--workers=2")
    tree.wait_ready(2)
    tree.send(signal.SIGWINCH)
    wait_until(lambda: not tree.workers(), what="no worker is left")
    tree.send(signal.SIGHUP)
    tree.wait_ready(2)
    assert tree.get().status == 200


def test_usr2_hands_over_to_a_new_master_without_losing_a_request(start_tree: StartTree, tmp_path: Path) -> None:
    pidfile = tmp_path / "pointsman.pid"
    tree = start_tree("--workers=2", f"--pidFile={pidfile}")
    old = tree.wait_ready(2)
    assert int(pidfile.read_text()) == tree.process.pid
    with Visitors(tree.port()) as visitors:
        tree.send(signal.SIGUSR2)
        second = tmp_path / "pointsman.pid.2"
        wait_until(second.exists, what="the second pidfile")
        heir = psutil.Process(int(second.read_text()))
        try:
            wait_until(lambda: len(tree.workers(heir)) == 2, what="workers of the new master")
            new = tree.workers(heir)
            wait_until(lambda: set(visitors.by_pid) >= {*old, *new}, what="both trees serve")
            assert tree.stop() == 0
            wait_until(lambda: pidfile.exists() and int(pidfile.read_text()) == heir.pid, what="promotion")
            assert not second.exists()
            visitors.wait_for(50)
            assert set(tree.workers(heir)) == set(new)
        finally:
            family = [heir, *heir.children()]
            heir.terminate()
            heir.wait(20)
    assert not visitors.refused + visitors.broken or not heir.is_running()
    assert all(is_gone(process.pid) for process in family)
    assert not pidfile.exists()


def test_a_new_master_that_cannot_start_leaves_the_old_one_alone(start_tree: StartTree, tmp_path: Path) -> None:
    path = tmp_path / "pointsman.yml"
    write_configuration(path)
    tree = start_tree(f"--configFile={path}", base=())
    workers = tree.wait_ready(2)
    path.write_text("entryPoints: [")
    tree.send(signal.SIGUSR2)
    tree.wait_for_log("the new master exited with code 1")
    assert tree.get().status == 200
    assert tree.workers() == workers
