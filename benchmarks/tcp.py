"""TCP routers: CPU for bytes in bulk, and for connections that carry a few bytes, in one run with the peers.

    python -m benchmarks.tcp [--mebibytes 1024] [--connections 2000] [--rounds 3] [--only pointsman] [--json F]

Each proxy gets one core, the client and the server behind it share the other. CPU is user plus system time of all
the proxy's processes from /proc; medians over the rounds, whose order rotates. In bulk the server sends and the
client reads; otherwise each connection sends a line, hears it back and ends.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import (
    cores,
    cpu_seconds,
    find,
    free_port,
    pinned,
    resident_mebibytes,
    running,
    wait_for_port,
)
from benchmarks.rounds import Column, chosen, options, present, take_turns
from benchmarks.setting import Peer, Setting

PIECE_BYTES = 256 * 1024
LINE = b"hello\n"
PATIENCE_SECONDS = 2.0
_BULK = b"bulk %d\n"


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy."""

    cpu_seconds_per_gib: float
    mib_per_second: float
    cpu_us_per_connection: float
    connections_per_second: float
    memory_mib: float


def serve(port: int, core: int) -> None:
    """Until terminated: `bulk N` is answered with N bytes, any other line with itself; one client at a time."""
    os.sched_setaffinity(0, {core})
    piece = bytes(PIECE_BYTES)
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                line = connection.recv(100)
                left = int(line.split()[1]) if line.startswith(b"bulk") else 0
                if not left:
                    connection.sendall(line)
                while left > 0:
                    left -= connection.send(piece[: min(left, PIECE_BYTES)])


def bulk(port: int, size_bytes: int) -> float:
    """Read so many bytes through the proxy; seconds."""
    began, left, buffer = time.monotonic(), size_bytes, bytearray(PIECE_BYTES)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_BULK % size_bytes)
        while left > 0:
            count = connection.recv_into(buffer)
            if not count:
                raise RuntimeError(f"cut with {left} bytes missing")
            left -= count
    return time.monotonic() - began


def connections(port: int, count: int) -> float:
    """So many connections one after the other, each with one line; seconds."""
    began = time.monotonic()
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
            connection.sendall(LINE)
            if connection.recv(100) != LINE:
                raise RuntimeError("another answer")
    return time.monotonic() - began


def measure(peer: Peer, folder: Path, backend_port: int, mebibytes: int, count: int) -> Sample | None:
    """Start the peer and load it both ways. None where it is not installed."""
    proxy_core, _ = cores()
    setting = Setting(free_port(), backend_port, folder)
    command = peer.command(setting)
    if command is None:
        return None
    log = folder / f"{peer.name}.log"
    with running(command, log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        _wait_for_route(setting.port)
        bulk(setting.port, 16 << 20)
        connections(setting.port, 50)
        before = cpu_seconds(process)
        bulk_seconds = bulk(setting.port, mebibytes << 20)
        between = cpu_seconds(process)
        short_seconds = connections(setting.port, count)
        after = cpu_seconds(process)
        memory = resident_mebibytes(process)
    return Sample(
        cpu_seconds_per_gib=(between - before) * 1024 / mebibytes,
        mib_per_second=mebibytes / bulk_seconds,
        cpu_us_per_connection=(after - between) / count * 1e6,
        connections_per_second=count / short_seconds,
        memory_mib=memory,
    )


def _wait_for_route(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            connections(port, 1)
        except (OSError, RuntimeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def pointsman(setting: Setting) -> list[str] | None:
    manifests = setting.folder / "manifests"
    manifests.mkdir(exist_ok=True)
    (manifests / "bench.json").write_text(json.dumps(_objects(setting.backend_port)))
    return [
        *(sys.executable, "-m", "master", "run"),
        "--workers=1",
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.manifests.directory={manifests}",
    ]


def _objects(backend_port: int) -> dict[str, object]:
    metadata: dict[str, object] = {"name": "bench", "namespace": "default"}
    route = {"match": "HostSNI(`*`)", "services": [{"name": "bench", "port": 1}]}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "traefik.io/v1alpha1",
                "kind": "IngressRouteTCP",
                "metadata": metadata,
                "spec": {"routes": [route]},
            },
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 1}]}},
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": metadata | {"labels": {"kubernetes.io/service-name": "bench"}},
                "addressType": "IPv4",
                "ports": [{"name": "", "port": backend_port, "protocol": "TCP"}],
                "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True}}],
            },
        ],
    }


def traefik(setting: Setting) -> list[str] | None:
    program = find("traefik")
    if program is None:
        return None
    servers = [{"address": f"127.0.0.1:{setting.backend_port}"}]
    dynamic = {
        "tcp": {
            "routers": {"bench": {"rule": "HostSNI(`*`)", "service": "bench", "entryPoints": ["web"]}},
            "services": {"bench": {"loadBalancer": {"servers": servers}}},
        }
    }
    path = setting.folder / "dynamic.yaml"
    path.write_text(json.dumps(dynamic))
    return [
        program,
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.file.filename={path}",
        "--global.checknewversion=false",
    ]


def nginx(setting: Setting) -> list[str] | None:
    """Its stream module is a package of its own with Debian (libnginx-mod-stream)."""
    program, module = find("nginx"), Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    if program is None or not module.exists():
        return None
    path = setting.folder / "stream.conf"
    path.write_text(
        f"load_module {module}; daemon off; master_process off; worker_processes 1; error_log stderr crit;"
        f"pid {setting.folder}/stream-{setting.port}.pid; events {{ worker_connections 8000; }}\n"
        f"stream {{ server {{ listen 127.0.0.1:{setting.port} backlog=4096;"
        f"proxy_pass 127.0.0.1:{setting.backend_port}; }} }}\n"
    )
    return [program, "-c", str(path), "-p", str(setting.folder), "-e", "stderr"]


def haproxy(setting: Setting) -> list[str] | None:
    program = find("haproxy")
    if program is None:
        return None
    path = setting.folder / "haproxy-tcp.cfg"
    path.write_text(
        "global\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n"
        "  timeout server 60s\n  option splice-auto\n"
        f"listen bench\n  bind 127.0.0.1:{setting.port}\n  server one 127.0.0.1:{setting.backend_port}\n"
    )
    return [program, "-f", str(path)]


PEERS = (Peer("nginx", nginx), Peer("haproxy", haproxy), Peer("traefik", traefik), Peer("pointsman", pointsman))


COLUMNS = (
    Column("CPU s/GiB", "cpu_seconds_per_gib", ".2f", compared=True),
    Column("MiB/s", "mib_per_second", ".0f"),
    Column("CPU µs/connection", "cpu_us_per_connection", ".0f", compared=True),
    Column("connections/s", "connections_per_second", ".0f"),
    Column("memory MiB", "memory_mib", ".0f"),
)


def main() -> None:
    wanted = _options()
    port, load_core = free_port(), cores()[1]
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, int(load_core)))
    server.start()
    try:
        with tempfile.TemporaryDirectory() as name, pinned(load_core):
            samples = take_turns(
                chosen(PEERS, wanted.only),
                wanted.rounds,
                lambda peer: measure(peer, Path(name), port, wanted.mebibytes, wanted.connections),
            )
    finally:
        server.terminate()
        server.join()
    heading = f"{wanted.mebibytes} MiB, {wanted.connections} connections, {wanted.rounds} rounds"
    present(samples, COLUMNS, heading, wanted.json)


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--connections", type=int, default=2000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
