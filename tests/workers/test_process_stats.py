"""Sums over processes as /proc shows them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from config.control_page import Cell, ControlPage, Head
from workers.process_stats import pids_of, tree_stats

TICKS = os.sysconf("SC_CLK_TCK")


def _process(root: Path, pid: int, name: str, numbers: dict[int, int], descriptors: int) -> None:
    folder = root / str(pid)
    (folder / "fd").mkdir(parents=True)
    for number in range(descriptors):
        (folder / "fd" / str(number)).write_text("")
    fields = [str(numbers.get(place, 0)) for place in range(4, 53)]
    (folder / "stat").write_text(f"{pid} ({name}) S {' '.join(fields)}\n")
    (folder / "limits").write_text(f"Limit\nMax open files            {1000 + pid}      4096      files\n")


def test_the_tree(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1000\n")
    # by the numbers of proc(5): 14 utime, 15 stime, 16 cutime, 17 cstime, 22 starttime, 23 vsize, 24 rss
    parent = {14: 1 * TICKS, 15: 2 * TICKS, 16: 4 * TICKS, 17: 8 * TICKS, 22: 5 * TICKS, 23: 100, 24: 2}
    _process(tmp_path, 1, "a (b) c", parent, 3)
    _process(tmp_path, 2, "w", {14: 16 * TICKS, 15: 0, 16: 99 * TICKS, 22: 0, 23: 1, 24: 1}, 2)
    stats = tree_stats([1, 2, 3], tmp_path)
    assert stats.cpu_seconds == 1 + 2 + 4 + 8 + 16
    assert (stats.virtual_bytes, stats.resident_bytes) == (101, 3 * os.sysconf("SC_PAGE_SIZE"))
    assert (stats.started, stats.open_descriptors, stats.max_descriptors) == (1005.0, 5, 1001.0)


def test_this_process() -> None:
    stats = tree_stats([os.getpid()])
    assert stats.cpu_seconds == pytest.approx(sum(os.times()[:4]), abs=1.0)
    assert 0 < time.time() - stats.started < 86400
    assert stats.open_descriptors >= 3


def test_processes_of_the_tree() -> None:
    page = ControlPage.create()
    assert pids_of(page) == [os.getpid()]
    page[Head.MASTER_PID], page[Head.PROVIDER_PID] = 5, 6
    page.slot(3)[Cell.PID] = 7
    assert pids_of(page) == [5, 6, 7]
