"""HTTP/2 connections while the tree changes: four workers under load, reloads, renewals, one worker killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.test_served import Served
from tests.e2e.tree import Tree
from tests.e2e.upstream import Upstream
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load"),
]


@pytest.fixture
def served(start_tree: StartTree, tmp_path: Path) -> Iterator[Served]:
    directory = tmp_path / "manifests"
    directory.mkdir()
    with Upstream() as upstream:
        yield Served(start_tree, directory, upstream)


class H2Load:
    """So many requests over eight connections, five streams at a time; ends by itself."""

    def __init__(self, port: int, requests: int, path: str = "/") -> None:
        self._process = subprocess.Popen(
            ["h2load", "-n", str(requests), "-c", "8", "-m", "5", "-T", "30", "-N", "30"]
            + [f"http://127.0.0.1:{port}{path}"],  # noqa: RUF005
            stdout=subprocess.PIPE,
            text=True,
        )
        self.summary = ""

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        self.summary = self._process.communicate(timeout=60)[0]

    def counted(self, what: str) -> int:
        """`succeeded`, `failed`, `errored`."""
        found = re.search(rf"(\d+) {what}", self.summary)
        assert found is not None, self.summary
        return int(found[1])


def start(served: Served) -> Tree:
    tree = served.start("--workers=4")
    wait_until(lambda: len(tree.workers()) == 4)
    return tree


def test_reloads_and_renewed_workers_fail_no_request(served: Served) -> None:
    """GOAWAY, and what was asked before it is answered: clients lose nothing."""
    tree = start(served)
    port, workers = tree.port(), set(tree.workers())
    with H2Load(port, 12_000) as load:
        for number in range(5):
            served.write(f"PathPrefix(`/`) || Path(`/{number}`)")
        tree.send(signal.SIGHUP)
        wait_until(lambda: not set(tree.workers()) & workers and len(tree.workers()) == 4, what="new workers")
        was_running = load.is_running
    assert was_running, "the load ended before the workers were new"
    assert (load.counted("failed"), load.counted("errored")) == (0, 0), load.summary
    assert load.counted("2xx") == 12_000


def test_a_killed_worker_takes_its_own_streams_alone(served: Served) -> None:
    tree = start(served)
    port, victim = tree.port(), tree.workers()[0]
    with H2Load(port, 4000) as load:
        wait_until(lambda: True)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in tree.workers() and len(tree.workers()) == 4, what="a successor")
    assert load.counted("succeeded") + load.counted("failed") == 4000
    with H2Load(port, 200) as behind:
        pass
    assert (behind.counted("2xx"), behind.counted("failed")) == (200, 0)
