"""Changes and crashes while requests are under way: nothing is lost that did not have to be."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import FLAGS, StartTree
from tests.e2e.load import Load
from tests.e2e.tree import REAL, Tree
from tests.e2e.upstream import Upstream
from tests.kube import KubeServer
from tests.waiting import wait_until

pytestmark = pytest.mark.process

ROUTE = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}, namespace: default}}
spec:
  entryPoints: [web]
  routes:
  - {{kind: Rule, match: "Host(`{host}`)", priority: {priority}, services: [{{name: upstream, port: 80}}]}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: upstream, namespace: default}
spec: {ports: [{name: http, port: 80}]}
"""
CHANGES = 200


class Cluster:
    """An API server with one route, and a tree of two workers that follows it."""

    def __init__(self, kube: KubeServer, start: StartTree, ports: list[int]) -> None:
        self.kube, self.ports = kube, ports
        kube.apply(SERVICE)
        self.set_servers(*ports)
        self.set_route("steady", "steady")
        self.tree: Tree = start(
            "--workers=2",
            f"--providers.kubernetescrd.endpoint={kube.url}",
            "--providers.providersThrottleDuration=0s",
            "--ping.entryPoint=web",
            program=REAL,
            base=FLAGS,
        )
        self.port = self.tree.port()
        self.tree.wait_for(lambda: self.tree.get("/ready", self.port).status == 200, "every worker is ready")

    def set_route(self, name: str, host: str, priority: int = 0) -> None:
        self.kube.apply(ROUTE.format(name=name, host=host, priority=priority))

    def set_servers(self, *ports: int) -> None:
        self.kube.set_endpoints("default", "upstream", ["127.0.0.1"], port=ports[0], port_name="http")

    def load(self) -> Load:
        return Load(self.port, "steady")

    def served(self, host: str) -> bool:
        """By whichever worker takes the connections: asked often enough to meet both."""
        with Load(self.port, host, connections=2) as load:
            wait_until(lambda: load.answers.total() >= 20, what="answers")
        return set(load.answers) == {200}


@pytest.fixture
def cluster(start_tree: StartTree) -> Iterator[Cluster]:
    with Upstream() as one, Upstream() as two, KubeServer() as kube:
        yield Cluster(kube, start_tree, [one.port, two.port])


@pytest.mark.behaviour("DP-122")
@pytest.mark.behaviour("DP-124")
def test_two_hundred_changes_fail_no_request(cluster: Cluster) -> None:
    with cluster.load() as load:
        for number in range(CHANGES):
            match number % 4:
                case 0:
                    cluster.set_route("other", f"host-{number}")
                case 1:
                    cluster.set_servers(cluster.ports[number // 4 % 2])
                case 2:
                    cluster.set_route("steady", "steady", priority=number + 1)
                case _:
                    cluster.set_route("broken", "x`) && Nope(`")
            if number % 20 == 19:
                cluster.set_route("marker", f"marker-{number}")
                wait_until(partial(cluster.served, f"marker-{number}"), what="the change is served")
    assert load.failures == []
    assert set(load.answers) == {200}


@pytest.mark.behaviour("PR-75")
def test_the_provider_is_killed_again_and_again(cluster: Cluster) -> None:
    with cluster.load() as load:
        for number in range(3):
            (pid,) = wait_until(cluster.tree.providers, what="a provider")
            os.kill(pid, signal.SIGKILL)
            wait_until(partial(has_another_provider, cluster.tree, pid), what="another provider")
            cluster.set_route("other", f"after-{number}")
            wait_until(partial(cluster.served, f"after-{number}"), 30.0, what="the change is served")
    assert load.failures == []
    assert set(load.answers) == {200}


def test_workers_are_killed_in_turn_under_load(cluster: Cluster) -> None:
    connections = 4
    with Load(cluster.port, "steady", connections) as load:
        for number in range(4):
            before = wait_until(lambda: workers_if(cluster.tree, 2), what="two workers")
            os.kill(before[number % 2], signal.SIGKILL)
            wait_until(partial(has_other_workers, cluster.tree, before), what="a replacement")
            wait_for_answers(load, 50)
            cluster.set_route("other", f"after-{number}")
            wait_until(partial(cluster.served, f"after-{number}"), what="the change is served")
    assert set(load.answers) == {200}
    # Each kill may cut what was under way on the killed worker's own connections, and nothing else.
    assert len(load.failures) <= 4 * connections


def test_all_workers_are_killed_at_once(cluster: Cluster) -> None:
    before = cluster.tree.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert cluster.tree.get("/ready", cluster.port).status == 200, "the connection waited for a new worker"
    wait_until(lambda: set(workers_if(cluster.tree, 2)) - set(before), what="new workers")
    assert cluster.served("steady")


def test_an_outage_of_the_api_server_is_not_noticed_by_clients(cluster: Cluster) -> None:
    with cluster.load() as load:
        for mode in (503, "drop", 403, "hang"):
            with cluster.kube.outage(mode):
                wait_for_answers(load, 100)
        cluster.kube.compact()
        cluster.kube.drop_watches()
        cluster.set_route("other", "after-outage")
        wait_until(lambda: cluster.served("after-outage"), 60.0, what="changes are seen again")
    assert load.failures == []
    assert set(load.answers) == {200}


def wait_for_answers(load: Load, count: int) -> None:
    goal = load.answers.total() + count
    wait_until(lambda: load.answers.total() >= goal, what=f"{count} more answers")


def has_another_provider(tree: Tree, pid: int) -> bool:
    return tree.providers() not in ([], [pid])


def has_other_workers(tree: Tree, before: list[int]) -> bool:
    return workers_if(tree, len(before)) not in ([], before)


def workers_if(tree: Tree, count: int) -> list[int]:
    """Pids of the workers if there are so many, else nothing."""
    found = tree.workers()
    return found if len(found) == count else []


def test_the_load_generator_notices_failures() -> None:
    """Guards the tests above: they must not pass because nothing is looked at."""
    with Upstream() as upstream:
        port = upstream.port
        with Load(port, "a", 1) as load:
            wait_until(lambda: load.answers[200] > 3, what="answers")
    assert set(load.answers) == {200}
    with Load(port, "a", 1) as load:
        wait_until(lambda: load.failures, what="failures")
