"""TLS towards clients: CPU per request and handshake, memory of idle connections, beside Traefik in one run.

    python -m benchmarks.tls [--rounds 3] [--seconds 3] [--handshakes 1500] [--idle 2000] [--only pointsman]

Keep-alive: small GETs over TLS 1.3 from wrk. Handshakes: a connection each with one request, certificate ECDSA
P-256, in full and with the session of the connection before. Each proxy gets one core, clients and backend the
other. CPU is user plus system time of all the proxy's processes from /proc; medians over the rounds, whose order
rotates. `benchmarks/certificates.py` measures what many certificates cost.
"""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.certificates import issue
from benchmarks.load import run_wrk
from benchmarks.processes import cores, cpu_seconds, free_port, resident_mebibytes, running, wait_for_port
from benchmarks.rounds import Column, Stage, chosen, need, options, present, stage, take_turns
from benchmarks.secure_peers import PEERS
from benchmarks.setting import HOST, Peer, Setting

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
    resumed_of_full: float
    idle_kib: float
    failed: int


COLUMNS = (
    Column("keep-alive µs", "keep_alive_us", compared=True),
    Column("requests/s", "keep_alive_per_second", ".0f"),
    Column("full µs", "full_us", ".0f", compared=True),
    Column("resumed µs", "resumed_us", ".0f", compared=True),
    Column("x full", "resumed_of_full", ".2f"),
    Column("idle KiB", "idle_kib"),
    Column("failed", "failed", "d"),
)


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


def measure(peer: Peer, place: Stage, wanted: argparse.Namespace) -> Sample | None:
    """Start the peer and load it in each way. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), place.backend_port, place.folder, certificate=issue(HOST))
    command = peer.command(setting)
    if command is None:
        return None
    log = place.folder / f"{peer.name}.log"
    url = f"https://127.0.0.1:{setting.port}/"
    count = wanted.handshakes // CLIENTS * CLIENTS
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        _wait_for_route(setting.port)
        handshakes(setting.port, 100, resume=False)
        began = cpu_seconds(process)
        _, failed = handshakes(setting.port, count, resume=False)
        full = cpu_seconds(process)
        resumed, failed_too = handshakes(setting.port, count, resume=True)
        over = cpu_seconds(process)
        idle = idle_kib(setting.port, process, wanted.idle) if wanted.idle else 0.0
        run_wrk(url, 1, wanted.connections, load_core, (f"Host: {HOST}",))
        before = cpu_seconds(process)
        load = run_wrk(url, wanted.seconds, wanted.connections, load_core, (f"Host: {HOST}",))
        spent = cpu_seconds(process) - before
    return Sample(
        keep_alive_us=spent / max(load.requests, 1) * 1e6,
        keep_alive_per_second=load.per_second,
        full_us=(full - began) / count * 1e6,
        resumed_us=(over - full) / count * 1e6,
        resumed_share=resumed / count,
        resumed_of_full=(over - full) / max(full - began, 0.01),
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


def main() -> None:
    wanted = _options()
    need("wrk", "nginx")
    with stage() as place:
        samples = take_turns(chosen(PEERS, wanted.only), wanted.rounds, lambda peer: measure(peer, place, wanted))
    heading = (
        f"{wanted.connections} keep-alive connections, {wanted.handshakes} handshakes, {wanted.idle} idle "
        f"connections, {wanted.rounds} rounds"
    )
    present(samples, COLUMNS, heading, wanted.json)


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3, seconds=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--handshakes", type=int, default=1500)
    parser.add_argument("--idle", type=int, default=2000, help="connections whose memory is measured (2000)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
