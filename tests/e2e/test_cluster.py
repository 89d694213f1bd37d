"""Pointsman on a real API server: its CRDs are accepted, its rights are enough, and one that is missing may come.

Needs KUBEBUILDER_ASSETS (`make envtest`). The rights are those of etc/kubernetes/base, given to a user of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import FLAGS, StartTree
from tests.e2e.load import Load
from tests.e2e.tree import REAL, ROOT, Tree
from tests.e2e.upstream import Upstream
from tests.envtest import ApiServer, assets
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.envtest,
    pytest.mark.process,
    pytest.mark.skipif(
        assets() is None, reason="KUBEBUILDER_ASSETS names no kube-apiserver (make envtest builds it)"
    ),
]

BASE = ROOT / "etc" / "kubernetes" / "base"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ROUTES = "/apis/traefik.io/v1alpha1/namespaces/default/ingressroutes"
SERVICES = "/api/v1/namespaces/default/services"
USER = "pointsman"
RULES: list[dict[str, Any]] = next(
    document["rules"]
    for document in yaml.safe_load_all((BASE / "clusterrole.yaml").read_text())
    if document["kind"] == "ClusterRole"
)
NEEDED = [("endpointslices", "list"), ("ingressroutes", "watch")]
"""Rights that a whole Pointsman is started without; all others: tests/test_envtest_rights.py."""


class RealCluster:
    """A kube-apiserver with our CRDs and rights, one Service with one server, and the user's token."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.server = ApiServer(folder)
        self.token = self.server.add_user(USER)
        self._upstream = upstream

    def start(self) -> None:
        self.server.start()
        for path in sorted((BASE / "crds").glob("*.yaml")):
            self.create(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(path.read_text())
            )
        wait_until(lambda: self.server.request("GET", ROUTES)[0] == 200, what="the CRD is served")
        self.create(BINDINGS, _binding())
        self.set_rules(RULES)
        # An EndpointSlice may not hold a loopback address, so the server is reached by its host name.
        spec = {"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "http", "port": 80}]}
        self.create(SERVICES, {"metadata": {"name": "upstream"}, "spec": spec})

    def create(self, path: str, body: dict[str, Any]) -> None:
        status, answer = self.server.request("POST", path, body)
        assert status == 201, answer

    def set_rules(self, rules: list[dict[str, Any]]) -> None:
        body = {"metadata": {"name": USER}, "rules": rules}
        status, answer = self.server.request("PUT", f"{ROLES}/{USER}", body)
        if status == 404:
            status, answer = self.server.request("POST", ROLES, body)
        assert status in (200, 201), answer

    def set_route(self, name: str) -> None:
        rule = {"kind": "Rule", "match": f"Host(`{name}`)", "services": [self._reference()]}
        self.create(
            ROUTES,
            {
                "apiVersion": "traefik.io/v1alpha1",
                "kind": "IngressRoute",
                "metadata": {"name": name},
                "spec": {"entryPoints": ["web"], "routes": [rule]},
            },
        )

    def _reference(self) -> dict[str, Any]:
        return {"name": "upstream", "port": self._upstream.port}

    def flags(self) -> list[str]:
        provider = "--providers.kubernetescrd"
        return [
            f"{provider}.endpoint={self.server.url}",
            f"{provider}.token={self.token}",
            f"{provider}.certauthfilepath={self.server.ca_path}",
            f"{provider}.disableClusterScopeResources=true",
            f"{provider}.allowExternalNameServices=true",
            "--providers.providersThrottleDuration=0s",
            "--ping.entryPoint=web",
        ]


def _binding() -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
    }


@pytest.fixture
def cluster() -> Iterator[RealCluster]:
    folder = assets()
    assert folder is not None
    with Upstream() as upstream:
        made = RealCluster(folder, upstream)
        try:
            made.start()
            yield made
        finally:
            made.server.stop()


def serving(tree: Tree, host: str) -> bool:
    with Load(tree.port(), host, connections=2) as load:
        wait_until(lambda: load.answers.total() >= 10, what="answers")
    return set(load.answers) == {200}


def started(start_tree: StartTree, cluster: RealCluster, **options: Any) -> Tree:
    return start_tree("--workers=2", *cluster.flags(), program=REAL, base=FLAGS, **options)


@pytest.mark.behaviour("OP-71")
def test_our_rights_are_enough_and_changes_are_live(start_tree: StartTree, cluster: RealCluster) -> None:
    cluster.set_route("first")
    tree = started(start_tree, cluster)
    tree.wait_for(lambda: tree.get("/ready", tree.port()).status == 200, "ready")
    assert serving(tree, "first")
    cluster.set_route("second")
    wait_until(lambda: serving(tree, "second"), what="a new route is served")
    status, _ = cluster.server.request("DELETE", f"{ROUTES}/first")
    assert status == 200
    wait_until(lambda: tree.get("/", tree.port()).status == 404, what="a deleted route is gone")


@pytest.mark.parametrize(("resource", "verb"), NEEDED)
def test_a_right_that_is_missing_is_told_and_may_come(
    start_tree: StartTree, cluster: RealCluster, resource: str, verb: str
) -> None:
    rules = copy.deepcopy(RULES)
    for rule in rules:
        if resource in rule["resources"]:
            rule["verbs"] = [one for one in rule["verbs"] if one != verb]
    cluster.set_rules(rules)
    tree = started(start_tree, cluster)
    tree.wait_for_log(rf"(?i){resource}.*(?:may not|forbidden|not allowed|403|grant)")
    if verb == "list":
        assert tree.get("/ready", tree.port()).status == 503
    cluster.set_rules(RULES)
    cluster.set_route("healed")
    wait_until(lambda: serving(tree, "healed"), 90.0, what="it is picked up without a restart")


def test_compaction_and_restart_of_the_api_server_under_load(start_tree: StartTree, cluster: RealCluster) -> None:
    cluster.set_route("steady")
    tree = started(start_tree, cluster)
    wait_until(lambda: tree.get("/ready", tree.port()).status == 200, what="ready")
    with Load(tree.port(), "steady") as load:
        cluster.server.compact_etcd()
        cluster.set_route("after-compaction")
        wait_until(lambda: serving(tree, "after-compaction"), 90.0, what="changes are seen after a 410")
        cluster.server.restart_apiserver()
        cluster.set_route("after-restart")
        wait_until(lambda: serving(tree, "after-restart"), 90.0, what="changes are seen after a restart")
    assert load.failures == []
    assert set(load.answers) == {200}
