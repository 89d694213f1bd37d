"""What is counted, as Prometheus families: the original's names, help texts and labels.

Made when somebody asks, from a snapshot that can be worked on in another thread. `generate_latest` of the client
library turns it into text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from config.counters import CounterPage
from config.static_observability import Prometheus
from workers.metrics import (
    ENTRY_POINT,
    FIRST_BUCKET,
    OPEN,
    RETRIES,
    ROUTER,
    SECONDS,
    SERVICE,
    buckets_key,
)
from workers.process_stats import TreeStats

Labels = tuple[str, ...]
Rows = dict[bytes, dict[Labels, list[float]]]
"""By kind, then by labels: values summed over all workers."""


class Level(NamedTuple):
    """Entry point, router or service: its labels, and how the original words its help texts."""

    kind: bytes
    name: str
    labels: Labels
    counts: str
    tls: str
    size: tuple[str, str]
    by: str


LEVELS: Final = (
    Level(
        ENTRY_POINT,
        "entrypoint",
        ("entrypoint",),
        "processed on an entrypoint",
        "with TLS processed on an entrypoint, partitioned by TLS Version and TLS cipher Used.",
        ("handled by an entrypoint", "handled by an entrypoint"),
        "",
    ),
    Level(
        ROUTER,
        "router",
        ("router", "service"),
        "are processed on a router",
        "with TLS are processed on a router, partitioned by service, TLS Version, and TLS cipher Used.",
        ("handled by a router", "handled by a router"),
        "service, ",
    ),
    Level(
        SERVICE,
        "service",
        ("service",),
        "processed on a service",
        "with TLS processed on a service, partitioned by TLS version and TLS cipher.",
        ("received by a service", "returned by a service"),
        "",
    ),
)
_EVERY: Final = ("code", "method", "protocol")


class Snapshot(NamedTuple):
    """What the counters do not know, at one moment."""

    generation: int
    applied_at: int
    entry_points: Sequence[str]
    live_slots: Sequence[int]
    used_slots: int
    is_shown: Callable[[str], bool]
    """Is there a router or service of this name?"""
    servers: Sequence[tuple[str, str, bool]]
    """Service, URL and whether it is up, of services with checks."""
    certificates: Callable[[], Iterable[tuple[Labels, float]]]
    """(CN, serial, SANs) and end of each certificate, in Unix seconds."""
    process: Callable[[], TreeStats]


def text_of(options: Prometheus, page: CounterPage, snapshot: Snapshot) -> bytes:
    """Everything, in the text format 0.0.4. Any thread; takes as long as there is much."""
    return generate_latest(_Exposition(options, page, snapshot))


class _Exposition(Collector):
    def __init__(self, options: Prometheus, page: CounterPage, snapshot: Snapshot) -> None:
        self._options = options
        self._snapshot = snapshot
        self._rows = summed(options, page, snapshot)

    def collect(self) -> Iterator[Metric]:
        yield from self._process()
        yield from self._always()
        for level in LEVELS:
            yield from self._level(level)
        yield from self._services()

    def _process(self) -> Iterator[Metric]:
        stats = self._snapshot.process()
        cpu = "Total user and system CPU time spent in seconds."
        yield CounterMetricFamily("process_cpu_seconds", cpu, stats.cpu_seconds)
        for name, text, value in (
            ("max_fds", "Maximum number of open file descriptors.", stats.max_descriptors),
            ("open_fds", "Number of open file descriptors.", stats.open_descriptors),
            ("resident_memory_bytes", "Resident memory size in bytes.", stats.resident_bytes),
            ("start_time_seconds", "Start time of the process since unix epoch in seconds.", stats.started),
            ("virtual_memory_bytes", "Virtual memory size in bytes.", stats.virtual_bytes),
        ):
            yield GaugeMetricFamily(f"process_{name}", text, value)

    def _always(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        last = "Last config reload success"
        yield GaugeMetricFamily("traefik_config_last_reload_success", last, snapshot.applied_at)
        yield CounterMetricFamily("traefik_config_reloads", "Config reloads", snapshot.generation)
        connections = GaugeMetricFamily(
            "traefik_open_connections",
            "How many open connections exist, by entryPoint and protocol",
            labels=("entrypoint", "protocol"),
        )
        counted = self._rows.get(OPEN, {})
        for name in sorted(snapshot.entry_points):
            connections.add_metric((name, "TCP"), sum(counted.get((name,), ())))
        yield connections
        ends = GaugeMetricFamily(
            "traefik_tls_certs_not_after", "Certificate expiration timestamp", labels=("cn", "serial", "sans")
        )
        yield from _filled(ends, dict(snapshot.certificates()))

    def _level(self, level: Level) -> Iterator[Metric]:
        rows = self._rows.get(level.kind, {})
        labels = (*level.labels, *_EVERY)
        parts = f"partitioned by {level.by}status code, protocol, and method."
        prefix = f"traefik_{level.name}"
        yield from self._histogram(
            f"{prefix}_request_duration_seconds",
            f"How long it took to process the request on {_article(level.name)}, {parts}",
            labels,
            rows,
        )
        for what, place in (("requests", -2), ("responses", -1)):
            size = CounterMetricFamily(
                f"{prefix}_{what}_bytes",
                f"The total size of {what} in bytes {level.size[place]}, {parts}",
                labels=labels,
            )
            yield from _filled(size, {key: values[place] for key, values in rows.items()})
        tls = CounterMetricFamily(
            f"{prefix}_requests_tls",
            f"How many HTTP requests {level.tls}",
            labels=(*level.labels, "tls_version", "tls_cipher"),
        )
        yield from _filled(tls, self._single(level.kind.lower()))
        count = f"How many HTTP requests {level.counts}, {parts}"
        headers = tuple(self._options.header_labels)
        requests = CounterMetricFamily(f"{prefix}_requests", count, labels=(*labels, *headers))
        counted = self._single(level.kind + b"H") if headers else {key: one[0] for key, one in rows.items()}
        yield from _filled(requests, counted)

    def _histogram(
        self, name: str, text: str, labels: Labels, rows: Mapping[Labels, list[float]]
    ) -> Iterator[Metric]:
        family = HistogramMetricFamily(name, text, labels=labels)
        bounds = [_bound(value) for value in self._options.buckets]
        for key, values in sorted(rows.items()):
            counts = accumulate(values[FIRST_BUCKET : FIRST_BUCKET + len(bounds)])
            buckets = [*zip(bounds, counts, strict=True), ("+Inf", values[0])]
            family.add_metric(key, buckets, values[SECONDS])
        if rows:
            yield family

    def _services(self) -> Iterator[Metric]:
        retries = CounterMetricFamily(
            "traefik_service_retries", "How many request retries happened on a service.", labels=("service",)
        )
        yield from _filled(retries, self._single(RETRIES))
        up = GaugeMetricFamily(
            "traefik_service_server_up",
            "service server is up, described by gauge value of 0 or 1.",
            labels=("service", "url"),
        )
        yield from _filled(up, {(service, url): float(is_up) for service, url, is_up in self._snapshot.servers})

    def _single(self, kind: bytes) -> dict[Labels, float]:
        return {key: values[0] for key, values in self._rows.get(kind, {}).items()}


def summed(options: Prometheus, page: CounterPage, snapshot: Snapshot) -> Rows:
    """All regions together, without what is not there any more."""
    marker = buckets_key(options)
    width = FIRST_BUCKET + len(options.buckets) + 2
    headers = len(options.header_labels)
    labels = {ENTRY_POINT: 4, ROUTER: 5, SERVICE: 4}
    rows: Rows = {}
    for slot in range(snapshot.used_slots):
        records = page.read((slot,))
        if not any(key == marker for key, _ in records):
            continue  # nobody counted there, or with other buckets
        for key, values in records:
            kind, *parts = key.split(b"\0")
            if kind == OPEN:
                if slot not in snapshot.live_slots:
                    continue
            elif kind in labels:
                if len(values) != width or len(parts) != labels[kind]:
                    continue
            elif kind[1:] == b"H" and len(parts) != labels[kind[:1]] + headers:
                continue  # other header labels, before the last restart
            names = tuple(part.decode("utf-8", "replace") for part in parts)
            if kind[:1].upper() in (ROUTER, SERVICE, RETRIES) and not snapshot.is_shown(names[0]):
                continue
            known = rows.setdefault(kind, {}).get(names)
            if known is None:
                rows[kind][names] = list(values)
            else:
                known[:] = [one + other for one, other in zip(known, values, strict=True)]
    return rows


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[Labels, float]) -> Iterator[Metric]:
    """The family with its series, if there are any."""
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    if values:
        yield family


def _article(level: str) -> str:
    return f"an {level}" if level == "entrypoint" else f"a {level}"


def _bound(value: float) -> str:
    """As the original writes it: 5, not 5.0."""
    return repr(float(value)).removesuffix(".0")
