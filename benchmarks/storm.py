"""A storm of EndpointSlice changes against many routes while clients are served.

    python -m benchmarks.storm [--routes 10000] [--seconds 60] [--changes 500] [--window 3] [--throttle 2s]

An in-memory API server holds N routes; wrk loads one of them in windows of a few seconds, first in quiet, then
while so many slices a second get other addresses, and at last with the same changes while the provider stands
still: what is left then is what the API server takes from wrk, with which it shares a core. Printed are the
medians of the windows, and what the provider spends. `--throttle` is `providersThrottleDuration`, 2 s by default;
with 0s the provider publishes as often as it ever does.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import Load, run_wrk, seconds_until_served
from benchmarks.machine import describe
from benchmarks.other_proxies import backend
from benchmarks.processes import cores, free_port, running, wait_for_port
from benchmarks.propagation import api_server, load, many_routes, pointsman_command
from benchmarks.setting import Setting

CONNECTIONS = 16
BATCHES_A_SECOND = 20
SETTLE_SECONDS = 2.0
LONGEST_SETTLING_SECONDS = 120.0
LONGEST_STOP_SECONDS = 15.0
"""The master ends a provider that shows no sign of life for twice as long."""
_TURNS = itertools.count()
"""Of all storms of this process: none may bring what the one before it has brought."""


def changes(count: int, routes: int) -> Iterator[dict[str, Any]]:
    """Lists of `count` slices, each with other addresses than before; the loaded route's own is not among them."""
    numbers = itertools.cycle(range(1, routes))
    for turn in _TURNS:
        yield {"apiVersion": "v1", "kind": "List", "items": [_slice(next(numbers), turn) for _ in range(count)]}


def _slice(number: int, turn: int) -> dict[str, Any]:
    name, network = f"app-{number}", f"10.{turn % 250}.{turn // 250 % 250}"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [f"{network}.{one}"], "conditions": {"ready": True}} for one in (1, 2)],
    }


def _stand_back() -> None:
    """The API server must not take the time of what measures, with which it shares a core."""
    for one in psutil.Process().children(recursive=True):
        if "tests.kube" in one.cmdline():
            for thread in one.threads():
                _only_when_idle(thread.id)


def _only_when_idle(thread: int) -> None:
    os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


class Storm:
    """Changes slices from a thread of its own, as evenly as it can; `made` counts them."""

    def __init__(self, api: str, routes: int, a_second: int) -> None:
        self.made = 0
        self._lists = changes(max(1, a_second // BATCHES_A_SECOND), routes)
        self._api = api
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        _only_when_idle(threading.get_native_id())
        os.sched_setaffinity(threading.get_native_id(), {int(cores()[1])})
        due = time.monotonic()
        for one in self._lists:
            if self._over.wait(max(0.0, due - time.monotonic())):
                return
            load(self._api, one)
            self.made += len(one["items"])
            due += 1 / BATCHES_A_SECOND

    def __enter__(self) -> Storm:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def provider_of(master: psutil.Process) -> psutil.Process:
    """The process below the master that runs the provider."""
    return next(one for one in master.children(recursive=True) if "provider" in one.cmdline())


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """It does nothing meanwhile."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def _wait_for_rest(provider: psutil.Process) -> None:
    """Until the provider has told the cluster what became of all those routes, and has nothing more to do."""
    deadline = time.monotonic() + LONGEST_SETTLING_SECONDS
    while time.monotonic() < deadline:
        before = sum(provider.cpu_times()[:2])
        time.sleep(SETTLE_SECONDS)
        if sum(provider.cpu_times()[:2]) - before < SETTLE_SECONDS / 100:
            return


def windows(port: int, seconds: float, window: float, core: str) -> list[Load]:
    return [
        run_wrk(f"http://127.0.0.1:{port}/", window, CONNECTIONS, core, ("Host: app-0.example",))
        for _ in range(max(1, round(seconds / window)))
    ]


def row(name: str, loads: list[Load]) -> str:
    p50, p99 = (statistics.median(getattr(one, field) for one in loads) for field in ("p50_ms", "p99_ms"))
    rate, failed = statistics.median(one.per_second for one in loads), sum(one.failed for one in loads)
    return f"| {name} | {len(loads)} | {rate:.0f} | {p50:.2f} | {p99:.2f} | {failed} |"


@contextmanager
def served(routes: int, folder: Path, throttle: str = "0s") -> Iterator[tuple[str, int, psutil.Process]]:
    """Everything that runs: the API server's URL, the proxy's port, its master."""
    setting = Setting(0, free_port(), folder)
    with running(backend(setting), folder / "backend.log", cores()[1]) as process, api_server(folder) as api:
        wait_for_port(setting.backend_port, process, folder / "backend.log")
        load(api, many_routes(routes, setting.backend_port))
        _stand_back()
        port, log = free_port(), folder / "pointsman.log"
        with running(pointsman_command(port, api, throttle), log, cores()[0]) as master:
            wait_for_port(port, master, log)
            seconds_until_served(port, "app-0.example")
            _wait_for_rest(provider_of(master))
            yield api, port, master


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--changes", type=int, default=500, help="a second")
    parser.add_argument("--window", type=float, default=3.0, help="seconds of one run of wrk")
    parser.add_argument("--throttle", default="2s", help="providersThrottleDuration")
    options = parser.parse_args()
    print(describe())
    measure(options.routes, options.seconds, options.changes, options.window, options.throttle)


def measure(routes: int, seconds: float, a_second: int, window: float, throttle: str) -> None:
    """Run it and print the table."""
    core = cores()[1]
    with (
        tempfile.TemporaryDirectory() as directory,
        served(routes, Path(directory), throttle) as (api, port, master),
    ):
        quiet = windows(port, seconds, window, core)
        provider = provider_of(master)
        before, began = sum(provider.cpu_times()[:2]), time.monotonic()
        with Storm(api, routes, a_second) as storm:
            busy = windows(port, seconds, window, core)
            made, passed = storm.made, time.monotonic() - began
        spent = sum(provider.cpu_times()[:2]) - before
        memory = provider.memory_info().rss / (1 << 20)
        with stopped(provider), Storm(api, routes, a_second):
            unheard = windows(port, min(seconds, LONGEST_STOP_SECONDS), window, core)
    print("\n| | windows | requests/s | p50 ms | p99 ms | failed |\n|---|---|---|---|---|---|")
    print(row("quiet", quiet))
    print(row("storm", busy))
    print(row("storm of which nobody hears", unheard))
    print(f"\n{made / passed:.0f} changes a second; provider: {spent / passed:.0%} of a core, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
