"""Two workers against one: what a request costs, what both carry, and how they share connections.

    python -m benchmarks.workers [--rounds 3] [--seconds 3] [--connections 64] [--work 60] [--spread 1000]

A request is to cost the proxy much and its client little, else two cores would be busy with the client: it passes
so many `redirectRegex` that do not match (--work). One worker has a core to itself. Two have two cores, and client
and server the rest, or where there is no rest a share of the same two. CPU is user plus system time of all the
proxy's processes from /proc, divided by the requests; medians over the rounds, whose order rotates. `others` says
what client and server took of the cores that the proxy had: two workers cannot carry more than
2 x (100 - others) % of one. Traefik is given as many threads (GOMAXPROCS).

Then so many keep-alive connections are opened (--spread), and counted for each worker from /proc. The kernel draws
the worker of a connection by lot.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.closed_loop import PATIENCE_SECONDS, exchange
from benchmarks.load import run_wrk, seconds_until_served
from benchmarks.middleware_cases import Case
from benchmarks.middlewares import pointsman, traefik
from benchmarks.other_proxies import backend
from benchmarks.processes import cpu_seconds, find, free_port, running, wait_for_port
from benchmarks.rounds import Column, Comparison, need, options, present, take_turns
from benchmarks.setting import HOST, Setting

WARM_UP_SECONDS = 1.0
_REQUEST = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Contender:
    """A proxy with so many workers, or threads."""

    proxy: str
    workers: int
    command: Callable[[Setting, Case], list[str]]

    @property
    def name(self) -> str:
        return f"{self.proxy}, workers: {self.workers}"


CONTENDERS = [
    Contender(proxy, workers, command)
    for proxy, command in (("pointsman", pointsman), ("traefik", traefik))
    for workers in (1, 2)
]
WITH_ONE = Comparison("x one", lambda name: f"{name.partition(',')[0]}, workers: 1")


@dataclass(frozen=True, slots=True)
class Sample:
    """One round. `uneven_percent`: what the busiest worker has above its even share of connections."""

    cpu_us: float
    per_second: float
    p99_ms: float
    others_percent: float
    uneven_percent: float
    failed: int


COLUMNS = (
    Column("CPU µs/request", "cpu_us", compared=True),
    Column("requests/s", "per_second", ".0f", compared=True),
    Column("p99 ms", "p99_ms", ".2f"),
    Column("others %", "others_percent", ".0f"),
    Column("uneven %", "uneven_percent", ".1f"),
    Column("failed", "failed", "d"),
)


def work(count: int) -> Case:
    """A chain that costs the proxy something and changes nothing."""
    one = {"redirectRegex": {"regex": "^https://([a-z]+)[.]example/(.*)", "replacement": "http://$1/$2"}}
    return Case("work", [one] * count, path="/")


def cores_for(workers: int) -> tuple[str, str]:
    """(the proxy's, those of client and server), as taskset wants them; the same where there are no more."""
    usable = sorted(os.sched_getaffinity(0))
    mine, rest = usable[:workers], usable[workers:]
    return ",".join(map(str, mine)), ",".join(map(str, rest or mine))


def connections_by_worker(process: psutil.Process, port: int) -> list[int]:
    """How many established connections to the port each process has that has any."""
    counts = []
    for one in process.children(recursive=True):
        found = one.net_connections("tcp")
        counts.append(
            sum(1 for each in found if each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED)
        )
    return [count for count in counts if count]


def uneven_percent(process: psutil.Process, port: int, count: int, workers: int) -> float:
    """Open so many connections that have been answered once, and look who has them."""
    with ExitStack() as kept:
        for _ in range(count):
            one = kept.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
            exchange(one, _REQUEST)
        counts = connections_by_worker(process, port)
    if sum(counts) != count:
        raise RuntimeError(f"{count} connections were opened, the workers have {counts}")
    return (max(counts) * workers / count - 1) * 100


def measure(contender: Contender, folder: Path, wanted: argparse.Namespace) -> Sample | None:
    """Start server and proxy, load it, then count connections. None where it is not installed."""
    if find(contender.proxy) is None and contender.proxy != "pointsman":
        return None
    proxy_cores, other_cores = cores_for(contender.workers)
    setting = Setting(free_port(), free_port(), folder, workers=contender.workers)
    log, server_log = folder / f"{contender.proxy}.log", folder / "backend.log"
    url, headers = f"http://127.0.0.1:{setting.port}/", [f"Host: {HOST}"]
    command = contender.command(setting, work(wanted.work))
    threads = {"GOMAXPROCS": str(contender.workers)}
    with (
        running(backend(setting), server_log, other_cores) as server,
        running(command, log, proxy_cores, threads) as process,
    ):
        wait_for_port(setting.backend_port, server, server_log)
        wait_for_port(setting.port, process, log)
        seconds_until_served(setting.port, HOST)
        run_wrk(url, WARM_UP_SECONDS, wanted.connections, other_cores, headers)
        before, before_others = cpu_seconds(process), _others(server)
        load = run_wrk(url, wanted.seconds, wanted.connections, other_cores, headers)
        spent, others = cpu_seconds(process) - before, _others(server) - before_others
        is_spread = contender.proxy == "pointsman" and contender.workers > 1 and wanted.spread
        uneven = uneven_percent(process, setting.port, wanted.spread, contender.workers) if is_spread else 0.0
    return Sample(
        cpu_us=spent / max(load.requests, 1) * 1e6,
        per_second=load.per_second,
        p99_ms=load.p99_ms,
        others_percent=others / (load.requests / load.per_second * contender.workers) * 100
        if proxy_cores == other_cores and load.requests
        else 0.0,
        uneven_percent=uneven,
        failed=load.failed,
    )


def _others(server: psutil.Process) -> float:
    """CPU seconds of the server, and of the clients that have ended."""
    clients = os.times()
    return cpu_seconds(server) + clients.children_user + clients.children_system


def main() -> None:
    wanted = _options()
    need("wrk", "nginx")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = take_turns(
            [one for one in CONTENDERS if not wanted.only or one.proxy in wanted.only.split(",")],
            wanted.rounds,
            lambda contender: measure(contender, folder, wanted),
        )
    heading = (
        f"{wanted.connections} connections, {wanted.work} middlewares, spread of {wanted.spread} connections, "
        f"{wanted.rounds} rounds of {wanted.seconds:g} s"
    )
    present(samples, COLUMNS, heading, wanted.json, WITH_ONE)


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3, seconds=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--work", type=int, default=60, metavar="N", help="middlewares that a request passes (60)")
    parser.add_argument("--spread", type=int, default=1000, metavar="N", help="connections counted; 0 for none")
    return parser.parse_args()


if __name__ == "__main__":
    main()
