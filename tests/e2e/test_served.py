"""The real tree, provider and data plane included, serving manifests: what users see while it changes or ends."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import FLAGS, StartTree
from tests.e2e.tree import REAL, SlowRequest, Tree, Visitors, request
from tests.e2e.upstream import Upstream
from tests.waiting import wait_until

pytestmark = pytest.mark.process

MANIFESTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: all}}
spec:
  entryPoints: [web]
  routes:
    - kind: Rule
      match: {rule}
      services: [{{name: upstream, port: 80}}]
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
"""


class Served:
    """A directory of manifests that routes everything to one upstream."""

    def __init__(self, start: StartTree, directory: Path, upstream: Upstream) -> None:
        self._start = start
        self.file = directory / "all.yaml"
        self.upstream = upstream
        self.port = upstream.port
        self.write("PathPrefix(`/`)")

    def write(self, rule: str) -> None:
        """In one step: the provider never sees half a file."""
        part = self.file.with_name("part")
        part.write_text(MANIFESTS.format(rule=rule, port=self.port))
        part.replace(self.file)

    def start(self, *flags: str, **options: object) -> Tree:
        tree = self._start(
            "--workers=2",
            f"--providers.manifests.directory={self.file.parent}",
            "--ping.entryPoint=web",
            *flags,
            program=REAL,
            **options,
        )
        port = tree.port()
        tree.wait_for(lambda: tree.get("/ready", port).status == 200, "every worker serves the manifests")
        return tree


@pytest.fixture
def served(start_tree: StartTree, tmp_path: Path) -> Iterator[Served]:
    directory = tmp_path / "manifests"
    directory.mkdir()
    with Upstream() as upstream:
        yield Served(start_tree, directory, upstream)


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_manifest_is_served(served: Served) -> None:
    tree = served.start()
    assert tree.get("/") == (200, "hello")
    assert tree.stop() == 0


@pytest.mark.behaviour("OP-15")
def test_term_turns_ping_red_then_accepts_for_the_grace_time_then_refuses(served: Served) -> None:
    tree = served.start("--entryPoints.web.transport.lifeCycle.requestAcceptGraceTimeout=2")
    port = tree.port()
    slow = SlowRequest(port, 5)
    began = time.monotonic()
    tree.send(signal.SIGTERM)
    wait_until(lambda: tree.get("/ping", port).status == 503, deadline_seconds=1)
    while time.monotonic() - began < 1.8:
        assert tree.get("/", port).status == 200
    wait_until(lambda: is_refused(port), deadline_seconds=2)
    assert tree.process.poll() is None, "the request in flight is still waited for"
    assert slow.body().endswith("done")
    assert tree.wait_exit() == 0


@pytest.mark.behaviour("OP-16")
def test_the_terminating_status_can_be_chosen(served: Served) -> None:
    tree = served.start(
        "--ping.terminatingStatusCode=204", "--entryPoints.web.transport.lifeCycle.requestAcceptGraceTimeout=2"
    )
    port = tree.port()
    tree.send(signal.SIGTERM)
    wait_until(lambda: tree.get("/ping", port).status == 204, deadline_seconds=1)
    assert tree.wait_exit() == 0


@pytest.mark.behaviour("OP-17")
def test_term_waits_for_requests_up_to_the_grace_time(served: Served) -> None:
    tree = served.start("--entryPoints.web.transport.lifeCycle.graceTimeOut=3")
    quick, endless = SlowRequest(tree.port(), 1.5), SlowRequest(tree.port(), 60)
    began = time.monotonic()
    tree.send(signal.SIGTERM)
    assert quick.body().endswith("done")
    assert "done" not in endless.body()
    assert 2.5 < time.monotonic() - began < 6
    assert tree.wait_exit() == 0


@pytest.mark.behaviour("OP-21")
def test_changing_a_route_does_not_break_a_download_through_it(served: Served) -> None:
    tree = served.start()
    slow = SlowRequest(tree.port(), 2)
    served.write("PathPrefix(`/other`)")
    wait_until(lambda: tree.get("/").status == 404, what="the route has changed")
    assert slow.body().endswith("done")


def test_no_request_is_lost_in_reloads_and_upgrades(served: Served) -> None:
    tree = served.start()
    workers = set(tree.workers())
    with Visitors(tree.port()) as visitors:
        tree.send(signal.SIGHUP)
        wait_until(lambda: len(set(tree.workers()) - workers) == 2, what="two new workers")
        visitors.wait_for(50)
        wait_until(lambda: not set(tree.workers()) & workers, what="the old workers leave")
        tree.send(signal.SIGTTIN)
        wait_until(lambda: len(tree.workers()) == 3)
        visitors.wait_for(50)
        tree.send(signal.SIGTTOU)
        wait_until(lambda: len(tree.workers()) == 2)
        visitors.wait_for(50)
    assert not visitors.refused + visitors.broken
    assert visitors.statuses == {200}


def test_killing_workers_refuses_nothing(served: Served) -> None:
    tree = served.start()
    victims = tree.workers()
    with Visitors(tree.port()) as visitors:
        for count, victim in enumerate(victims):
            os.kill(victim, signal.SIGKILL)
            tree.wait_for_log("worker serves", 3 + count)
            visitors.wait_for(20)
    assert not visitors.refused
    assert len(visitors.broken) <= len(victims)
    assert visitors.statuses == {200}


def test_an_unreachable_cluster_does_not_keep_it_from_answering_ping(start_tree: StartTree) -> None:
    flags = ("--ping.entryPoint=web", "--providers.kubernetesCRD.endpoint=http://127.0.0.1:1", *FLAGS)
    tree = start_tree("--workers=1", *flags, base=(), program=REAL, environ={"KUBECONFIG": os.devnull})
    port = tree.port()
    assert request("127.0.0.1", port, "/ping").status == 200
    assert request("127.0.0.1", port, "/ready").status == 503
    assert tree.stop() == 0
