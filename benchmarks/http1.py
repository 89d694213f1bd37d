"""HTTP/1.1 keep-alive, small GET: CPU per request of Pointsman and its peers in one run.

    python -m benchmarks.http1 [--rounds 5] [--seconds 4] [--connections 32] [--only pointsman,traefik] [--json F]
    python -m benchmarks.http1 --log-and-metrics ...    the same with what users really run

Each proxy gets one core, wrk and the backend the other. CPU is user plus system time of all the proxy's
processes from /proc, divided by the requests that wrk counted; medians over the rounds, whose order rotates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load import run_wrk, seconds_until_served
from benchmarks.machine import describe
from benchmarks.peers import HOST, PEERS, Peer, Setting, backend
from benchmarks.processes import (
    cores,
    cpu_seconds,
    find,
    free_port,
    resident_mebibytes,
    running,
    wait_for_port,
)

WARM_UP_SECONDS = 1.0
OBSERVED_PEERS = ["pointsman", "traefik"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    memory_mib: float
    failed: int


def measure(
    peer: Peer, folder: Path, backend_port: int, seconds: float, connections: int, observed: bool = False
) -> Sample | None:
    """Start the peer, warm it up, load it. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), backend_port, folder, observed)
    command = peer.command(setting)
    if command is None:
        return None
    log = folder / f"{peer.name}.log"
    url = f"http://127.0.0.1:{setting.port}/"
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        seconds_until_served(setting.port, HOST)
        run_wrk(url, WARM_UP_SECONDS, connections, load_core, (f"Host: {HOST}",))
        before = cpu_seconds(process)
        load = run_wrk(url, seconds, connections, load_core, (f"Host: {HOST}",))
        spent = cpu_seconds(process) - before
        memory = resident_mebibytes(process)
    return Sample(
        spent / max(load.requests, 1) * 1e6, load.per_second, load.p50_ms, load.p99_ms, memory, load.failed
    )


def median(samples: list[Sample]) -> Sample:
    """Median of each column; failures are summed."""
    columns = {name: [getattr(one, name) for one in samples] for name in Sample.__slots__}
    middle = {name: statistics.median(values) for name, values in columns.items()}
    return Sample(**{**middle, "failed": sum(columns["failed"])})


def report(results: dict[str, Sample]) -> str:
    """A table with ratios to Traefik, for people and for docs/performance.md."""
    reference = results.get("traefik") or next(iter(results.values()))
    lines = [
        "| proxy | CPU µs/request | x Traefik | requests/s | p50 ms | p99 ms | memory MiB | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        lines.append(
            f"| {name} | {one.cpu_us:.1f} | {one.cpu_us / reference.cpu_us:.2f} | {one.per_second:.0f} | "
            f"{one.p50_ms:.2f} | {one.p99_ms:.2f} | {one.memory_mib:.0f} | {one.failed} |"
        )
    return "\n".join(lines)


def main() -> None:
    options = _options()
    everybody = OBSERVED_PEERS if options.log_and_metrics else [peer.name for peer in PEERS]
    wanted = options.only.split(",") if options.only else everybody
    if find("wrk") is None or find("nginx") is None:
        raise SystemExit("this benchmark needs wrk and nginx (Debian packages: wrk, nginx-light)")
    peers = [peer for peer in PEERS if peer.name in wanted]
    samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting = Setting(0, free_port(), folder)
        with running(backend(setting), folder / "backend.log", cores()[1]) as process:
            wait_for_port(setting.backend_port, process, folder / "backend.log")
            for number in range(options.rounds):
                shift = number % len(peers)
                for peer in peers[shift:] + peers[:shift]:
                    sample = measure(
                        peer,
                        folder,
                        setting.backend_port,
                        options.seconds,
                        options.connections,
                        options.log_and_metrics,
                    )
                    if sample is not None:
                        samples[peer.name].append(sample)
    results = {name: median(rounds) for name, rounds in samples.items() if rounds}
    print(describe())
    print(f"{options.connections} connections, {options.rounds} rounds of {options.seconds:g} s, medians\n")
    print(report(results))
    if options.json:
        rounds = {name: [asdict(one) for one in taken] for name, taken in samples.items()}
        Path(options.json).write_text(json.dumps({"machine": describe(), "rounds": rounds}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--log-and-metrics", action="store_true", help="access log to a file, Prometheus metrics")
    parser.add_argument("--json", default="", help="write every round to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
