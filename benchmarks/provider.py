"""The control side alone, Pointsman's provider and Traefik in one run: first view, memory, single changes.

    python -m benchmarks.provider [--routes 1000,10000] [--changes 20] [--only pointsman,traefik]
    python -m benchmarks.provider --storm [--seconds 60]

An in-memory API server (its own process) holds N IngressRoutes with their Services and EndpointSlices. Measured
are the time from the start of the process to the first whole configuration and its CPU, then the memory once it
has come to rest, then the CPU of one changed route (a new rule) and of one changed EndpointSlice (a pod more),
each change given time to be taken in before the next one. For Pointsman that is the provider process, with this
program as its master. Traefik has no such part, its numbers are those of its only process, which serves no
traffic meanwhile, but for the questions about one object by which we see that a change is in force.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from benchmarks import storm
from benchmarks.machine import describe
from benchmarks.peers import route_objects
from benchmarks.processes import (
    cores,
    cpu_seconds,
    find,
    free_port,
    resident_mebibytes,
    running,
    wait_for_port,
    wait_until_idle,
)
from benchmarks.propagation import api_server, load, many_routes
from config import generation_channel
from config.control_page import ControlPage
from config.generation import Generation, SectionKey
from config.names import http_router_name
from config.static import encode_static
from config.static_load import from_mapping

DEADLINE_SECONDS = 300.0
PAUSE_SECONDS = 0.2
POLL_SECONDS = 0.01
SERVER_PORT = 8080


class Control(Protocol):
    """One program that follows the API server. Each method waits for what it is named after."""

    process: psutil.Process

    def whole(self, routes: int) -> None: ...
    def changed_route(self, number: int, host: str) -> None: ...
    def changed_slice(self, number: int, addresses: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Result:
    """CPU of a change in milliseconds, and how long after the API's answer it was in force."""

    first_seconds: float
    first_cpu_seconds: float
    memory_mib: float
    route_cpu_ms: float
    route_p50_ms: float
    slice_cpu_ms: float
    slice_p50_ms: float

    def row(self) -> str:
        changes = (self.route_cpu_ms, self.route_p50_ms, self.slice_cpu_ms, self.slice_p50_ms)
        first = f"{self.first_seconds:.2f} | {self.first_cpu_seconds:.2f} | {self.memory_mib:.0f}"
        return " | ".join([first, *(f"{milliseconds:.1f}" for milliseconds in changes)])


class Provider:
    """The provider process; this is its master."""

    def __init__(self, channel: socket.socket, process: psutil.Process) -> None:
        self.process = process
        self._channel = channel
        self._known: dict[SectionKey, bytes] = {}
        channel.settimeout(DEADLINE_SECONDS)

    def whole(self, routes: int) -> None:
        if self._receive("routing") < routes:
            raise RuntimeError("the first generation is not whole")

    def changed_route(self, number: int, host: str) -> None:
        self._receive("routing")

    def changed_slice(self, number: int, addresses: int) -> None:
        self._receive("endpoints")

    def _receive(self, section: str) -> int:
        """Wait for a generation in which this section differs; how many routers the differing shards hold."""
        while True:
            parcel = generation_channel.receive(self._channel)
            if parcel is None:
                raise RuntimeError("the provider has ended")
            try:
                routers, differs = self._look(parcel.descriptors, section)
            finally:
                for descriptor in parcel.descriptors:
                    os.close(descriptor)
            if differs:
                return routers

    def _look(self, descriptors: Sequence[int], section: str) -> tuple[int, bool]:
        with Generation(descriptors) as generation:
            rows = {key: row.digest for key, row in generation.sections.items() if key.section == section}
            different = [key for key, digest in rows.items() if self._known.get(key) != digest]
            self._known.update(rows)
            routers = sum(len(generation.read(key).routers) for key in different) if section == "routing" else 0
        return routers, bool(different)


@contextmanager
def pointsman(api: str, folder: Path) -> Iterator[Control]:
    static = from_mapping(
        {
            "providers": {"kubernetesCRD": {"endpoint": api}, "providersThrottleDuration": "0s"},
            "log": {"level": "ERROR"},
        }
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    page, static_fd = ControlPage.create(), os.memfd_create("static")
    os.write(static_fd, encode_static(static))
    names = ("POINTSMAN_CHANNEL_FD", "POINTSMAN_CONTROL_FD", "POINTSMAN_STATIC_FD")
    descriptors = (theirs.fileno(), page.descriptor, static_fd)
    environment = dict(zip(names, map(str, descriptors), strict=True))
    command, log = [sys.executable, "-m", "provider"], folder / "provider.log"
    with running(command, log, cores()[0], environment, descriptors) as process:
        theirs.close()
        yield Provider(ours, process)
    ours.close()
    os.close(static_fd)
    page.close()


class Traefik:
    def __init__(self, port: int, process: psutil.Process) -> None:
        self.process = process
        self._port = port

    def whole(self, routes: int) -> None:
        self._until(
            f"/api/http/routers/{_router(f'app-{routes - 1}', f'app-{routes - 1}.example')}", lambda _: True
        )

    def changed_route(self, number: int, host: str) -> None:
        self._until(f"/api/http/routers/{_router(f'app-{number}', host)}", lambda _: True)

    def changed_slice(self, number: int, addresses: int) -> None:
        name = _router(f"app-{number}", f"app-{number}.example")
        self._until(f"/api/http/services/{name}", lambda found: len(found["loadBalancer"]["servers"]) == addresses)

    def _until(self, path: str, accept: Callable[[Any], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200 and accept(json.loads(body)):
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(POLL_SECONDS)
        raise RuntimeError(f"{path} did not come")


@contextmanager
def traefik(api: str, folder: Path) -> Iterator[Control]:
    port, web, log = free_port(), free_port(), folder / "traefik.log"
    command = [
        find("traefik") or "traefik",
        f"--entrypoints.web.address=127.0.0.1:{web}",
        f"--entrypoints.traefik.address=127.0.0.1:{port}",
        "--api.insecure=true",
        f"--providers.kubernetescrd.endpoint={api}",
        "--providers.providersthrottleduration=0s",
        "--global.checknewversion=false",
    ]
    with running(command, log, cores()[0]) as process:
        wait_for_port(port, process, log)
        yield Traefik(port, process)


def _router(name: str, host: str) -> str:
    return f"{http_router_name('default', name, f'Host(`{host}`)')}@kubernetescrd"


CONTROLS = {"pointsman": pointsman, "traefik": traefik}


def measure(name: str, routes: int, changes: int, folder: Path) -> Result:
    with api_server(folder) as api:
        load(api, many_routes(routes, SERVER_PORT))
        began = time.perf_counter()
        with CONTROLS[name](api, folder) as control:
            control.whole(routes)
            first, first_cpu = time.perf_counter() - began, cpu_seconds(control.process)
            wait_until_idle(control.process)
            memory = resident_mebibytes(control.process)
            route = _changes(control, changes, lambda number: _change_route(api, control, number))
            piece = _changes(control, changes, lambda number: _change_slice(api, control, number))
            memory = max(memory, resident_mebibytes(control.process))
    return Result(first, first_cpu, memory, *route, *piece)


def _changes(control: Control, count: int, change: Callable[[int], float]) -> tuple[float, float]:
    """(CPU milliseconds a change, median milliseconds until it is in force)."""
    before, taken = cpu_seconds(control.process), []
    for number in range(count):
        taken.append(change(number) * 1e3)
        time.sleep(PAUSE_SECONDS)
    wait_until_idle(control.process)  # what goes on after a change shows is part of its cost
    return (cpu_seconds(control.process) - before) / count * 1e3, statistics.median(taken)


def _change_route(api: str, control: Control, number: int) -> float:
    """Give one route another host; seconds until it is in force. Only the IngressRoute is written."""
    host = f"changed-{number}.example"
    items: Any = route_objects(SERVER_PORT, f"app-{number}", host)["items"]
    load(api, {"apiVersion": "v1", "kind": "List", "items": items[:1]})
    began = time.perf_counter()
    control.changed_route(number, host)
    return time.perf_counter() - began


def _change_slice(api: str, control: Control, number: int) -> float:
    """Add a pod to one Service, of those whose routes have kept their hosts."""
    number += 500
    items: Any = route_objects(SERVER_PORT, f"app-{number}", f"app-{number}.example")["items"]
    piece = items[2]
    piece["endpoints"].append({"addresses": ["127.0.0.2"], "conditions": {"ready": True, "serving": True}})
    load(api, {"apiVersion": "v1", "kind": "List", "items": [piece]})
    began = time.perf_counter()
    control.changed_slice(number, 2)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routes", default="1000,10000")
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--only", default="pointsman,traefik")
    parser.add_argument("--storm", action="store_true", help="what clients feel of 500 changed slices a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the storm, and of the quiet before it")
    options = parser.parse_args()
    print(describe())
    if options.storm:
        storm.measure(10_000, options.seconds, 500, 3.0, "2s")
        return
    print("\n| routes | program | first view s | its CPU s | memory MiB ", end="")
    print("| changed route: CPU ms | p50 ms | changed slice: CPU ms | p50 ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        for routes in map(int, options.routes.split(",")):
            for name in options.only.split(","):
                if name == "traefik" and find("traefik") is None:
                    continue
                one = measure(name, routes, options.changes, Path(directory))
                print(f"| {routes} | {name} | {one.row()} |", flush=True)


if __name__ == "__main__":
    main()
