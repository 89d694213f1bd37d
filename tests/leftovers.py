"""Finding processes that a test left behind.

Two nets: children of this process right after a test, and, at the end of the session, every process anywhere
that carries this session's mark in its environment (it finds orphans that have been handed to init). Neither
ends anything: a leftover is a bug of the test or of the program, and the report says which.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

import psutil

MARK_VARIABLE: Final = "PYTEST_LEFTOVER_MARK"
GRACE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.02


def children() -> set[psutil.Process]:
    """Living children and grandchildren of this process; ended ones that nobody waited for do not count.

    Runs twice for each test, so it asks the kernel for our children instead of looking at every process.
    """
    found = set()
    pending = _child_pids(os.getpid())
    while pending:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pending.pop())
            pending += _child_pids(process.pid)
            if is_alive(process):
                found.add(process)
    return found


def _child_pids(pid: int) -> list[int]:
    pids: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread, or the whole process, has ended meanwhile
            pids += map(int, path.read_text().split())
    return pids


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def new_children(before: set[psutil.Process], grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Descriptions of the children that were not there before and do not go within the grace time."""
    end = time.monotonic() + grace_seconds
    while left := children() - before:
        if time.monotonic() >= end:
            return sorted(describe(process) for process in left)
        time.sleep(LOOK_SECONDS)
    return []


def put_mark() -> str:
    """Mark this process's environment, which every process started from it inherits; returns the mark."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    os.environ[MARK_VARIABLE] = mark
    return mark


def marked(mark: str, grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Descriptions of other processes that carry the mark and do not go within the grace time."""
    end = time.monotonic() + grace_seconds
    while left := [process for process in psutil.process_iter() if carries(process, mark)]:
        if time.monotonic() >= end:
            return sorted(describe(process) for process in left)
        time.sleep(LOOK_SECONDS)
    return []


def carries(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid() or not is_alive(process):
        return False
    try:
        return bool(process.environ().get(MARK_VARIABLE) == mark)
    except (psutil.Error, OSError):
        return False


def describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline()) or process.name()}"
    except psutil.Error:
        return f"{process.pid}: (gone)"
