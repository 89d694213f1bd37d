"""wrk as the load generator, a closed loop of keep-alive connections, and the question when a route is served."""

from __future__ import annotations

import http.client
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.002
DEADLINE_SECONDS = 180.0
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. Latencies in milliseconds; `failed` counts errors and non-2xx answers."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def run_wrk(
    url: str, seconds: float, connections: int, core: str, headers: Sequence[str] = (), script: Path | None = None
) -> Load:
    """Load `url` for the given time, of which wrk knows whole seconds only, pinned to a core."""
    seconds = max(1, round(seconds))
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if script is not None:
        command += ["-s", str(script)]
    for header in headers:
        command += ["-H", header]
    result = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse_wrk(result.stdout)


def parse_wrk(text: str) -> Load:
    """Read wrk's report."""
    requests = _number(r"(\d+) requests in", text)
    failed = _number(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        requests=requests,
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),  # type: ignore[index]
        p50_ms=_latency("50%", text),
        p99_ms=_latency("99%", text),
        failed=failed + (sum(map(int, errors.groups())) if errors else 0),
    )


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _latency(percentile: str, text: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def seconds_until_served(port: int, host: str) -> float:
    """Ask over one connection until the host answers 200."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.perf_counter() - began < DEADLINE_SECONDS:
        try:
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
        else:
            if answer.status == 200:
                connection.close()
                return time.perf_counter() - began
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"{host} was not served within {DEADLINE_SECONDS} s")
