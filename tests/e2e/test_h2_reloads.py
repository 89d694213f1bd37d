"""HTTP/2 connections while the tree changes: four workers under load, reloads, renewals, one worker killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
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


class H2Rounds:
    """Rounds of h2load, eight connections with five streams each, until the end of the block.

    A client that is told to leave sends nothing new and does not come back: what it had sent is to be answered.
    """

    def __init__(self, port: int) -> None:
        self.summaries: list[str] = []
        self._command = [*("h2load", "-n", "400", "-c", "8", "-m", "5", "-N", "30"), f"http://127.0.0.1:{port}/"]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopping.is_set():
            done = subprocess.run(self._command, capture_output=True, text=True, timeout=60, check=False)
            self.summaries.append(done.stdout)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.summaries, what="a first round")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def sum(self, what: str) -> int:
        return sum(_counted(summary, what) for summary in self.summaries)

    def lost(self) -> list[str]:
        """Rounds in which something was sent that got no good answer."""
        return [summary for summary in self.summaries if _counted(summary, "started") != _counted(summary, "2xx")]


def _counted(summary: str, what: str) -> int:
    found = re.search(rf"(\d+) {what}", summary)
    assert found is not None, summary
    return int(found[1])


def start(served: Served) -> Tree:
    tree = served.start("--workers=4")
    wait_until(lambda: len(tree.workers()) == 4)
    return tree


def test_reloads_and_renewed_workers_fail_no_request(served: Served) -> None:
    """GOAWAY, and what was asked before it is answered: clients lose nothing.

    What h2load calls started may be a request that it had not sent yet when it was told to leave, so what reached
    the server behind counts, and all else must not have got a bad answer.
    """
    tree = start(served)
    workers, before = set(tree.workers()), served.upstream.requests
    with H2Rounds(tree.port()) as rounds:
        for number in range(5):
            served.write(f"PathPrefix(`/`) || Path(`/{number}`)")
        tree.send(signal.SIGHUP)
        wait_until(lambda: not set(tree.workers()) & workers and len(tree.workers()) == 4, what="new workers")
    everything = "\n".join(rounds.summaries)
    assert served.upstream.requests - before == rounds.sum("2xx"), everything
    assert not any(map(rounds.sum, ("3xx", "4xx", "5xx"))), everything
    assert len(rounds.summaries) > 1


def test_a_killed_worker_takes_its_own_streams_alone(served: Served) -> None:
    tree = start(served)
    victim = tree.workers()[0]
    with H2Rounds(tree.port()) as rounds:
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in tree.workers() and len(tree.workers()) == 4, what="a successor")
        begun = len(rounds.summaries) + 2
        wait_until(lambda: len(rounds.summaries) >= begun, what="rounds behind it")
    assert len(rounds.lost()) <= 1
    assert _counted(rounds.summaries[-1], "2xx") == 400
