"""HTTP/1.1, small GET: CPU per request of Pointsman and its peers in one run.

    python -m benchmarks.http1 [--rounds 5] [--seconds 4] [--connections 32] [--only pointsman,traefik] [--json F]
    python -m benchmarks.http1 --log-and-metrics ...    the same with what users really run
    python -m benchmarks.http1 --new-connections ...    a connection for each request instead of keep-alive
    python -m benchmarks.http1 --routes 1,1000,10000 ...    the last of so many routes is asked for

Each proxy gets one core, wrk and the backend the other. CPU is user plus system time of all the proxy's
processes from /proc, divided by the requests that wrk counted; medians over the rounds, whose order rotates.
With --routes only Pointsman and Traefik take part, once for each number, and each is compared with
itself under the first of them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import psutil

from benchmarks.load import Load, run_wrk, seconds_until_served
from benchmarks.peers import PEERS
from benchmarks.processes import (
    cores,
    cpu_seconds,
    free_port,
    resident_mebibytes,
    running,
    wait_for_port,
    wait_until_idle,
)
from benchmarks.rounds import (
    WITH_TRAEFIK,
    Column,
    Comparison,
    Stage,
    chosen,
    need,
    options,
    present,
    stage,
    take_turns,
)
from benchmarks.setting import HOST, Peer, Setting

WARM_UP_SECONDS = 1.0
FULL_SETS = ("pointsman", "traefik")
"""Who can be asked for logs, metrics and many routes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    memory_mib: float
    failed: int


COLUMNS = (
    Column("CPU µs/request", "cpu_us", compared=True),
    Column("requests/s", "per_second", ".0f"),
    Column("p50 ms", "p50_ms", ".2f"),
    Column("p99 ms", "p99_ms", ".2f"),
    Column("memory MiB", "memory_mib", ".0f"),
    Column("failed", "failed", "d"),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A proxy with one number of routes."""

    peer: Peer
    routes: int
    name: str


def contenders(peers: list[Peer], routes: list[int]) -> list[Contender]:
    """Those with the same number of routes take turns next to each other."""
    if routes == [1]:
        return [Contender(peer, 1, peer.name) for peer in peers]
    return [Contender(peer, count, named(peer.name, count)) for peer in peers for count in routes]


def named(proxy: str, routes: int) -> str:
    return f"{proxy}, routes: {routes}"


def with_itself(routes: int) -> Comparison:
    """Each proxy against the same one with so many routes."""
    return Comparison(f"x {routes} routes", lambda name: named(name.partition(",")[0], routes))


def sample(load: Load, spent_seconds: float, process: psutil.Process) -> Sample:
    """What one run of a load generator says, with what the proxy spent on it."""
    cpu_us = spent_seconds / max(load.requests, 1) * 1e6
    memory = resident_mebibytes(process)
    return Sample(cpu_us, load.per_second, load.p50_ms, load.p99_ms, memory, load.failed)


def measure(contender: Contender, place: Stage, wanted: argparse.Namespace) -> Sample | None:
    """Start the proxy, warm it up, load it. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(
        free_port(),
        place.backend_port,
        place.folder,
        observed=wanted.log_and_metrics,
        routes=contender.routes,
    )
    command = contender.peer.command(setting)
    if command is None:
        return None
    log = place.folder / f"{contender.peer.name}.log"
    url = f"http://127.0.0.1:{setting.port}/"
    headers = [f"Host: {HOST}", *(["Connection: close"] if wanted.new_connections else [])]
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        seconds_until_served(setting.port, HOST)
        run_wrk(url, WARM_UP_SECONDS, wanted.connections, load_core, headers)
        if contender.routes > 1:
            wait_until_idle(process)
        before = cpu_seconds(process)
        load = run_wrk(url, wanted.seconds, wanted.connections, load_core, headers)
        return sample(load, cpu_seconds(process) - before, process)


def main() -> None:
    wanted = _options()
    need("wrk", "nginx")
    counts = [int(one) for one in wanted.routes.split(",")]
    limited = wanted.log_and_metrics or counts != [1]
    peers = [one for one in chosen(PEERS, wanted.only) if not limited or one.name in FULL_SETS]
    with stage() as place:
        samples = take_turns(
            contenders(peers, counts), wanted.rounds, lambda contender: measure(contender, place, wanted)
        )
    what = "one request each" if wanted.new_connections else "keep-alive"
    heading = f"{wanted.connections} connections, {what}, {wanted.rounds} rounds of {wanted.seconds:g} s"
    present(samples, COLUMNS, heading, wanted.json, WITH_TRAEFIK if counts == [1] else with_itself(counts[0]))


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=5, seconds=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--log-and-metrics", action="store_true", help="access log to a file, Prometheus metrics")
    parser.add_argument("--new-connections", action="store_true", help="send `Connection: close`")
    parser.add_argument("--routes", default="1", help="comma-separated numbers of routes (1)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
