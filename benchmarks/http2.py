"""HTTP/2 over TLS, small GET: CPU per request of Pointsman and Traefik in one run.

    python -m benchmarks.http2 [--rounds 3] [--seconds 4] [--connections 16] [--streams 8] [--only pointsman]

As benchmarks.http1, with h2load as the load generator and a generated certificate on both sides.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import ssl
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.http1 import Sample, median, report
from benchmarks.load import DEADLINE_SECONDS, Load
from benchmarks.machine import describe
from benchmarks.peers import HOST, Peer, Setting, backend, pointsman, route_objects, traefik
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
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def secure_pointsman(setting: Setting) -> list[str] | None:
    command = pointsman(setting)
    objects: Any = route_objects(setting.backend_port)
    objects["items"][0]["spec"]["tls"] = {}
    (setting.folder / "manifests" / "bench.json").write_text(json.dumps(objects))
    return command


def secure_traefik(setting: Setting) -> list[str] | None:
    command = traefik(setting)
    path = setting.folder / "dynamic.yaml"
    dynamic = json.loads(path.read_text()) if command is not None else {}
    if command is not None:
        dynamic["http"]["routers"]["bench"]["tls"] = {}
        path.write_text(json.dumps(dynamic))
    return command


PEERS = (Peer("pointsman", secure_pointsman), Peer("traefik", secure_traefik))


def run_h2load(port: int, seconds: float, connections: int, streams: int, core: str) -> Load:
    """Load the port for the given time, pinned to a core."""
    command = ["taskset", "-c", core, "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds:g}"]
    command += ["-H", f":authority: {HOST}", f"https://127.0.0.1:{port}/"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse_h2load(result.stdout)


def parse_h2load(text: str) -> Load:
    """Read h2load's report; it knows no percentiles: the mean stands for p50 and the longest for p99."""
    failed = re.search(r"succeeded, (\d+) failed", text)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", text)
    times = re.search(r"time for request: +\S+ +([\d.]+)(us|ms|s) +([\d.]+)(us|ms|s)", text)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    if failed is None or rate is None or times is None or codes is None:
        raise RuntimeError(f"h2load said something else:\n{text}")
    return Load(
        requests=int(codes[1]),
        per_second=float(rate[1]),
        p50_ms=float(times[3]) * _UNITS[times[4]],
        p99_ms=float(times[1]) * _UNITS[times[2]],
        failed=int(failed[1]) + sum(map(int, codes.groups()[1:])),
    )


def wait_until_served(port: int) -> None:
    """Ask, a connection each time, until the host answers 200: h2load waits for ever where a handshake fails."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
        try:
            connection.request("GET", "/", headers={"Host": HOST})
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise RuntimeError(f"{HOST} was not served within {DEADLINE_SECONDS} s")


def measure(peer: Peer, folder: Path, backend_port: int, options: argparse.Namespace) -> Sample | None:
    """Start the peer, warm it up, load it. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), backend_port, folder)
    command = peer.command(setting)
    if command is None:
        return None
    log = folder / f"{peer.name}.log"
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        wait_until_served(setting.port)
        run_h2load(setting.port, WARM_UP_SECONDS, options.connections, options.streams, load_core)
        before = cpu_seconds(process)
        load = run_h2load(setting.port, options.seconds, options.connections, options.streams, load_core)
        spent = cpu_seconds(process) - before
        memory = resident_mebibytes(process)
    return Sample(
        spent / max(load.requests, 1) * 1e6, load.per_second, load.p50_ms, load.p99_ms, memory, load.failed
    )


def main() -> None:
    options = _options()
    peers = [peer for peer in PEERS if not options.only or peer.name in options.only.split(",")]
    if find("h2load") is None or find("nginx") is None:
        raise SystemExit("this benchmark needs h2load and nginx (Debian packages: nghttp2-client, nginx-light)")
    samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting = Setting(0, free_port(), folder)
        with running(backend(setting), folder / "backend.log", cores()[1]) as process:
            wait_for_port(setting.backend_port, process, folder / "backend.log")
            for number in range(options.rounds):
                shift = number % len(peers)
                for peer in peers[shift:] + peers[:shift]:
                    sample = measure(peer, folder, setting.backend_port, options)
                    if sample is not None:
                        samples[peer.name].append(sample)
    results = {name: median(rounds) for name, rounds in samples.items() if rounds}
    print(describe())
    print(
        f"{options.connections} connections of {options.streams} streams through TLS, {options.rounds} rounds of "
        f"{options.seconds:g} s, medians; latencies are the mean and the longest\n"
    )
    print(report(results))
    if options.json:
        rounds = {name: [asdict(one) for one in taken] for name, taken in samples.items()}
        Path(options.json).write_text(json.dumps({"machine": describe(), "rounds": rounds}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--json", default="", help="write every round to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
