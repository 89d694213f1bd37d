"""What the machine and its cgroup allow: processors for the number of workers, descriptors for connections."""

from __future__ import annotations

import math
import os
import resource
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Cores this process may use: its affinity, lowered by a CPU quota of its cgroup (rounded up), at least 1.

    A container sees the host's processors; its quota is what it gets.
    """
    affinity = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Processors that cgroup version 2 or 1 allows; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if not quota.isdigit() or not period.isdigit() or not int(period):
        return None
    return int(quota) / int(period)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one; children inherit it. Returns the soft limit.

    A proxy needs two descriptors a connection, and the soft default of 1024 is there for select() only.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
