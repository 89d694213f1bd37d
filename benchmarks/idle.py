"""Idle keep-alive connections: what each costs in memory, Pointsman and its peers in one run.

    python -m benchmarks.idle [--connections 10000] [--rounds 3] [--only pointsman] [--json F]

So many clients connect one after the other, ask once, and wait. Memory is the proportional set size of all the
proxy's processes before and after, so what the kernel keeps for a socket is not in it; medians over the rounds,
whose order rotates. Clients use several loopback addresses, since one has not enough ports; the proxy needs a
descriptor for each of them and some more (`ulimit -Hn`).
"""

from __future__ import annotations

import argparse
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.closed_loop import PATIENCE_SECONDS, exchange
from benchmarks.load import seconds_until_served
from benchmarks.peers import PEERS
from benchmarks.processes import (
    cores,
    cpu_seconds,
    free_port,
    pinned,
    resident_mebibytes,
    running,
    wait_for_port,
)
from benchmarks.rounds import Column, Stage, chosen, need, options, present, stage, take_turns
from benchmarks.setting import HOST, Peer, Setting

PORTS_AN_ADDRESS = 20_000
WARM_UP_CONNECTIONS = 200
SPARE_DESCRIPTORS = 500
SETTLE_SECONDS = 1.0
TWO_EACH = ("haproxy",)
"""Who does not start without a descriptor for the server's side of each connection; left out without them."""
_REQUEST = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
_IP_BIND_ADDRESS_NO_PORT = 24


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy. CPU is that of accepting and answering the one request."""

    bytes_each: float
    memory_mib: float
    cpu_us: float


COLUMNS = (
    Column("bytes/connection", "bytes_each", ".0f", compared=True),
    Column("memory MiB", "memory_mib", ".0f"),
    Column("CPU µs/connection", "cpu_us", ".0f"),
)


def allow_descriptors(count: int) -> bool:
    """Raise this process's limit, which proxies inherit; False where that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), max(hard, count)))
    except (ValueError, OSError):
        return False
    return True


@contextmanager
def idle(port: int, count: int) -> Iterator[None]:
    """So many connections that have been answered once, open for the duration of the block."""
    with ExitStack() as kept:
        for number in range(count):
            exchange(kept.enter_context(_connected(port, number)), _REQUEST)
        yield


def _connected(port: int, number: int) -> socket.socket:
    connection = socket.socket()
    try:
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((f"127.0.0.{1 + number // PORTS_AN_ADDRESS}", 0))
        connection.connect(("127.0.0.1", port))
    except BaseException:
        connection.close()
        raise
    return connection


def measure(peer: Peer, place: Stage, wanted: argparse.Namespace) -> Sample | None:
    """Start the proxy, open the connections, look. None where it is not installed."""
    proxy_core, load_core = cores()
    clients = wanted.connections + SPARE_DESCRIPTORS
    setting = Setting(free_port(), place.backend_port, place.folder, connections=clients)
    command = peer.command(setting)
    if command is None:
        return None
    log = place.folder / f"{peer.name}.log"
    with running(command, log, proxy_core) as process, pinned(load_core):
        wait_for_port(setting.port, process, log)
        seconds_until_served(setting.port, HOST)
        with idle(setting.port, min(WARM_UP_CONNECTIONS, wanted.connections)):
            time.sleep(SETTLE_SECONDS)
        before, began = resident_mebibytes(process), cpu_seconds(process)
        with idle(setting.port, wanted.connections):
            spent = cpu_seconds(process) - began
            time.sleep(SETTLE_SECONDS)
            memory = resident_mebibytes(process)
    return Sample(
        bytes_each=(memory - before) * (1 << 20) / wanted.connections,
        memory_mib=memory,
        cpu_us=spent / wanted.connections * 1e6,
    )


def main() -> None:
    wanted = _options()
    need("nginx")
    needed = wanted.connections + 2 * SPARE_DESCRIPTORS
    if not allow_descriptors(needed):
        raise SystemExit(f"--connections: {needed} descriptors are needed, fewer are allowed (ulimit -Hn)")
    peers = chosen(PEERS, wanted.only)
    if not allow_descriptors(2 * needed):
        peers = [peer for peer in peers if peer.name not in TWO_EACH]
    with stage() as place:
        samples = take_turns(peers, wanted.rounds, lambda peer: measure(peer, place, wanted))
    present(samples, COLUMNS, f"{wanted.connections} idle connections, {wanted.rounds} rounds", wanted.json)


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3)
    parser.add_argument("--connections", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
