"""Limits of a whole tree with four workers: a client sees one proxy, whichever worker it meets."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import REAL, Tree
from tests.e2e.upstream import Upstream
from tests.waiting import wait_until

pytestmark = pytest.mark.process

WORKERS = 4
MANIFESTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: all}}
spec:
  entryPoints: [web]
  routes:
    - kind: Rule
      match: PathPrefix(`/`)
      middlewares: [{{name: limit}}]
      services: [{{name: {service}, port: 80}}]
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{name: limit}}
spec: {limit}
---
apiVersion: v1
kind: Service
metadata: {{name: upstream}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: upstream-1, labels: {{kubernetes.io/service-name: upstream}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: dead}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: dead-1, labels: {{kubernetes.io/service-name: dead}}}}
addressType: IPv4
ports: [{{name: http, port: 1}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


class Limited:
    """One route to one upstream behind one middleware, served by four workers."""

    def __init__(self, start: StartTree, directory: Path, upstream: Upstream) -> None:
        self._start = start
        self._file = directory / "all.yaml"
        self._upstream = upstream

    def write(self, limit: str, service: str = "upstream") -> None:
        part = self._file.with_name("part")
        part.write_text(MANIFESTS.format(limit=limit, port=self._upstream.port, service=service))
        part.replace(self._file)

    def start(self) -> Tree:
        tree = self._start(
            f"--workers={WORKERS}",
            f"--providers.manifests.directory={self._file.parent}",
            "--ping.entryPoint=web",
            program=REAL,
        )
        port = tree.port()
        tree.wait_for(lambda: tree.get("/ready", port).status == 200, "every worker serves the manifests")
        return tree


@pytest.fixture
def limited(start_tree: StartTree, tmp_path: Path) -> Iterator[Limited]:
    directory = tmp_path / "manifests"
    directory.mkdir()
    with Upstream() as upstream:
        yield Limited(start_tree, directory, upstream)


class InFlight:
    """A request that has begun to be answered and does not end; `status` is the answer's."""

    def __init__(self, port: int) -> None:
        self._client = socket.create_connection(("127.0.0.1", port), timeout=15)
        self._client.sendall(b"GET /slow/60 HTTP/1.1\r\nHost: test\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._client.recv(4096)
        self.status = int(head.split(b" ")[1])

    def close(self) -> None:
        self._client.close()


def statuses(tree: Tree, count: int) -> Counter[int]:
    """Of so many requests, each on a connection of its own."""
    port = tree.port()
    return Counter(tree.get("/", port).status for _ in range(count))


@pytest.mark.behaviour("MW-106")
def test_one_budget_over_all_connections_deaths_and_reloads(limited: Limited) -> None:
    limited.write("{rateLimit: {average: 1, period: 1h, burst: 20}}")
    tree = limited.start()
    assert statuses(tree, 15) == {200: 15}
    victim = tree.workers()[0]
    os.kill(victim, signal.SIGKILL)
    tree.wait_for(lambda: victim not in tree.workers() and len(tree.workers()) == WORKERS, "a successor")
    tree.wait_for(lambda: tree.get("/ready").status == 200, "it serves")
    assert statuses(tree, 10) == {200: 5, 429: 5}
    former = set(tree.workers())
    tree.send(signal.SIGHUP)
    tree.wait_for(lambda: len(set(tree.workers()) - former) == WORKERS, "new workers")
    tree.wait_for(lambda: not set(tree.workers()) & former, "the former ones have gone")
    assert statuses(tree, 10) == {429: 10}
    limited.write("{rateLimit: {average: 1, period: 1h, burst: 7}}")
    seen: Counter[int] = Counter()

    def fresh_budget_is_spent() -> bool:
        seen.update(statuses(tree, 5))
        return seen[200] >= 7

    tree.wait_for(fresh_budget_is_spent, "other options are another limiter")
    assert statuses(tree, 20) == {429: 20}
    assert seen[200] == 7
    assert tree.stop() == 0


@pytest.mark.behaviour("MW-102", "MW-103")
def test_one_count_over_all_workers_and_none_for_the_dead(limited: Limited) -> None:
    limited.write("{inFlightReq: {amount: 3}}")
    tree = limited.start()
    port = tree.port()
    flying = [InFlight(port) for _ in range(12)]
    assert Counter(one.status for one in flying) == {200: 3, 429: 9}
    assert tree.get("/", port) == (429, "max connections reached: 3")
    for one in flying:
        one.close()
    wait_until(lambda: tree.get("/", port).status == 200, what="places of clients that left are free")
    flying = [InFlight(port) for _ in range(5)]
    assert Counter(one.status for one in flying) == {200: 3, 429: 2}
    for victim in tree.workers():
        os.kill(victim, signal.SIGKILL)
    tree.wait_for_log("worker serves", 2 * WORKERS)
    for one in flying:
        one.close()
    tree.wait_for(lambda: tree.get("/ready", port).status == 200, "their successors serve")
    flying = [InFlight(port) for _ in range(5)]
    assert Counter(one.status for one in flying) == {200: 3, 429: 2}
    for one in flying:
        one.close()
    assert tree.stop() == 0


@pytest.mark.behaviour("MW-116")
def test_one_breaker_for_all_workers(limited: Limited) -> None:
    limited.write("{circuitBreaker: {expression: NetworkErrorRatio() > 0.50, fallbackDuration: 1h}}", "dead")
    tree = limited.start()
    assert statuses(tree, 40) == {502: 1, 503: 39}
    assert tree.get("/").body == "Service Unavailable"
    assert tree.stop() == 0
