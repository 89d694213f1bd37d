"""Metrics and access log of the whole tree: sums over workers that live, die and are replaced."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import StartTree
from tests.e2e.load import Load
from tests.e2e.test_served import Served
from tests.e2e.tree import Tree, request
from tests.e2e.upstream import Upstream
from tests.waiting import wait_until

pytestmark = pytest.mark.process

METRICS = (
    "--metrics.prometheus=true",
    "--metrics.prometheus.entryPoint=side",
    "--entryPoints.side.address=127.0.0.1:0",
)
WEB_REQUESTS = "traefik_entrypoint_requests_total"


@pytest.fixture
def served(start_tree: StartTree, tmp_path: Path) -> Iterator[Served]:
    directory = tmp_path / "manifests"
    directory.mkdir()
    with Upstream() as upstream:
        yield Served(start_tree, directory, upstream)


def scrape(tree: Tree) -> dict[str, dict[str, float]]:
    """Name of each sample to its series (as text) and values."""
    answer = request("127.0.0.1", tree.port("side"), "/metrics")
    assert answer.status == 200
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(answer.body):
        for one in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
            found.setdefault(one.name, {})[labels] = one.value
    return found


def total(tree: Tree, name: str = WEB_REQUESTS, words: str = "") -> float:
    return sum(value for labels, value in scrape(tree).get(name, {}).items() if words in labels)


class Scraper:
    """Scrapes without pause and remembers whether a sum ever fell."""

    def __init__(self, tree: Tree) -> None:
        self.sums: list[float] = []
        self._tree = tree
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Scraper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self.sums.append(total(self._tree))
            except (OSError, ValueError):
                continue  # the worker that was asked has just been killed


@pytest.mark.behaviour("OP-48")
def test_sums_are_exact_and_never_fall(served: Served) -> None:
    tree = served.start(*METRICS, "--workers=4")
    before = total(tree, words="code=200")
    with Scraper(tree) as scraper, Load(tree.port(), "a", connections=8) as load:
        wait_until(lambda: sum(load.answers.values()) >= 300, what="some load")
        victim = tree.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in tree.workers() and len(tree.workers()) == 4, what="a new worker")
        wait_until(lambda: sum(load.answers.values()) >= 600, what="more load")
    assert scraper.sums == sorted(scraper.sums)
    assert len(scraper.sums) > 3
    counted = total(tree, words="code=200") - before
    # a request that the kill cut may have been counted, or not
    assert load.answers[200] <= counted <= load.answers[200] + len(load.failures)
    with Load(tree.port(), "a", connections=4) as load:
        wait_until(lambda: sum(load.answers.values()) >= 200, what="load without trouble")
    assert not load.failures
    assert total(tree, words="code=200") - before - counted == load.answers[200]
    tree.send(signal.SIGHUP)
    tree.wait_for_log("worker serves", count=9)
    assert total(tree, words="code=200") - before - counted == load.answers[200]


@pytest.mark.behaviour("OP-38")
@pytest.mark.behaviour("OP-44")
def test_reloads_and_what_is_gone(served: Served) -> None:
    tree = served.start(*METRICS, "--metrics.prometheus.addRoutersLabels=true", "--workers=2")
    assert tree.get("/").status == 200
    first = scrape(tree)
    reloads = first["traefik_config_reloads_total"][""]
    (series,) = first["traefik_router_requests_total"]
    assert series in scrape(tree)["traefik_router_requests_total"]
    served.write("PathPrefix(`/`)")  # the same once more
    served.write("PathPrefix(`/`) && !Path(`/gone`)")
    tree.wait_for(lambda: tree.get("/gone").status == 404, "the new rule")
    wait_until(lambda: {tree.get("/gone").status for _ in range(8)} == {404}, what="every worker has it")
    after = scrape(tree)
    assert after["traefik_config_reloads_total"][""] == reloads + 1
    assert after["traefik_config_last_reload_success"][""] >= first["traefik_config_last_reload_success"][""]
    assert series in after["traefik_router_requests_total"], "once more"
    assert series not in scrape(tree).get("traefik_router_requests_total", {})
    assert tree.get("/").status == 200
    assert len(scrape(tree)["traefik_router_requests_total"]) == 1


@pytest.mark.behaviour("OP-45")
def test_open_connections(served: Served) -> None:
    tree = served.start(*METRICS, "--workers=2")
    port = tree.port()
    wait_until(lambda: total(tree, "traefik_open_connections", "entrypoint=web") == 0, what="nobody is there")
    clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(5)]
    wait_until(lambda: total(tree, "traefik_open_connections", "entrypoint=web") == 5, what="five are open")
    for client in clients:
        client.close()
    wait_until(lambda: total(tree, "traefik_open_connections", "entrypoint=web") == 0, what="all have left")
    process = scrape(tree)
    assert process["process_resident_memory_bytes"][""] > 1 << 20
    assert process["process_cpu_seconds_total"][""] > 0
    assert process["process_open_fds"][""] > 10


@pytest.mark.behaviour("OP-41")
def test_internal_services_do_not_count_unless_asked_for(served: Served) -> None:
    tree = served.start(
        *METRICS, "--metrics.addInternals=true", "--accessLog=true", "--accessLog.addInternals=true"
    )
    before = total(tree, words="entrypoint=side")
    assert total(tree, words="entrypoint=side") == before + 1
    assert tree.get("/ping").status == 200
    tree.wait_for_log(r'"GET /ping HTTP/1\.1" 200 2 "-" "-" \d+ "ping@internal" "-" \d+ms')


RETRIED = """
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{name: again}}
spec: {{retry: {{attempts: 3}}}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: retried}}
spec:
  entryPoints: [web]
  routes:
    - kind: Rule
      match: Path(`/retried`)
      middlewares: [{{name: again}}]
      services: [{{name: half, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: half}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: half-1, labels: {{kubernetes.io/service-name: half}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.2]}}, {{addresses: [127.0.0.1]}}]
"""


@pytest.mark.behaviour("OP-46")
def test_retries(served: Served) -> None:
    """The upstream listens at 127.0.0.1 alone: one of the two servers never answers."""
    served.file.with_name("retried.yaml").write_text(RETRIED.format(port=served.port))
    flags = ("--accessLog=true", "--accessLog.format=json", "--accessLog.filters.retryAttempts=true")
    tree = served.start(*METRICS, *flags, "--workers=1")
    before = total(tree)
    assert [tree.get("/retried").body for _ in range(2)] == ["hello", "hello"]
    assert total(tree) - before == 2
    retries = total(tree, "traefik_service_retries_total")
    assert retries >= 1
    assert total(tree, "traefik_service_requests_total", "retried") == 2 + retries
    assert total(tree, "traefik_service_requests_total", "code=502") == retries
    tree.wait_for_log('"RetryAttempts":1')
    assert '"RetryAttempts":0' not in tree.log()


@pytest.mark.behaviour("OP-18")
@pytest.mark.behaviour("OP-55")
def test_usr1_loses_no_line(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "below" / "access.log"
    flags = ("--accessLog=true", f"--accessLog.filePath={path}", "--accessLog.fields.names.StartUTC=drop")
    tree = served.start(*flags, "--workers=4", environ={"TZ": "Asia/Tokyo"})
    with Load(tree.port(), "a", connections=4) as load:
        for number in range(3):
            so_far = sum(load.answers.values())
            wait_until(lambda n=so_far: sum(load.answers.values()) > n + 50, what="load")  # type: ignore[misc]
            path.rename(path.with_name(f"old{number}"))
            tree.send(signal.SIGUSR1)
            wait_until(lambda: path.exists() and path.stat().st_size > 0, what="lines in a new file")
    assert not load.failures
    assert tree.stop() == 0
    lines = [line for file in path.parent.iterdir() for line in file.read_text().splitlines()]
    mine = [line for line in lines if '"GET / HTTP/1.1" 200 5' in line]
    assert len(mine) == load.answers[200]
    shape = re.compile(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0900\] "GET / HTTP/1\.1" 200 5 "-" "-" \d+ '
        r'"default-all-\w+@kubernetescrd" "http://127\.0\.0\.1:\d+" \d+ms'
    )
    assert all(shape.fullmatch(line) for line in mine)


def test_everything_is_on_disk_after_a_graceful_stop(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    tree = served.start("--accessLog=true", f"--accessLog.filePath={path}", "--accessLog.format=json")
    for _ in range(20):
        assert tree.get("/").status == 200
    assert tree.stop() == 0
    assert path.read_text().count('"RequestPath":"/"') == 20


def test_a_log_that_cannot_be_had_keeps_nobody_from_being_served(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tree = served.start("--accessLog=true", f"--accessLog.filePath={tmp_path / 'file' / 'access.log'}")
    assert tree.get("/").status == 200
    tree.wait_for_log("access log off")
