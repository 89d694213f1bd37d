"""The `process_*` metrics, of the whole process tree: what the kernel says of master, provider and workers.

CPU time of processes that have ended is in their parent's account, so the sum never falls.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from config.control_page import Cell, ControlPage, Head

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_USER_TICKS, _SYSTEM_TICKS, _CHILD_USER, _CHILD_SYSTEM, _START = 11, 12, 13, 14, 19
_VIRTUAL, _RESIDENT = 20, 21


class TreeStats(NamedTuple):
    """Sums over the tree; `started` in Unix seconds is the master's, `max_descriptors` the least of all."""

    cpu_seconds: float
    virtual_bytes: int
    resident_bytes: int
    started: float
    open_descriptors: int
    max_descriptors: float


def pids_of(page: ControlPage) -> list[int]:
    """The master's first, if there is one."""
    found = [page[Head.MASTER_PID], page[Head.PROVIDER_PID], *(slot[Cell.PID] for slot in page.live_slots())]
    return list(dict.fromkeys(pid for pid in found if pid)) or [os.getpid()]


def tree_stats(pids: list[int], root: Path = Path("/proc")) -> TreeStats:
    """What can be read of these processes; the first one is the others' parent."""
    cpu = virtual = resident = descriptors = 0.0
    started, limit = 0.0, float("inf")
    for place, pid in enumerate(pids):
        values = _stat(root / str(pid))
        if values is None:
            continue
        cpu += values[_USER_TICKS] + values[_SYSTEM_TICKS]
        if place == 0:
            cpu += values[_CHILD_USER] + values[_CHILD_SYSTEM]
            started = _boot_time(root) + values[_START] / _TICKS
        virtual += values[_VIRTUAL]
        resident += values[_RESIDENT] * _PAGE_BYTES
        descriptors += sum(1 for _ in _descriptors(root / str(pid)))
        limit = min(limit, _limit(root / str(pid)))
    return TreeStats(cpu / _TICKS, int(virtual), int(resident), started, int(descriptors), limit)


def _stat(folder: Path) -> list[int] | None:
    """The numbers behind the process's name and state, see proc(5)."""
    try:
        text = (folder / "stat").read_text(errors="replace")
    except OSError:
        return None
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]


def _boot_time(root: Path) -> float:
    with suppress(OSError):
        for line in (root / "stat").read_text().splitlines():
            if line.startswith("btime "):
                return float(line.split()[1])
    return 0.0


def _descriptors(folder: Path) -> Iterator[str]:
    """Empty where we may not look: a master that stays root."""
    with suppress(OSError):
        yield from os.listdir(folder / "fd")


def _limit(folder: Path) -> float:
    with suppress(OSError, ValueError, IndexError):
        for line in (folder / "limits").read_text().splitlines():
            if line.startswith("Max open files"):
                return float(line.split()[3])
    return float("inf")
