"""What a whole Pointsman says about objects: in its API, and in the cluster, a real one included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import FLAGS, StartTree
from tests.e2e.test_cluster import ROUTES, RULES, RealCluster
from tests.e2e.tree import REAL, ROOT
from tests.e2e.upstream import Upstream
from tests.envtest import assets
from tests.kube import KubeServer
from tests.provider.support import Json, endpoints, route, rule, service

pytestmark = pytest.mark.process

GONE = {"name": "gone", "port": 80}
RIGHTS = ROOT / "etc" / "kubernetes" / "overlays" / "reporting" / "rights.yaml"
REPORTING: list[Json] = [
    row
    for document in yaml.safe_load_all(RIGHTS.read_text())
    if document["kind"] in ("Role", "ClusterRole")
    for row in document["rules"]
]


def test_findings_are_in_the_api_and_on_the_objects(start_tree: StartTree) -> None:
    with KubeServer() as server:
        good = route("good", rule("Host(`a`)", {"name": "a", "port": 80}))
        server.apply([good, route("bad", rule("Host(`b`)", GONE)), service("a"), endpoints("a", "10.0.0.1")])
        tree = start_tree(
            "--workers=2",
            f"--providers.kubernetescrd.endpoint={server.url}",
            "--providers.providersThrottleDuration=0s",
            "--ping.entryPoint=web",
            "--entryPoints.traefik.address=127.0.0.1:0",
            "--api.insecure=true",
            program=REAL,
            base=FLAGS,
        )
        tree.wait_for(lambda: tree.get("/ready").status == 200, "ready")
        api = tree.port("traefik")
        (finding,) = json.loads(tree.get("/api/findings?severity=error&namespace=default", api).body)
        assert (finding["name"], finding["reason"]) == ("bad", "ServiceNotFound")
        assert json.loads(tree.get("/api/findings?kind=Middleware", api).body) == []

        def accepted(name: str) -> str:
            conditions = server.get("IngressRoute", "default", name).get("status", {}).get("conditions", [{}])
            return str(conditions[0].get("status"))

        tree.wait_for(lambda: (accepted("good"), accepted("bad")) == ("True", "False"), "conditions")
        server.apply([service("gone"), endpoints("gone", "10.0.0.2")])
        tree.wait_for(lambda: accepted("bad") == "True", "the condition follows")
        tree.wait_for(lambda: tree.get("/api/findings", api).body.strip() == "[]", "nothing is wrong any more")


@pytest.fixture
def cluster() -> Iterator[RealCluster]:
    folder = assets()
    if folder is None:
        pytest.skip("KUBEBUILDER_ASSETS names no kube-apiserver (make envtest builds it)")
    with Upstream() as upstream:
        made = RealCluster(folder, upstream)
        try:
            made.start()
            yield made
        finally:
            made.server.stop()


def got(cluster: RealCluster, path: str) -> Any:
    return cluster.server.request("GET", path)[1]


def put_route(cluster: RealCluster, name: str, service_name: str) -> None:
    """Create the route, or write it again as a user would."""
    document = route(name, rule("Host(`a`)", {"name": service_name, "port": 80}))
    status, old = cluster.server.request("GET", f"{ROUTES}/{name}")
    if status == 404:
        cluster.create(ROUTES, document)
        return
    document["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    status, answer = cluster.server.request("PUT", f"{ROUTES}/{name}", document)
    assert status == 200, answer


@pytest.mark.envtest
def test_a_real_cluster_takes_our_reports_with_the_overlays_rights(
    start_tree: StartTree, cluster: RealCluster
) -> None:
    cluster.set_rules(RULES + REPORTING)
    put_route(cluster, "bad", "gone")
    cluster.set_route("good")
    tree = start_tree("--workers=1", *cluster.flags(), program=REAL, base=FLAGS)

    def condition(name: str) -> Json:
        conditions: list[Json] = got(cluster, f"{ROUTES}/{name}").get("status", {}).get("conditions", [{}])
        return conditions[0]

    def states(name: str) -> tuple[str | None, int | None]:
        now = condition(name)
        return now.get("status"), now.get("observedGeneration")

    tree.wait_for(lambda: states("bad") == ("False", 1), "bad is refused")
    tree.wait_for(lambda: states("good") == ("True", 1), "good is accepted")
    assert condition("bad")["reason"] == "ServiceNotFound"

    def events() -> list[Json]:
        found: list[Json] = got(cluster, "/api/v1/namespaces/default/events")["items"]
        return [one for one in found if one["source"].get("component") == "pointsman"]

    tree.wait_for(lambda: len(events()) == 1, "one Event")
    assert events()[0]["involvedObject"]["uid"] == got(cluster, f"{ROUTES}/bad")["metadata"]["uid"]
    put_route(cluster, "bad", "also-gone")
    tree.wait_for(lambda: states("bad") == ("False", 2), "the generation is followed")
    lease = got(cluster, "/apis/coordination.k8s.io/v1/namespaces/default/leases/pointsman")
    assert lease["spec"]["holderIdentity"]
    assert tree.stop() == 0
    lease = got(cluster, "/apis/coordination.k8s.io/v1/namespaces/default/leases/pointsman")
    assert not lease["spec"].get("holderIdentity"), "given back"


@pytest.mark.envtest
def test_without_the_overlay_one_line_says_so(start_tree: StartTree, cluster: RealCluster) -> None:
    put_route(cluster, "bad", "gone")
    tree = start_tree("--workers=1", *cluster.flags(), program=REAL, base=FLAGS)
    tree.wait_for_log("nothing is reported to the cluster")
    tree.wait_for(lambda: tree.get("/ready").status == 200, "it serves all the same")
    assert "status" not in got(cluster, f"{ROUTES}/bad")
    assert tree.log().count("nothing is reported to the cluster") == 1
