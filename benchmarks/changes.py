"""What a change of configuration costs, part by part and without traffic.

    python -m benchmarks.changes [--routes 10000] [--publications 40] [--slices 62] [--profile provider|worker]

N routes lie in a store. Then so many EndpointSlices get other addresses, again and again, and every round goes
the whole way: watch events are decoded, stored, translated, encoded and written as a generation, which the
reloader of a worker takes, in a process of its own as always. Printed is the CPU of each part, by round and by
slice, how long the worker's event loop was kept from its turn, and what garbage collections took.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import itertools
import os
import pstats
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import gevent
import msgspec

from benchmarks.machine import describe
from benchmarks.propagation import many_routes
from benchmarks.storm import changes
from config import generation_channel
from config.collecting import Collector
from provider.options import TranslationOptions
from provider.pipelines import Pipelines
from provider.publish import Publisher
from provider.resources.decode import decode
from provider.resources.kinds import KINDS
from provider.store import Store
from tests.workers.fakes import environment
from workers.reload import Reloader
from workers.runtime import Runtime

BACKEND_PORT = 8080
PROFILED_FUNCTIONS = 35


class Meter:
    """CPU seconds by part, garbage collections by generation; profiles everything if asked to."""

    def __init__(self, is_profiled: bool) -> None:
        self._is_profiled = is_profiled
        self._profile = cProfile.Profile()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._pauses: defaultdict[int, list[float]] = defaultdict(list)
        self._began = 0.0
        gc.callbacks.append(self._note)

    def clear(self) -> None:
        self._spent.clear()
        self._pauses.clear()
        self._profile = cProfile.Profile()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.process_time()
        watched: AbstractContextManager[Any] = self._profile if self._is_profiled else nullcontext()
        with watched:
            yield
        self._spent[name] += time.process_time() - began

    def report(self, publications: int, slices: int) -> None:
        for part, seconds in self._spent.items():
            each = seconds / publications
            print(f"{part}: {each * 1e3:.2f} ms a publication, {each / slices * 1e6:.0f} µs a slice")
        for generation, taken in sorted(self._pauses.items()):
            longest, mean = max(taken) * 1e3, statistics.mean(taken) * 1e3
            print(f"  collections {generation}: {len(taken)}, mean {mean:.2f} ms, longest {longest:.2f} ms")
        if self._is_profiled:
            pstats.Stats(self._profile).sort_stats("tottime").print_stats(PROFILED_FUNCTIONS)

    def _note(self, phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._pauses[about["generation"]].append(time.thread_time() - self._began)


class Provider:
    """From lines of a watch to generations, sent over `channel`."""

    def __init__(self, channel: socket.socket, meter: Meter) -> None:
        self._meter = meter
        self._store = Store()
        self._pipelines = Pipelines({"kubernetescrd": TranslationOptions()})
        self._publisher = Publisher(channel, 0)

    def provide(self, objects: list[dict[str, Any]]) -> None:
        lines = [(KINDS[one["kind"]], msgspec.json.encode(one)) for one in objects]
        with self._meter.part("provider, decoding"):
            decoded = [(kind, decode(kind, line)) for kind, line in lines]
        with self._meter.part("provider, store"):
            for kind, resource in decoded:
                self._store.insert(kind, resource)
        with self._meter.part("provider, translation and encoding"):
            self._pipelines.update(self._store, self._store.take_changed())
        with self._meter.part("provider, publication"):
            self._publisher.publish(self._pipelines.sections, complete=True, sources=("cluster",))


class Turns:
    """Stands for the requests: a descriptor that is always ready, and how long it was kept from its turn."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = 0.0
        self._ends = socket.socketpair()
        self._ends[0].send(b"x")
        self._watcher = gevent.get_hub().loop.io(self._ends[1].fileno(), 1)

    def _turn(self) -> None:
        now = time.perf_counter()
        self.gaps.append((now - self._last) * 1e3)
        self._last = now

    @contextmanager
    def counted(self) -> Iterator[None]:
        self._last = time.perf_counter()
        self._watcher.start(self._turn)
        yield
        self._turn()
        self._watcher.stop()


def work(channel: socket.socket, slices: int, is_profiled: bool) -> None:
    """The worker: takes generations until the channel is closed, then reports."""
    meter, turns = Meter(is_profiled), Turns()
    reloader, collector, taken = Reloader(Runtime(environment()), lambda _: None), Collector(), 0
    while True:
        parcel = generation_channel.receive(channel)
        if parcel is None:
            break
        # in every second one the turns are counted, and that takes time of its own
        watched = turns.counted() if taken % 2 else meter.part("worker")
        with watched, collector.change():
            reloader.apply(parcel.descriptors)
        for descriptor in parcel.descriptors:
            os.close(descriptor)
        taken += 1
        if taken == 1:
            print("worker, first view:")
            meter.report(1, 1)
            meter.clear()
            turns.gaps.clear()
        channel.send(b"a")
    meter.report((taken - 1) // 2, slices)
    gaps = sorted(turns.gaps)
    print(f"  gaps: longest {gaps[-1]:.2f} ms, 99 of 100 under {gaps[len(gaps) * 99 // 100]:.2f} ms", flush=True)


def provide(channel: socket.socket, options: argparse.Namespace) -> None:
    meter = Meter(options.profile == "provider")
    provider = Provider(channel, meter)
    provider.provide(many_routes(options.routes, BACKEND_PORT)["items"])
    channel.recv(1)
    meter.clear()
    for one in itertools.islice(changes(options.slices, options.routes), options.publications):
        provider.provide(one["items"])
        channel.recv(1)
    meter.report(options.publications, options.slices)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--publications", type=int, default=40)
    parser.add_argument("--slices", type=int, default=62, help="changed between two publications")
    parser.add_argument("--profile", choices=("provider", "worker"), default="")
    options = parser.parse_args()
    print(describe(), flush=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker = os.fork()
    if worker == 0:
        ours.close()
        gevent.spawn(work, theirs, options.slices, options.profile == "worker").get()
        os._exit(0)
    theirs.close()
    provide(ours, options)
    ours.close()
    os.waitpid(worker, 0)


if __name__ == "__main__":
    main()
