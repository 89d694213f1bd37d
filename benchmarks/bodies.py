"""Large plain bodies: CPU and memory of Pointsman and its peers for one download or upload after the other.

    python -m benchmarks.bodies [--size-mib 1024] [--rounds 3] [--only pointsman,traefik]

The server is nginx for downloads (a sparse file, so that nothing is read from a disk) and a sink of this process
for uploads; the client is curl. CPU is user plus system time of all the proxy's processes.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import seconds_until_served
from benchmarks.machine import describe
from benchmarks.other_proxies import nginx_head
from benchmarks.peers import PEERS
from benchmarks.processes import (
    cores,
    cpu_seconds,
    find,
    free_port,
    resident_mebibytes,
    running,
    wait_for_port,
)
from benchmarks.setting import HOST, Peer, Setting

CHUNK_BYTES = 1 << 20


def file_server(setting: Setting, size_bytes: int) -> list[str]:
    """nginx with one sparse file and an empty page."""
    program = find("nginx")
    assert program is not None
    root = setting.folder / "root"
    root.mkdir(exist_ok=True)
    with (root / "body").open("wb") as file:
        file.truncate(size_bytes)
    path = setting.folder / "files.conf"
    path.write_text(
        nginx_head(setting) + f"server {{ listen 127.0.0.1:{setting.backend_port}; sendfile on; root {root};"
        " location = / { return 200 ok; } } }\n"
    )
    return [program, "-c", str(path), "-p", str(setting.folder), "-e", "stderr"]


@contextmanager
def sink() -> Iterator[int]:
    """The port of a server that reads bodies and throws them away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_swallow, args=(connection,), daemon=True).start()


def _swallow(connection: socket.socket) -> None:
    buffer = bytearray(CHUNK_BYTES)
    with connection:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(65536)
                if not data:
                    return
                head += data
            head, _, body = head.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            left = (int(lengths[0].split(b":")[1]) if lengths else 0) - len(body)
            while left > 0:
                left -= connection.recv_into(buffer)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def measure(peer: Peer, folder: Path, backend_port: int, upload: Path | None, rounds: int) -> str | None:
    """A line of the table, or None where the peer is not installed."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), backend_port, folder)
    command = peer.command(setting)
    if command is None:
        return None
    seconds, memory = [], 0.0
    log = folder / f"{peer.name}.log"
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        seconds_until_served(setting.port, HOST)
        for _ in range(rounds):
            before = cpu_seconds(process)
            run_curl(setting.port, load_core, upload)
            seconds.append(cpu_seconds(process) - before)
            memory = max(memory, resident_mebibytes(process))
    return f"| {peer.name} | {statistics.median(seconds):.2f} | {memory:.0f} |"


def run_curl(port: int, core: str, upload: Path | None) -> None:
    """One body."""
    how = ["-T", str(upload), f"http://127.0.0.1:{port}/"] if upload else [f"http://127.0.0.1:{port}/body"]
    header = ["-H", f"Host: {HOST}", "-H", "Expect:"]
    command = ["taskset", "-c", core, "curl", "-sS", "--fail", "-o", "/dev/null", *header, *how]
    subprocess.run(command, check=True, timeout=300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="comma-separated names")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [peer.name for peer in PEERS]
    print(describe())
    with tempfile.TemporaryDirectory() as name, sink() as sink_port:
        folder = Path(name)
        setting = Setting(0, free_port(), folder)
        command = file_server(setting, options.size_mib << 20)
        with running(command, folder / "backend.log", cores()[1]) as process:
            wait_for_port(setting.backend_port, process, folder / "backend.log")
            for way, port, upload in (
                ("down", setting.backend_port, None),
                ("up", sink_port, folder / "root" / "body"),
            ):
                print(f"\n{options.size_mib} MiB {way}\n\n| proxy | CPU seconds | memory MiB |\n|---|---|---|")
                for peer in (one for one in PEERS if one.name in wanted):
                    line = measure(peer, folder, port, upload, options.rounds)
                    if line is not None:
                        print(line, flush=True)


if __name__ == "__main__":
    main()
