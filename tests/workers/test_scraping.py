"""The page that Prometheus reads: sums over workers, what is gone, certificates, servers, compression."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.control_page import Cell, ControlPage
from config.counters import Tally
from config.http import HealthCheck, Server
from config.static import EntryPoint, StaticConfiguration
from config.static_observability import Metrics as MetricsOptions
from config.static_observability import Prometheus
from config.tls import StoredCertificate
from tests.tls.pki import Authority
from tests.workers.fakes import balancer, environment, router
from tests.workers.observed import Observed, noted, route
from workers.metrics import Metrics
from workers.runtime import Changes, Runtime
from workers.scraping import Scraping
from workers.shared import SharedState
from workers.tls_state import TLSChanges

P = "@kubernetescrd"
OPTIONS = Prometheus(add_routers_labels=True)


class Page:
    """Three worker slots, of which the last one's worker has died, and a scraper in the first."""

    def __init__(self, options: Prometheus = OPTIONS) -> None:
        self.cells = SharedState.private()._cells
        for slot in (1, 2):
            self.cells.open_slot(slot)
        self.control = ControlPage.create()
        for slot in (0, 1):
            self.control.slot(slot)[Cell.PID] = 1 << 30
        points = {"web": EntryPoint(address=":80"), "dns": EntryPoint(address=":53/udp")}
        static = StaticConfiguration(entry_points=points, metrics=MetricsOptions(prometheus=options))
        self.runtime = Runtime(environment())
        self.scraping = Scraping(static, self.control, SharedState(self.cells, 0), lambda: self.runtime)
        self.workers = [Metrics(options, self.cells.counters.region(slot)) for slot in range(3)]

    def apply(self, number: int, **changes: Any) -> None:
        before = self.runtime
        self.runtime = before.updated(number, Changes(**changes), lambda: None)
        self.scraping.follow(before, self.runtime)

    def text(self, lines: bytes = b"") -> str:
        exchange = Observed(b"GET /metrics HTTP/1.1\r\nHost: a\r\n%b\r\n" % lines)
        self.scraping(exchange)
        assert exchange.status == 200
        if (b"Content-Encoding", b"gzip") in exchange.headers:
            return gzip.decompress(exchange.body).decode()
        return exchange.body.decode()

    def samples(self) -> dict[str, float]:
        return dict(_samples(self.text()))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
            yield f"{one.name} {labels}".strip(), one.value


def count(metrics: Metrics, service: str = f"s{P}", seconds: float = 0.2) -> None:
    exchange = Observed()
    note = noted(exchange, route=route(f"r{P}", service), service=service, origin_status=200)
    metrics.attempt(exchange, note, seconds)
    metrics.request("web", exchange, note, seconds, 200)


@pytest.mark.behaviour("OP-43")
@pytest.mark.behaviour("OP-48")
def test_sums_over_living_and_dead_workers() -> None:
    page = Page()
    page.apply(1, routers={f"r{P}": router()}, services={f"s{P}": balancer()})
    for number, worker in enumerate(page.workers):
        count(worker)
        worker.set_open("web", number + 1)
    found = page.samples()
    labels = f"code=200,method=GET,protocol=http,service=s{P}"
    assert found[f"traefik_service_requests_total {labels}"] == 3
    assert found["traefik_open_connections entrypoint=web,protocol=TCP"] == 3, "the dead have none"
    assert "traefik_open_connections entrypoint=dns,protocol=TCP" not in found
    buckets = {
        name.partition("le=")[2].partition(",")[0]: value
        for name, value in found.items()
        if "service_request_duration_seconds_bucket" in name
    }
    assert buckets == {"0.1": 0, "0.3": 3, "1.2": 3, "5": 3, "+Inf": 3}
    assert found[f"traefik_service_request_duration_seconds_sum {labels}"] == pytest.approx(0.6)


@pytest.mark.behaviour("OP-38")
def test_reloads_are_counted_once_for_all_workers() -> None:
    page = Page()
    assert page.samples()["traefik_config_reloads_total"] == 0
    assert page.samples()["traefik_config_last_reload_success"] == 0
    page.apply(4, routers={f"r{P}": router()})
    page.apply(4)
    found = page.samples()
    assert found["traefik_config_reloads_total"] == 4
    assert abs(found["traefik_config_last_reload_success"] - time.time()) < 60


@pytest.mark.behaviour("OP-44")
def test_what_is_gone_is_shown_once_more() -> None:
    page = Page()
    services = {f"s{P}": balancer(), f"other{P}": balancer()}
    page.apply(1, routers={f"r{P}": router()}, services=services)
    count(page.workers[0])
    count(page.workers[1], f"other{P}")
    page.apply(2, routers={f"r{P}": None}, services={f"s{P}": None})
    assert f"service=s{P}" in str(page.samples())
    later = str(page.samples())
    assert f"service=s{P}" not in later
    assert f"router=r{P}" not in later
    assert f"service=other{P}" in later
    assert page.cells.counters.tally()[Tally.SCRAPES] == 2


def test_rows_with_other_buckets_or_labels_are_left_out() -> None:
    page = Page()
    page.apply(1, services={f"s{P}": balancer()})
    count(page.workers[0])
    count(Metrics(Prometheus(buckets=[9.0]), page.cells.counters.region(1)))
    assert page.samples()[f"traefik_service_requests_total code=200,method=GET,protocol=http,service=s{P}"] == 1


def test_labels_from_headers() -> None:
    page = Page(Prometheus(header_labels={"agent": "User-Agent"}))
    page.apply(1, services={f"s{P}": balancer()})
    count(page.workers[0])
    found = page.samples()
    assert found[f"traefik_service_requests_total agent=,code=200,method=GET,protocol=http,service=s{P}"] == 1
    assert f"traefik_service_requests_bytes_total code=200,method=GET,protocol=http,service=s{P}" in found


def test_servers_of_services_that_are_checked() -> None:
    page = Page()
    one = [Server(url="http://10.0.0.1:80"), Server(url="http://10.0.0.2:80")]
    page.apply(
        1,
        routers={f"r{P}": router()},
        services={
            f"s{P}": balancer(health_check=HealthCheck(path="/", interval="1h"), strategy="wrr"),
            f"t{P}": balancer(),
        },
        endpoints={f"s{P}": one},
    )
    balanced = page.runtime.services[f"s{P}"].balanced
    assert balanced is not None
    balanced.balancer.candidates[1].is_up = False
    found = page.samples()
    assert found[f"traefik_service_server_up service=s{P},url=http://10.0.0.1:80"] == 1
    assert found[f"traefik_service_server_up service=s{P},url=http://10.0.0.2:80"] == 0
    page.apply(2, services={f"s{P}": None})


@pytest.mark.behaviour("OP-47")
def test_certificates() -> None:
    page = Page()
    authority = Authority()

    def stored(*names: str) -> StoredCertificate:
        pair = authority.issue(*names, common_name="cn")
        return StoredCertificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())

    page.apply(1, tls=TLSChanges(certificates={"n/one": stored("b.example", "a.example")}))
    first = {name: value for name, value in page.samples().items() if "tls_certs" in name}
    ((name, end),) = first.items()
    assert name.startswith("traefik_tls_certs_not_after cn=cn,sans=a.example,b.example,serial=")
    assert end > time.time()
    page.apply(2, tls=TLSChanges(certificates={"n/one": stored("b.example", "a.example")}))
    (second,) = (name for name in page.samples() if "tls_certs" in name)
    assert second != name, "another serial"


def test_gzip_if_asked_for() -> None:
    page = Page()
    assert "traefik_config_reloads_total" in page.text()
    for value, is_compressed in ((b"gzip", True), (b"br, GZIP;q=0.5", True), (b"gzip;q=0", False), (b"br", False)):
        exchange = Observed(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %b\r\n\r\n" % value)
        page.scraping(exchange)
        assert exchange.body.startswith(b"\x1f\x8b") is is_compressed
    assert dict(exchange.headers)[b"Content-Type"].startswith(b"text/plain; version=0.0.4;")
