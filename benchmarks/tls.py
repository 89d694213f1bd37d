"""TLS towards clients: CPU per request and handshake, memory of idle connections, beside Traefik in one run.

    python -m benchmarks.tls [--rounds 3] [--seconds 3] [--handshakes 1500] [--idle 2000] [--only pointsman]

Keep-alive: small GETs over TLS 1.3 from wrk. Handshakes: a connection each with one request, certificate ECDSA
P-256, in full and with the session of the connection before. Each proxy gets one core, clients and backend the
other. CPU is user plus system time of all the proxy's processes from /proc; medians over the rounds, whose order
rotates. `benchmarks/certificates.py` measures what many certificates cost.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import ssl
import statistics
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.certificates import issue
from benchmarks.load import run_wrk
from benchmarks.machine import describe
from benchmarks.peers import HOST, Peer, Setting, backend, pointsman, traefik
from benchmarks.processes import (
    cores,
    cpu_seconds,
    find,
    free_port,
    resident_mebibytes,
    running,
    wait_for_port,
)

CLIENTS = 8
SETTLE_SECONDS = 1.0
_GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy."""

    keep_alive_us: float
    keep_alive_per_second: float
    full_us: float
    resumed_us: float
    resumed_share: float
    idle_kib: float
    failed: int


def secure_pointsman(setting: Setting) -> list[str] | None:
    """The routes of benchmarks/peers.py with a certificate from a Secret."""
    command = pointsman(setting)
    path = setting.folder / "manifests" / "bench.json"
    objects: dict[str, Any] = json.loads(path.read_text())
    objects["items"][0]["spec"]["tls"] = {"secretName": "pair"}
    chain, key = (base64.b64encode(half).decode() for half in issue(HOST))
    objects["items"].append(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "pair", "namespace": "default"},
            "type": "kubernetes.io/tls",
            "data": {"tls.crt": chain, "tls.key": key},
        }
    )
    path.write_text(json.dumps(objects))
    return command


def secure_traefik(setting: Setting) -> list[str] | None:
    """The same with a certificate from files."""
    command = traefik(setting)
    if command is None:
        return None
    path = setting.folder / "dynamic.yaml"
    dynamic: dict[str, Any] = json.loads(path.read_text())
    dynamic["http"]["routers"]["bench"]["tls"] = {}
    files = {}
    for name, content in zip(("certFile", "keyFile"), issue(HOST), strict=True):
        file = setting.folder / name
        file.write_bytes(content)
        files[name] = str(file)
    dynamic["tls"] = {"certificates": [files]}
    path.write_text(json.dumps(dynamic))
    return command


PEERS = (Peer("pointsman", secure_pointsman), Peer("traefik", secure_traefik))


def client_context() -> ssl.SSLContext:
    """A client that judges nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def visit(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> tuple[bool, Any]:
    """One connection with one request: was it resumed, and its own session. Raises OSError."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=HOST, session=session) as client,
    ):
        client.sendall(_GET)
        received = b""
        while piece := client.recv(65536):
            received += piece
        if not received.startswith(b"HTTP/1.1 200"):
            raise ConnectionError("another answer than 200")
        return bool(client.session_reused), client.session


def handshakes(port: int, count: int, *, resume: bool) -> tuple[int, int]:
    """So many connections from a few threads: how many were resumed, how many failed."""
    resumed: list[bool] = []
    failed: list[str] = []
    core = int(cores()[1])

    def run() -> None:
        os.sched_setaffinity(0, {core})
        context, session = client_context(), None
        for _ in range(count // CLIENTS):
            try:
                was_resumed, latest = visit(port, context, session)
            except OSError as error:
                failed.append(repr(error))
            else:
                resumed.append(was_resumed)
                session = latest if resume else None

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(resumed), len(failed)


def idle_kib(port: int, process: Any, count: int) -> float:
    """KiB that each of so many connections adds which have sent a request and wait."""
    context = client_context()
    request = _GET.replace(b"Connection: close\r\n", b"")
    before = resident_mebibytes(process)
    kept = []
    try:
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", port), timeout=20)
            kept.append(context.wrap_socket(plain, server_hostname=HOST))
            kept[-1].sendall(request)
            kept[-1].recv(65536)
        time.sleep(SETTLE_SECONDS)
        return (resident_mebibytes(process) - before) * 1024 / count
    finally:
        for one in kept:
            one.close()


def measure(peer: Peer, folder: Path, backend_port: int, options: argparse.Namespace) -> Sample | None:
    """Start the peer and load it in each way. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), backend_port, folder)
    command = peer.command(setting)
    if command is None:
        return None
    log = folder / f"{peer.name}.log"
    url = f"https://127.0.0.1:{setting.port}/"
    count = options.handshakes // CLIENTS * CLIENTS
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        _wait_for_route(setting.port)
        handshakes(setting.port, 100, resume=False)
        began = cpu_seconds(process)
        _, failed = handshakes(setting.port, count, resume=False)
        full = cpu_seconds(process)
        resumed, failed_too = handshakes(setting.port, count, resume=True)
        over = cpu_seconds(process)
        idle = idle_kib(setting.port, process, options.idle) if options.idle else 0.0
        run_wrk(url, 1, options.connections, load_core, (f"Host: {HOST}",))
        before = cpu_seconds(process)
        load = run_wrk(url, options.seconds, options.connections, load_core, (f"Host: {HOST}",))
        spent = cpu_seconds(process) - before
    return Sample(
        keep_alive_us=spent / max(load.requests, 1) * 1e6,
        keep_alive_per_second=load.per_second,
        full_us=(full - began) / count * 1e6,
        resumed_us=(over - full) / count * 1e6,
        resumed_share=resumed / count,
        idle_kib=idle,
        failed=load.failed + failed + failed_too,
    )


def _wait_for_route(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            visit(port, client_context())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def report(results: dict[str, Sample]) -> str:
    """A table with ratios to Traefik."""
    reference = results.get("traefik") or next(iter(results.values()))
    lines = [
        "| proxy | keep-alive µs | x | requests/s | full µs | x | resumed µs | x | x full | idle KiB | failed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        lines.append(
            f"| {name} | {one.keep_alive_us:.1f} | {one.keep_alive_us / reference.keep_alive_us:.2f} | "
            f"{one.keep_alive_per_second:.0f} | {one.full_us:.0f} | {one.full_us / reference.full_us:.2f} | "
            f"{one.resumed_us:.0f} | {one.resumed_us / reference.resumed_us:.2f} | "
            f"{one.resumed_us / one.full_us:.2f} | {one.idle_kib:.1f} | {one.failed} |"
        )
    return "\n".join(lines)


def median(samples: list[Sample]) -> Sample:
    """Median of each column; failures are summed."""
    columns = {name: [getattr(one, name) for one in samples] for name in Sample.__slots__}
    middle = {name: statistics.median(values) for name, values in columns.items()}
    return Sample(**{**middle, "failed": sum(columns["failed"])})


def main() -> None:
    options = _options()
    if find("wrk") is None or find("nginx") is None:
        raise SystemExit("this benchmark needs wrk and nginx (Debian packages: wrk, nginx-light)")
    peers = [peer for peer in PEERS if not options.only or peer.name in options.only.split(",")]
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
        f"{options.connections} keep-alive connections, {options.handshakes} handshakes, {options.idle} idle "
        f"connections, {options.rounds} rounds, medians\n"
    )
    print(report(results))
    if options.json:
        rounds = {name: [asdict(one) for one in taken] for name, taken in samples.items()}
        Path(options.json).write_text(json.dumps({"machine": describe(), "rounds": rounds}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--handshakes", type=int, default=1500)
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--json", default="", help="write every round to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
