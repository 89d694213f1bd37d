"""WebSocket: CPU for a small message that a server sends back, of Pointsman and its peers in one run.

    python -m benchmarks.websocket [--rounds 3] [--seconds 3] [--connections 32] [--size 32] [--only pointsman]

On each connection one message is under way: it goes to the server and comes back, and only then the next one is
sent, so every message wakes the proxy twice. Each proxy gets one core, clients (benchmarks/closed_loop.py) and
server (benchmarks/echo.py) the other. CPU is user plus system time of all the proxy's processes from /proc,
divided by the messages that came back; medians over the rounds, whose order rotates. `busy` says how much of its
core the proxy used: of one that mostly waits, the numbers say less.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.closed_loop import PATIENCE_SECONDS, Line, converse, exchange
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
from benchmarks.rounds import Column, Stage, chosen, options, present, take_turns
from benchmarks.setting import HOST, Peer, Setting

WARM_UP_SECONDS = 0.5
LARGEST_BYTES = 125
"""Of a payload: longer ones have another header, which the server does not know."""
_TEXT = 0x81
_MASKED = 0x80
_HANDSHAKE = (
    f"GET /socket HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy."""

    cpu_us: float
    per_second: float
    busy_percent: float
    memory_mib: float
    failed: int


COLUMNS = (
    Column("CPU µs/message", "cpu_us", compared=True),
    Column("messages/s", "per_second", ".0f"),
    Column("busy %", "busy_percent", ".0f"),
    Column("memory MiB", "memory_mib", ".0f"),
    Column("failed", "failed", "d"),
)


class Messages:
    """The same text message again and again; the answer is the same without a mask."""

    def __init__(self, size_bytes: int) -> None:
        text = b"x" * size_bytes
        self._question = bytes((_TEXT, _MASKED | size_bytes, 0, 0, 0, 0)) + text
        self._answer = bytes((_TEXT, size_bytes)) + text
        self._received = b""

    def question(self) -> bytes:
        return self._question

    def heard(self, data: bytes) -> bool | None:
        if self._received:
            data = self._received + data
        if len(data) < len(self._answer):
            self._received = data
            return None
        self._received = b""
        return data == self._answer


def opened(port: int, size_bytes: int) -> Line:
    """A connection after its handshake. Raises OSError."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        head = exchange(connection, _HANDSHAKE)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"no upgrade: {head.decode(errors='replace')}")
    except BaseException:
        connection.close()
        raise
    return Line(connection, Messages(size_bytes))


def measure(peer: Peer, place: Stage, wanted: argparse.Namespace) -> Sample | None:
    """Start the proxy, open the connections, send. None where it is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), place.backend_port, place.folder, upgrades=True)
    command = peer.command(setting)
    if command is None:
        return None
    log = place.folder / f"{peer.name}.log"
    with running(command, log, proxy_core) as process, ExitStack() as open_lines, pinned(load_core):
        wait_for_port(setting.port, process, log)
        seconds_until_served(setting.port, HOST)
        lines = []
        for _ in range(wanted.connections):
            lines.append(opened(setting.port, wanted.size))
            open_lines.enter_context(lines[-1].connection)
        converse(lines, WARM_UP_SECONDS)
        before = cpu_seconds(process)
        tally = converse(lines, wanted.seconds)
        spent = cpu_seconds(process) - before
        memory = resident_mebibytes(process)
    return Sample(
        cpu_us=spent / max(tally.answers, 1) * 1e6,
        per_second=tally.answers / tally.seconds,
        busy_percent=spent / tally.seconds * 100,
        memory_mib=memory,
        failed=tally.failed,
    )


def main() -> None:
    wanted = _options()
    if not 0 < wanted.size <= LARGEST_BYTES:
        raise SystemExit(f"--size: between 1 and {LARGEST_BYTES} bytes")
    with tempfile.TemporaryDirectory() as name:
        place = Stage(Path(name), free_port())
        command, log = (
            [sys.executable, "-m", "benchmarks.echo", str(place.backend_port)],
            place.folder / "echo.log",
        )
        with running(command, log, cores()[1]) as process:
            wait_for_port(place.backend_port, process, log)
            samples = take_turns(
                chosen(PEERS, wanted.only), wanted.rounds, lambda peer: measure(peer, place, wanted)
            )
    heading = (
        f"{wanted.connections} connections, messages of {wanted.size} bytes, "
        f"{wanted.rounds} rounds of {wanted.seconds:g} s"
    )
    present(samples, COLUMNS, heading, wanted.json)


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3, seconds=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--size", type=int, default=32, help=f"bytes of a message, up to {LARGEST_BYTES} (32)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
