"""The in-memory API server's Python interface: objects, kinds, rules, the log of requests, and its speed.

What it has in common with a real server is tested in `test_kube_objects.py` and `test_kube_reads.py`.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kube import ApiError, Kind, KubeServer
from tests.kube.cluster import MERGE, MemoryServer, with_query
from tests.kube.follower import DEADLINE, Follower, followers

ROUTES = "/apis/traefik.io/v1alpha1/ingressroutes"
SERVICES = "/api/v1/services"
Follow = Callable[..., Follower]

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: whoami, namespace: web, annotations: {since: 2024-01-02T03:04:05Z}}
spec: {entryPoints: [web], routes: [{kind: Rule, match: Host(`a.test`), services: [{name: whoami, port: 80}]}]}
"""


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with KubeServer() as started:
        yield started


@pytest.fixture
def client(server: KubeServer) -> MemoryServer:
    return MemoryServer(server)


@pytest.fixture
def follow(server: KubeServer) -> Iterator[Follow]:
    with followers(server) as start:
        yield start


def route(number: int, host: str = "a") -> dict[str, Any]:
    services = [{"name": "whoami", "port": 80}]
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": f"r{number}", "namespace": f"ns{number % 50}", "labels": {"half": str(number % 2)}},
        "spec": {"routes": [{"kind": "Rule", "match": f"Host(`{host}{number}.test`)", "services": services}]},
    }


# --- objects ----------------------------------------------------------------------------------------------


def test_apply_creates_then_replaces(server: KubeServer) -> None:
    service, created = server.apply(MANIFESTS)
    assert service["spec"]["clusterIP"]
    assert created["metadata"]["annotations"] == {"since": "2024-01-02T03:04:05Z"}
    _, replaced = server.apply(MANIFESTS.replace("a.test", "b.test").replace("since", "until"))
    assert server.get("IngressRoute", "web", "whoami") == replaced
    assert replaced["metadata"]["annotations"] == {"until": "2024-01-02T03:04:05Z"}
    for field in ("uid", "creationTimestamp"):
        assert replaced["metadata"][field] == created["metadata"][field]
    assert replaced["metadata"]["generation"] == 2
    assert int(replaced["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])


def test_apply_of_the_same_is_no_write(server: KubeServer) -> None:
    first = server.apply(MANIFESTS)
    version = server.version
    assert server.apply(MANIFESTS) == first
    assert server.version == version


def test_apply_takes_dicts_and_lists_and_sets_status(server: KubeServer) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    }
    (stored,) = server.apply(node)
    assert "namespace" not in stored["metadata"]
    del node["status"]
    server.apply({"apiVersion": "v1", "kind": "List", "items": [node, route(1)]})
    assert server.get("Node", "", "n")["status"]["addresses"][0]["address"] == "192.0.2.1"
    assert len(server.objects("ingressroutes")) == 1
    server.apply([route(2), route(3)])
    assert [one["metadata"]["name"] for one in server.objects("IngressRoute", "ns2")] == ["r2"]
    with pytest.raises(KeyError, match=r"apiVersion 'v9'"):
        server.apply({"apiVersion": "v9", "kind": "Service", "metadata": {"name": "x"}})


def test_delete_and_get(server: KubeServer) -> None:
    server.apply(MANIFESTS)
    server.delete("services", "web", "whoami")
    with pytest.raises(ApiError, match=r'services "whoami" not found'):
        server.get("Service", "web", "whoami")
    with pytest.raises(ApiError, match="404"):
        server.delete("Service", "web", "whoami")
    with pytest.raises(KeyError, match="Nothing"):
        server.objects("Nothing")


def test_namespaces_come_with_their_objects_and_take_them_along(server: KubeServer) -> None:
    server.apply(MANIFESTS)
    assert server.get("Namespace", "", "web")["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
    server.delete("Namespace", "", "web")
    assert server.objects("Service") == server.objects("IngressRoute") == []


def test_set_endpoints(server: KubeServer) -> None:
    server.set_endpoints("web", "whoami", ["10.0.0.1", "10.0.0.2"], port=8080, port_name="http")
    (only,) = server.objects("EndpointSlice")
    assert only["metadata"]["labels"]["kubernetes.io/service-name"] == "whoami"
    assert only["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert only["endpoints"][1] == {"addresses": ["10.0.0.2"], "conditions": {"ready": True}}
    own: dict[str, Any] = {"addresses": ["10.0.0.3"], "conditions": {"ready": False, "serving": True}}
    server.set_endpoints("web", "whoami", ["10.0.0.1", own], ready=None, terminating=True)
    (only,) = server.objects("EndpointSlice")
    assert [one["conditions"] for one in only["endpoints"]] == [{"terminating": True}, own["conditions"]]
    server.set_endpoints("web", "whoami", ["2001:db8::1"], slice_name="whoami-v6")
    assert [one["addressType"] for one in server.objects("endpointslices")] == ["IPv4", "IPv6"]


def test_validators_refuse_objects(server: KubeServer, client: MemoryServer) -> None:
    def check(document: dict[str, Any]) -> list[str]:
        return [] if document["spec"].get("routes") else ["spec.routes: Required value", "no routes"]

    server.validators["IngressRoute"] = check
    body = {**route(1), "metadata": {"name": "r"}, "spec": {}}
    code, status = client.request("POST", ROUTES.replace("ingress", "namespaces/web/ingress"), body)
    assert (code, status["reason"]) == (422, "Invalid")
    assert status["message"] == (
        'IngressRoute.traefik.io "r" is invalid: [spec.routes: Required value, no routes]'
    )
    assert status["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.routes"},
        {"reason": "FieldValueInvalid", "message": "no routes"},
    ]
    with pytest.raises(ApiError, match=r"spec\.routes"):
        server.apply(body)
    server.apply(route(1))


def test_without_a_status_subresource(client: MemoryServer) -> None:
    path = "/apis/traefik.io/v1alpha1/namespaces/ns1/ingressroutes/r1"
    with KubeServer(crd_status=False) as server:
        server.apply({**route(1), "status": {"conditions": []}})
        plain = MemoryServer(server)
        assert plain.request("GET", f"{path}/status")[0] == 404
        patched = plain.request("PATCH", path, {"status": {"conditions": [1]}}, None, MERGE)[1]
        assert patched["status"] == {"conditions": [1]}
        assert patched["metadata"]["generation"] == 2


# --- kinds and rules --------------------------------------------------------------------------------------


def test_a_kind_can_go_and_come_back(server: KubeServer, client: MemoryServer, follow: Follow) -> None:
    server.apply(MANIFESTS)
    watch = follow(ROUTES)
    assert watch.next_name() == ("ADDED", "whoami")
    server.remove_kind("ingressroutes")
    assert watch.next() == "end"
    assert client.request("GET", ROUTES) == (404, "404 page not found\n")
    listed = client.request("GET", "/apis/traefik.io/v1alpha1")[1]["resources"]
    assert "ingressroutes" not in {one["name"] for one in listed}
    with pytest.raises(KeyError):
        server.apply(MANIFESTS)
    server.add_kind("ingressroutes")
    assert len(client.request("GET", ROUTES)[1]["items"]) == 1


def test_removing_a_kind_with_its_objects(server: KubeServer, follow: Follow) -> None:
    server.apply(MANIFESTS)
    watch = follow(ROUTES)
    watch.next()
    server.remove_kind("IngressRoute", delete_objects=True)
    assert watch.next_name() == ("DELETED", "whoami")
    assert watch.next() == "end"
    server.add_kind("IngressRoute")
    assert server.objects("IngressRoute") == []


def test_kinds_that_are_off_by_default_and_new_ones(server: KubeServer, client: MemoryServer) -> None:
    grants = "/apis/gateway.networking.k8s.io/v1beta1/referencegrants"
    assert client.request("GET", grants)[0] == 404
    server.add_kind("referencegrants")
    assert client.request("GET", grants)[1]["kind"] == "ReferenceGrantList"
    server.add_kind(Kind("my.example", "v1", "things", "Thing", custom=True))
    server.apply({"apiVersion": "my.example/v1", "kind": "Thing", "metadata": {"name": "one"}})
    assert client.request("GET", "/apis/my.example/v1/things")[1]["items"]


def test_deleting_a_definition_removes_its_kind(server: KubeServer, client: MemoryServer) -> None:
    names = {"plural": "things", "kind": "Thing", "shortNames": ["th"]}
    versions = [{"name": "v1", "served": True, "storage": True}]
    server.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.my.example"},
            "spec": {"group": "my.example", "scope": "Cluster", "names": names, "versions": versions},
        }
    )
    server.apply({"apiVersion": "my.example/v1", "kind": "Thing", "metadata": {"name": "one"}})
    assert client.request("GET", "/apis/my.example/v1/things/one")[0] == 200
    server.delete("CustomResourceDefinition", "", "things.my.example")
    assert client.request("GET", "/apis/my.example/v1/things/one")[0] == 404


def test_forbid_and_allow(server: KubeServer, client: MemoryServer) -> None:
    server.forbid("Service", "list")
    code, status = client.request("GET", "/api/v1/namespaces/web/services")
    assert (code, status["reason"], status["details"]) == (403, "Forbidden", {"kind": "services"})
    assert status["message"].startswith("services is forbidden: User ")
    assert status["message"].endswith('cannot list resource "services" in API group "" in the namespace "web"')
    assert client.request("GET", with_query(SERVICES, watch="true", timeoutSeconds=1))[0] == 200
    server.forbid("ingressroutes/status", "patch")
    server.apply(MANIFESTS)
    path = "/apis/traefik.io/v1alpha1/namespaces/web/ingressroutes/whoami"
    assert client.request("PATCH", f"{path}/status", {"status": {}}, None, MERGE)[0] == 403
    assert client.request("PATCH", path, {"spec": {"a": 1}}, None, MERGE)[0] == 200
    server.forbid("services")
    assert client.request("DELETE", "/api/v1/namespaces/web/services/whoami")[0] == 403
    server.allow("services")
    assert client.request("GET", SERVICES)[0] == 200


def test_token(client: MemoryServer) -> None:
    with KubeServer(token="first") as server:
        guarded = MemoryServer(server)
        for token in (None, "other"):
            code, status = guarded.request("GET", SERVICES, None, token)
            assert (code, status["reason"]) == (401, "Unauthorized")
        assert guarded.request("GET", SERVICES, None, "first")[0] == 200
        server.token = "second"
        assert guarded.request("GET", SERVICES, None, "first")[0] == 401
        assert guarded.request("GET", SERVICES, None, "second")[0] == 200


# --- requests and size --------------------------------------------------------------------------------------


def test_requests_are_logged(server: KubeServer, client: MemoryServer) -> None:
    client.request("GET", with_query(SERVICES, limit=5, labelSelector="a=b"))
    last = server.requests[-1]
    assert (last.method, last.path) == ("GET", SERVICES)
    assert last.query == {"limit": "5", "labelSelector": "a=b"}
    assert last.user_agent == ""
    with urllib.request.urlopen(server.url + "/version", timeout=DEADLINE):
        pass
    assert server.requests[-1].user_agent.startswith("Python-urllib")
    assert server.request_count == 2
    server.forget_requests()
    assert server.requests == []
    assert server.request_count == 2


def test_ten_thousand_objects_and_many_changes(server: KubeServer, client: MemoryServer, follow: Follow) -> None:
    """Bounds are several times what a slow machine needs; they catch quadratic work, not noise."""
    count, changes = 10_000, 2_000
    started = time.monotonic()
    server.apply([route(number) for number in range(count)])
    assert len(client.request("GET", ROUTES)[1]["items"]) == count
    assert len(client.request("GET", with_query(ROUTES, labelSelector="half=1"))[1]["items"]) == count // 2
    seen, token = 0, ""
    while True:
        query = {"limit": 500, **({"_continue": token} if token else {})}
        page = client.request("GET", with_query(ROUTES, **query))[1]
        seen += len(page["items"])
        token = page["metadata"]["continue"]
        if not token:
            break
    assert seen == count
    watches = [follow(ROUTES, resourceVersion=server.version) for _ in range(3)]
    watches.append(follow(ROUTES, resourceVersion=server.version, labelSelector="half=0"))
    server.wait_until(lambda: server.watchers("IngressRoute") == len(watches), DEADLINE)
    for number in range(changes):
        server.apply(route(number, "b"))
    for watch, expected in zip(watches, [changes] * 3 + [changes // 2], strict=True):
        versions = [int(watch.next()["object"]["metadata"]["resourceVersion"]) for _ in range(expected)]
        assert versions == sorted(versions)
        assert watch.silent
    assert time.monotonic() - started < 60
