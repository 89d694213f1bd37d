"""From an API event to the first request on the new route, Pointsman and Traefik in one run.

    python -m benchmarks.propagation [--routes 100,1000,5000] [--changes 20] [--only pointsman,traefik]

An in-memory API server (its own process) holds N IngressRoutes with their Services and EndpointSlices. Then one
IngressRoute at a time is created and the proxy is asked for its host until it answers 200. Both proxies run
with `providersThrottleDuration=0`: what is measured is the work, not the pause. CPU is that of all the
proxy's processes over the changes; the polling requests are in it, for both alike.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import seconds_until_served
from benchmarks.machine import describe
from benchmarks.other_proxies import backend
from benchmarks.peers import route_objects
from benchmarks.processes import (
    cores,
    cpu_seconds,
    find,
    free_port,
    resident_mebibytes,
    running,
    wait_for_port,
)
from benchmarks.setting import Setting


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds from the API's answer to the first 200; CPU-seconds a change; memory after all of them."""

    first_view_seconds: float
    p50_ms: float
    p99_ms: float
    cpu_ms_a_change: float
    memory_mib: float

    def row(self) -> str:
        return (
            f"{self.first_view_seconds:.2f} | {self.p50_ms:.1f} | {self.p99_ms:.1f} | "
            f"{self.cpu_ms_a_change:.0f} | {self.memory_mib:.0f}"
        )


def pointsman_command(port: int, api: str, throttle: str = "0s") -> list[str]:
    return [
        *(sys.executable, "-m", "master", "run", "--workers=1"),
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.kubernetescrd.endpoint={api}",
        f"--providers.providersthrottleduration={throttle}",
    ]


def traefik_command(port: int, api: str) -> list[str]:
    return [
        find("traefik") or "traefik",
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.kubernetescrd.endpoint={api}",
        "--providers.providersthrottleduration=0s",
        "--global.checknewversion=false",
    ]


COMMANDS: dict[str, Callable[[int, str], list[str]]] = {"pointsman": pointsman_command, "traefik": traefik_command}


@contextmanager
def api_server(folder: Path) -> Iterator[str]:
    """The in-memory API server; yields its URL."""
    port = free_port()
    log = folder / "kube.log"
    with running([sys.executable, "-m", "tests.kube", "--port", str(port)], log, cores()[1]) as process:
        wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}"


def load(api: str, body: dict[str, Any]) -> None:
    """Create or replace the objects of a v1 List."""
    connection = http.client.HTTPConnection(api.removeprefix("http://"), timeout=120)
    connection.request("POST", "/_control/load", json.dumps(body))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the API server answered {answer.status}")


def many_routes(count: int, backend_port: int) -> dict[str, Any]:
    items: list[object] = []
    for number in range(count):
        one = route_objects(backend_port, f"app-{number}", f"app-{number}.example")
        items += one["items"]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def measure(name: str, routes: int, changes: int, backend_port: int, folder: Path) -> Result:
    with api_server(folder) as api:
        load(api, many_routes(routes, backend_port))
        port, log = free_port(), folder / f"{name}.log"
        with running(COMMANDS[name](port, api), log, cores()[0]) as process:
            wait_for_port(port, process, log)
            first = seconds_until_served(port, f"app-{routes - 1}.example")
            time.sleep(1)  # let the first build's own work end: what follows counts single changes
            return _changes(process, api, port, changes, backend_port, first)


def _changes(
    process: psutil.Process, api: str, port: int, changes: int, backend_port: int, first: float
) -> Result:
    before, taken = cpu_seconds(process), []
    for number in range(changes):
        host = f"new-{number}.example"
        load(api, route_objects(backend_port, f"new-{number}", host))
        taken.append(seconds_until_served(port, host) * 1e3)
        time.sleep(0.1)
    spent = cpu_seconds(process) - before
    p99 = sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.99))]
    return Result(first, statistics.median(taken), p99, spent / changes * 1e3, resident_mebibytes(process))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routes", default="100,1000,5000")
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--only", default="pointsman,traefik")
    options = parser.parse_args()
    print(describe())
    print("\n| routes | proxy | first view s | event to 200, p50 ms | p99 ms | CPU ms a change | memory MiB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        setting = Setting(0, free_port(), folder)
        with running(backend(setting), folder / "backend.log", cores()[1]) as process:
            wait_for_port(setting.backend_port, process, folder / "backend.log")
            for routes in map(int, options.routes.split(",")):
                for name in options.only.split(","):
                    if name == "traefik" and find("traefik") is None:
                        continue
                    one = measure(name, routes, options.changes, setting.backend_port, folder)
                    print(f"| {routes} | {name} | {one.row()} |", flush=True)


if __name__ == "__main__":
    main()
