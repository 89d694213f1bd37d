"""Ingresses through the whole tree: what cert-manager asks of a proxy, and life beside IngressRoutes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import REAL, Answer, Tree
from tests.e2e.upstream import Upstream
from tests.kube import KubeServer
from tests.provider.support import Json, endpoints, route, rule, service
from tests.provider.translate.test_ingress_changes import catch_all, ingress

pytestmark = pytest.mark.process

TOKEN_PATH = "/.well-known/acme-challenge/Tok_en-1"
SOLVER = "cm-acme-http-solver-x7k2p"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def kube() -> Iterator[KubeServer]:
    with KubeServer() as server:
        yield server


def started(start_tree: StartTree, kube: KubeServer, *flags: str) -> Tree:
    both = (
        f"--providers.kubernetescrd.endpoint={kube.url}",
        f"--providers.kubernetesingress.endpoint={kube.url}",
        "--providers.providersThrottleDuration=0s",
    )
    tree = start_tree("--workers=1", *both, *flags, program=REAL)
    tree.port()
    return tree


def solver(port: int) -> list[Json]:
    """What cert-manager creates for a challenge: Pod (here: its EndpointSlice), Service and Ingress."""
    labels = {"acme.cert-manager.io/http01-solver": "true"}
    backend = {"service": {"name": SOLVER, "port": {"number": 8089}}}
    paths = [{"path": TOKEN_PATH, "pathType": "Exact", "backend": backend}]
    plain = ingress("cm-acme-http-solver-8dk4q", rules=[{"host": "test", "http": {"paths": paths}}])
    plain["metadata"]["labels"] = labels
    return [service(SOLVER, 8089, type="NodePort"), endpoints(SOLVER, "127.0.0.1", port=port), plain]


def becomes(tree: Tree, path: str, status: int) -> Answer:
    tree.wait_for(lambda: tree.get(path).status == status, f"{status} for {path}")
    return tree.get(path)


@pytest.mark.behaviour("OP-68")
def test_a_challenge_is_answered_while_its_ingress_lives(
    start_tree: StartTree, kube: KubeServer, upstream: Upstream
) -> None:
    kube.apply(service("shop"))
    kube.apply(endpoints("shop", "127.0.0.1", port=upstream.port))
    kube.apply(route("shop", rule("Host(`test`) && PathPrefix(`/shop`)", {"name": "shop", "port": 80})))
    tree = started(start_tree, kube)
    assert becomes(tree, "/shop", 200).body == "hello"
    assert tree.get(TOKEN_PATH).status == 404
    for document in solver(upstream.port):
        kube.apply(document)
    assert becomes(tree, TOKEN_PATH, 200).body == "hello"
    assert tree.get(f"{TOKEN_PATH}/more").status == 404
    assert tree.get(f"{TOKEN_PATH}x").status == 404
    kube.delete("Ingress", "default", "cm-acme-http-solver-8dk4q")
    becomes(tree, TOKEN_PATH, 404)
    assert tree.get("/shop").status == 200


def test_ingresses_and_routes_share_hosts_and_priorities(
    start_tree: StartTree, kube: KubeServer, upstream: Upstream
) -> None:
    kube.apply(service("shop"))
    kube.apply(endpoints("shop", "127.0.0.1", port=upstream.port))
    kube.apply(catch_all("any", "shop"))
    to_nowhere = {"name": "noop@internal", "kind": "TraefikService"}
    kube.apply(route("teapot", rule("Host(`test`) && PathPrefix(`/tea`)", to_nowhere)))
    tree = started(start_tree, kube)
    assert becomes(tree, "/", 200).body == "hello"
    assert tree.get("/tea").status == 418


@pytest.mark.parametrize(
    ("order", "status"), [("kubernetescrd,kubernetes", 418), ("kubernetes,kubernetescrd", 200)]
)
def test_the_order_of_providers_decides_between_equals(
    start_tree: StartTree, kube: KubeServer, upstream: Upstream, order: str, status: int
) -> None:
    kube.apply(service("shop"))
    kube.apply(endpoints("shop", "127.0.0.1", port=upstream.port))
    kube.apply(ingress("one", host="test", target="shop"))
    to_nowhere = {"name": "noop@internal", "kind": "TraefikService"}
    kube.apply(route("one", rule('Host("test") && PathPrefix("/")', to_nowhere)))
    tree = started(start_tree, kube, f"--providers.precedence={order}")
    assert becomes(tree, "/", status).status == status
