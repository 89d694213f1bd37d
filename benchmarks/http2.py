"""HTTP/2 over TLS, small GET: CPU per request of Pointsman and Traefik in one run.

    python -m benchmarks.http2 [--rounds 3] [--seconds 4] [--connections 16] [--streams 8] [--only pointsman]

As benchmarks.http1, with h2load as the load generator and a generated certificate on both sides.
"""

from __future__ import annotations

import argparse
import http.client
import re
import ssl
import subprocess
import time

from benchmarks.http1 import COLUMNS, Sample, sample
from benchmarks.load import DEADLINE_SECONDS, Load
from benchmarks.processes import cores, cpu_seconds, free_port, running, wait_for_port
from benchmarks.rounds import Stage, chosen, need, options, present, stage, take_turns
from benchmarks.secure_peers import PEERS
from benchmarks.setting import HOST, Peer, Setting

WARM_UP_SECONDS = 1.0
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


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


def measure(peer: Peer, place: Stage, wanted: argparse.Namespace) -> Sample | None:
    """Start the peer, warm it up, load it. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), place.backend_port, place.folder)
    command = peer.command(setting)
    if command is None:
        return None
    log = place.folder / f"{peer.name}.log"
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        wait_until_served(setting.port)
        run_h2load(setting.port, WARM_UP_SECONDS, wanted.connections, wanted.streams, load_core)
        before = cpu_seconds(process)
        load = run_h2load(setting.port, wanted.seconds, wanted.connections, wanted.streams, load_core)
        return sample(load, cpu_seconds(process) - before, process)


def main() -> None:
    wanted = _options()
    need("h2load", "nginx")
    peers = chosen(PEERS, wanted.only)
    with stage() as place:
        samples = take_turns(peers, wanted.rounds, lambda peer: measure(peer, place, wanted))
    heading = (
        f"{wanted.connections} connections of {wanted.streams} streams through TLS, latencies are the mean "
        f"and the longest, {wanted.rounds} rounds of {wanted.seconds:g} s"
    )
    present(samples, COLUMNS, heading, wanted.json)


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3, seconds=4)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
