"""Starting, pinning, measuring and ending the processes of a benchmark, by pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
START_DEADLINE_SECONDS: Final = 30.0
STOP_DEADLINE_SECONDS: Final = 10.0
IDLE_DEADLINE_SECONDS: Final = 300.0
IDLE_CPU_SECONDS: Final = 0.02
"""Less than this in a second is idle."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@cache
def cores() -> tuple[str, str]:
    """(core for the proxy, core for load and backend), as taskset wants them.

    Those of the first call, whatever this process is pinned to afterwards.
    """
    usable = sorted(os.sched_getaffinity(0))
    return str(usable[0]), str(usable[-1])


@contextmanager
def pinned(core: str) -> Iterator[None]:
    """The calling thread runs on this core for the duration of the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def find(*names: str) -> str | None:
    """First of the programs that is installed, looked up beside this Python too."""
    import sys

    here = str(Path(sys.executable).parent)
    path = os.pathsep.join([here, os.environ.get("PATH", ""), "/usr/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    core: str | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
) -> Iterator[psutil.Process]:
    """The process for the duration of the block; afterwards it and what it started are gone."""
    pinned = ["taskset", "-c", core, *command] if core is not None and shutil.which("taskset") else list(command)
    with log.open("wb") as output:
        child = subprocess.Popen(
            pinned,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            pass_fds=descriptors,
        )
    process = psutil.Process(child.pid)
    try:
        yield process
    finally:
        family = _family(process)
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for one in family:
            if one.is_running():
                one.kill()


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_for_port(port: int, process: psutil.Process, log: Path) -> None:
    """Until something accepts on the port. Raises RuntimeError with the log's tail if it never does."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline and process.is_running():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on {port}:\n{log.read_text(errors='replace')[-2000:]}")


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of the process and everything below it, from /proc."""
    total = 0
    for one in _family(process):
        try:
            fields = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_SECOND


def wait_until_idle(process: psutil.Process) -> None:
    """Until first garbage collections and reports to the cluster are over; RuntimeError if that never is."""
    deadline = time.monotonic() + IDLE_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(process)
        time.sleep(1)
        if cpu_seconds(process) - before <= IDLE_CPU_SECONDS:
            return
    raise RuntimeError("the program does not come to rest")


def resident_mebibytes(process: psutil.Process) -> float:
    """Proportional set size of the family: pages shared by fork count once."""
    total = 0
    for one in _family(process):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total / (1 << 20)
