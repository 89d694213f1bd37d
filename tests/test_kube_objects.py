"""Create, get, update, patch and delete: what the in-memory API server and a real one do alike."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.kube.cluster import (
    APPLY,
    JSON_PATCH,
    MERGE,
    SERVERS,
    STRATEGIC,
    WIDGETS,
    Cluster,
    maps,
    open_cluster,
    services,
    widget,
    widgets,
    with_query,
)


@pytest.fixture(scope="module", params=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with open_cluster(request.param) as opened:
        yield opened


# --- create and get ---------------------------------------------------------------------------------------


def test_create_fills_in_metadata_and_get_returns_the_same(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    created = cluster.create_map(namespace, "one", labels={"a": "b"})
    metadata = created["metadata"]
    assert (created["kind"], created["apiVersion"]) == ("ConfigMap", "v1")
    assert (metadata["name"], metadata["namespace"]) == ("one", namespace)
    assert int(metadata["resourceVersion"]) > 0
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert "generation" not in metadata
    assert cluster.expect(200, "GET", maps(namespace, "one")) == created


def test_versions_grow_across_kinds(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    first = cluster.create_map(namespace, "one")
    second = cluster.create_widget(namespace, "one")
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


def test_generate_name(cluster: Cluster) -> None:
    path = maps(cluster.namespace())
    names = {
        cluster.expect(201, "POST", path, {"metadata": {"generateName": "some-"}})["metadata"]["name"]
        for _ in range(3)
    }
    assert len(names) == 3
    assert all(name.startswith("some-") and len(name) == 10 for name in names)


def test_missing_object_is_404_with_details(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    status = cluster.expect(404, "GET", widgets(namespace, "none"))
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'widgets.test.example "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "group": "test.example", "kind": "widgets"},
        "code": 404,
    }


def test_second_create_is_409(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_map(namespace, "one")
    status = cluster.expect(409, "POST", maps(namespace), {"metadata": {"name": "one"}})
    assert status["reason"] == "AlreadyExists"
    assert status["message"] == 'configmaps "one" already exists'
    assert status["details"] == {"name": "one", "kind": "configmaps"}


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        ({"metadata": {}}, 422, "Invalid"),
        ({"metadata": {"name": "Not_a_name"}}, 422, "Invalid"),
        ({"metadata": {"name": "one", "namespace": "elsewhere"}}, 400, "BadRequest"),
        ({"metadata": {"name": "one", "resourceVersion": "1"}}, 500, None),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "one"}}, 400, "BadRequest"),
        ({"metadata": {"name": "one"}, "data": {"a": 1}}, 400, "BadRequest"),
        ({"metadata": {"name": "one", "labels": {"a": True}}}, 400, "BadRequest"),
        ({"metadata": {"name": "one", "annotations": ["a"]}}, 400, "BadRequest"),
        ("{", 400, "BadRequest"),
    ],
)
def test_bad_creates(cluster: Cluster, body: object, code: int, reason: str | None) -> None:
    status = cluster.expect(code, "POST", maps(cluster.namespace()), body)
    assert status.get("reason") == reason


@pytest.mark.parametrize(
    ("plural", "body"),
    [
        ("services", {"spec": {"ports": "80"}}),
        ("services", {"spec": {"ports": ["80"]}}),
        ("secrets", {"stringData": {"a": 1}}),
        ("secrets", {"data": {"a": "not base64"}}),
    ],
)
def test_bodies_that_are_not_of_their_kind(cluster: Cluster, plural: str, body: dict[str, object]) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace()}/{plural}"
    status = cluster.expect(400, "POST", path, {"metadata": {"name": "one"}, **body})
    assert status["reason"] == "BadRequest"


def test_custom_kinds_must_say_their_kind(cluster: Cluster) -> None:
    path = widgets(cluster.namespace())
    assert cluster.expect(400, "POST", path, {"metadata": {"name": "one"}})["reason"] == "BadRequest"
    wrong = {**widget("one"), "kind": "Other"}
    assert cluster.expect(422, "POST", path, wrong)["reason"] == "Invalid"


def test_invalid_object_names_the_field(cluster: Cluster) -> None:
    status = cluster.expect(422, "POST", maps(cluster.namespace()), {"metadata": {"name": "A"}})
    assert status["message"].startswith('ConfigMap "A" is invalid: metadata.name: Invalid value: "A": a lowercase')
    assert status["details"]["causes"][0]["field"] == "metadata.name"


def test_paths_of_unknown_kinds(cluster: Cluster) -> None:
    """Built-in groups answer with a Status, others as if there were no such page."""
    namespace = cluster.namespace()
    for path in (
        "/apis/nothing.example/v1/things",
        "/apis/test.example/v1/things",
        "/apis/test.example/v2/widgets",
        f"/apis/test.example/v1/namespaces/{namespace}/things",
    ):
        assert cluster.request("GET", path) == (404, "404 page not found\n"), path
    for path in (
        "/api/v1/things",
        "/apis/discovery.k8s.io/v2/endpointslices",
        f"/api/v1/namespaces/{namespace}/nodes",
        "/api/v1/configmaps/one",
    ):
        status = cluster.expect(404, "GET", path)
        assert status["message"] == "the server could not find the requested resource", path
        assert status["details"] == {}


def test_methods_that_do_not_fit_the_path(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    for method, path in (
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
        ("PUT", maps(namespace)),
        ("POST", maps(namespace, "one")),
        ("POST", "/version"),
    ):
        status = cluster.expect(405, method, path, {})
        assert status["reason"] == "MethodNotAllowed"
    assert cluster.request("POST", WIDGETS, widget("one")) == (404, "404 page not found\n")
    assert cluster.request("DELETE", WIDGETS) == (404, "404 page not found\n")
    assert cluster.expect(400, "PUT", widgets(namespace), widget("one"))["message"] == "name must be provided"


def test_dry_run_changes_nothing(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    body = {"metadata": {"name": "one"}, "data": {"key": "value"}}
    answer = cluster.expect(201, "POST", with_query(maps(namespace), dryRun="All"), body)
    assert answer["metadata"]["uid"]
    cluster.expect(404, "GET", maps(namespace, "one"))
    before = cluster.create_map(namespace, "one")
    cluster.expect(200, "PATCH", with_query(maps(namespace, "one"), dryRun="All"), {"data": {"a": "b"}}, MERGE)
    cluster.expect(200, "DELETE", with_query(maps(namespace, "one"), dryRun="All"))
    assert cluster.expect(200, "GET", maps(namespace, "one")) == before


# --- what built-in kinds fill in --------------------------------------------------------------------------


def test_secret_string_data_becomes_data(cluster: Cluster) -> None:
    path = f"/api/v1/namespaces/{cluster.namespace()}/secrets"
    body = {"metadata": {"name": "one"}, "data": {"a": "eA=="}, "stringData": {"b": "plain", "a": "wins"}}
    secret = cluster.expect(201, "POST", path, body)
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {"a": b"wins", "b": b"plain"}
    patched = cluster.expect(200, "PATCH", f"{path}/one", {"stringData": {"c": "new"}}, MERGE)
    assert sorted(patched["data"]) == ["a", "b", "c"]


def test_service_gets_type_ports_and_a_lasting_address(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    body = {"metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}]}}
    service = cluster.expect(201, "POST", services(namespace), body)
    spec = service["spec"]
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["internalTrafficPolicy"]) == (["IPv4"], "Cluster")
    body["spec"] = {"ports": [{"port": 81, "targetPort": "web"}], "type": "NodePort"}
    updated = cluster.expect(200, "PUT", services(namespace, "one"), body)
    assert updated["spec"]["clusterIP"] == spec["clusterIP"]
    assert updated["spec"]["ports"][0]["nodePort"] >= 30000


def test_external_name_service_gets_no_address(cluster: Cluster) -> None:
    body = {"metadata": {"name": "one"}, "spec": {"type": "ExternalName", "externalName": "a.example"}}
    service = cluster.expect(201, "POST", services(cluster.namespace()), body)
    assert service["spec"] == {"type": "ExternalName", "externalName": "a.example", "sessionAffinity": "None"}
    assert service["status"] == {"loadBalancer": {}}


def test_endpoint_slice_ports_get_defaults(cluster: Cluster) -> None:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{cluster.namespace()}/endpointslices"
    body = {
        "metadata": {"name": "one"},
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": True}}],
    }
    created = cluster.expect(201, "POST", path, body)
    assert created["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert [endpoint["conditions"] for endpoint in created["endpoints"]] == [{}, {"ready": True}]
    assert created["metadata"]["generation"] == 1


# --- update -----------------------------------------------------------------------------------------------


def test_update_with_an_old_version_is_409(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    old = cluster.create_map(namespace, "one")
    new = cluster.expect(200, "PUT", maps(namespace, "one"), {**old, "data": {"key": "new"}})
    assert int(new["metadata"]["resourceVersion"]) > int(old["metadata"]["resourceVersion"])
    status = cluster.expect(409, "PUT", maps(namespace, "one"), {**old, "data": {"key": "newer"}})
    assert status["reason"] == "Conflict"
    assert status["details"] == {"name": "one", "kind": "configmaps"}
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_update_that_changes_nothing_keeps_the_version(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    for path, created in (
        (maps(namespace, "one"), cluster.create_map(namespace, "one")),
        (widgets(namespace, "one"), cluster.create_widget(namespace, "one", size=1)),
    ):
        same = cluster.expect(200, "PUT", path, created)
        assert same["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


def test_update_without_a_version(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_map(namespace, "one")
    cluster.expect(200, "PUT", maps(namespace, "one"), {"metadata": {"name": "one"}, "data": {"a": "b"}})
    cluster.create_widget(namespace, "one")
    status = cluster.expect(422, "PUT", widgets(namespace, "one"), widget("one"))
    assert status["details"]["causes"][0]["field"] == "metadata.resourceVersion"
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    cluster.expect(201, "POST", leases, {"metadata": {"name": "one"}, "spec": {"holderIdentity": "a"}})
    cluster.expect(422, "PUT", f"{leases}/one", {"metadata": {"name": "one"}, "spec": {"holderIdentity": "b"}})


def test_update_of_another_object_is_refused(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    created = cluster.create_map(namespace, "one")
    renamed = {**created, "metadata": {**created["metadata"], "name": "two"}}
    assert cluster.expect(400, "PUT", maps(namespace, "one"), renamed)["reason"] == "BadRequest"
    other = {**created, "metadata": {**created["metadata"], "uid": "0" * 36}}
    assert cluster.expect(409, "PUT", maps(namespace, "one"), other)["reason"] == "Conflict"
    cluster.expect(404, "PUT", maps(namespace, "none"), {"metadata": {"name": "none"}})


def test_the_server_owns_uid_creation_time_and_generation(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    created = cluster.create_widget(namespace, "one", size=1)
    forged = {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 77, "labels": {"a": "b"}}
    patched = cluster.expect(200, "PATCH", widgets(namespace, "one"), {"metadata": forged}, MERGE)
    for field in ("uid", "creationTimestamp", "generation"):
        assert patched["metadata"][field] == created["metadata"][field]
    assert patched["metadata"]["labels"] == {"a": "b"}


# --- status and generation --------------------------------------------------------------------------------


def test_status_and_spec_are_written_apart(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    body = {**widget("one"), "spec": {"size": 1}, "status": {"ready": True}}
    created = cluster.expect(201, "POST", widgets(namespace), body)
    assert "status" not in created
    written = {**created, "spec": {"size": 2}, "status": {"ready": True}}
    updated = cluster.expect(200, "PUT", widgets(namespace, "one", "status"), written)
    assert (updated["spec"], updated["status"]) == ({"size": 1}, {"ready": True})
    assert updated["metadata"]["generation"] == 1
    written = {**updated, "spec": {"size": 3}, "status": {"ready": False}}
    updated = cluster.expect(200, "PUT", widgets(namespace, "one"), written)
    assert (updated["spec"], updated["status"]) == ({"size": 3}, {"ready": True})
    assert updated["metadata"]["generation"] == 2
    read = cluster.expect(200, "GET", widgets(namespace, "one", "status"))
    assert read == updated


def test_only_nodes_are_created_with_a_status(cluster: Cluster) -> None:
    status = {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}
    name = cluster.namespace().replace("ns", "node")
    node = cluster.expect(201, "POST", "/api/v1/nodes", {"metadata": {"name": name}, "status": status})
    assert node["status"]["addresses"] == status["addresses"]
    loaded = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    body = {"metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}]}, "status": loaded}
    assert cluster.expect(201, "POST", services(cluster.namespace()), body)["status"] == {"loadBalancer": {}}


def test_status_patch_and_conflict(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    created = cluster.create_widget(namespace, "one", size=1)
    path = widgets(namespace, "one", "status")
    patch = {"spec": {"size": 9}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    patched = cluster.expect(200, "PATCH", path, patch, MERGE)
    assert patched["spec"] == {"size": 1}
    assert patched["status"] == patch["status"]
    again = cluster.expect(200, "PATCH", path, patch, MERGE)
    assert again["metadata"]["resourceVersion"] == patched["metadata"]["resourceVersion"]
    stale = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "status": {"a": 1}}
    assert cluster.expect(409, "PATCH", path, stale, MERGE)["reason"] == "Conflict"


def test_generation_counts_spec_changes_only(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_widget(namespace, "one", size=1)
    path = widgets(namespace, "one")
    labelled = cluster.expect(200, "PATCH", path, {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert labelled["metadata"]["generation"] == 1
    assert cluster.expect(200, "PATCH", path, {"spec": {"size": 2}}, MERGE)["metadata"]["generation"] == 2


def test_ingress_status(cluster: Cluster) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{cluster.namespace()}/ingresses"
    backend = {"service": {"name": "one", "port": {"number": 80}}}
    cluster.expect(201, "POST", path, {"metadata": {"name": "one"}, "spec": {"defaultBackend": backend}})
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    patched = cluster.expect(200, "PATCH", f"{path}/one/status", {"status": status}, MERGE)
    assert patched["status"] == status
    assert patched["metadata"]["generation"] == 1


# --- patch ------------------------------------------------------------------------------------------------


def test_merge_patch(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_widget(namespace, "one", size=1, names=["a", "b"], deep={"x": 1, "y": 2})
    patch = {"spec": {"names": ["c"], "deep": {"x": None, "z": 3}, "size": None}}
    patched = cluster.expect(200, "PATCH", widgets(namespace, "one"), patch, MERGE)
    assert patched["spec"] == {"names": ["c"], "deep": {"y": 2, "z": 3}}


def test_json_patch(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_widget(namespace, "one", size=1, names=["a", "c"], old={"x": 1})
    operations = [
        {"op": "test", "path": "/spec/size", "value": 1},
        {"op": "add", "path": "/spec/names/1", "value": "b"},
        {"op": "add", "path": "/spec/names/-", "value": "d"},
        {"op": "move", "from": "/spec/old", "path": "/spec/new"},
        {"op": "copy", "from": "/spec/names", "path": "/spec/copied~1names"},
        {"op": "replace", "path": "/spec/size", "value": 2},
        {"op": "remove", "path": "/spec/names/0"},
    ]
    patched = cluster.expect(200, "PATCH", widgets(namespace, "one"), operations, JSON_PATCH)
    assert patched["spec"] == {
        "size": 2,
        "names": ["b", "c", "d"],
        "new": {"x": 1},
        "copied/names": ["a", "b", "c", "d"],
    }
    failing = [{"op": "test", "path": "/spec/size", "value": 1}]
    assert cluster.request("PATCH", widgets(namespace, "one"), failing, None, JSON_PATCH)[0] in (400, 422)
    missing = [{"op": "remove", "path": "/spec/none"}]
    assert cluster.request("PATCH", widgets(namespace, "one"), missing, None, JSON_PATCH)[0] in (400, 422)


def test_strategic_merge_patch_knows_list_keys(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}, {"name": "c", "port": 82}]
    cluster.expect(201, "POST", services(namespace), {"metadata": {"name": "one"}, "spec": {"ports": ports}})
    patch = {
        "spec": {
            "$setElementOrder/ports": [{"port": 82}, {"port": 80}, {"port": 83}],
            "ports": [
                {"port": 80, "targetPort": 8080},
                {"port": 81, "$patch": "delete"},
                {"port": 83, "name": "d"},
            ],
        }
    }
    patched = cluster.expect(200, "PATCH", services(namespace, "one"), patch, STRATEGIC)
    found = [(port["port"], port["name"], port["targetPort"]) for port in patched["spec"]["ports"]]
    assert found == [(82, "c", 82), (80, "a", 8080), (83, "d", 83)]


def test_strategic_merge_patch_directives(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_map(namespace, "one", finalizers=["a.example/x", "a.example/y"])
    patch = {
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example/x"]},
        "data": {"$patch": "replace", "other": "1"},
    }
    patched = cluster.expect(200, "PATCH", maps(namespace, "one"), patch, STRATEGIC)
    assert patched["metadata"]["finalizers"] == ["a.example/y"]
    assert patched["data"] == {"other": "1"}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example/y"]}, "data": {"$patch": "delete"}}
    patched = cluster.expect(200, "PATCH", maps(namespace, "one"), patch, STRATEGIC)
    assert "data" not in patched


def test_patch_types_that_are_refused(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_widget(namespace, "one")
    for media_type in (STRATEGIC, "text/plain"):
        status = cluster.expect(415, "PATCH", widgets(namespace, "one"), {}, media_type)
        assert status["reason"] == "UnsupportedMediaType"
    cluster.expect(404, "PATCH", widgets(namespace, "none"), {"spec": {"a": 1}}, MERGE)


def test_server_side_apply_creates_and_merges(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    path = with_query(widgets(namespace, "one"), fieldManager="tests", force="true")
    created = cluster.expect(201, "PATCH", path, {**widget("one"), "spec": {"deep": {"x": 1}}}, APPLY)
    assert created["spec"] == {"deep": {"x": 1}}
    other = with_query(widgets(namespace, "one"), fieldManager="other", force="true")
    merged = cluster.expect(200, "PATCH", other, {**widget("one"), "spec": {"deep": {"y": 2}}}, APPLY)
    assert merged["spec"] == {"deep": {"x": 1, "y": 2}}
    status = with_query(widgets(namespace, "one", "status"), fieldManager="other", force="true")
    merged = cluster.expect(200, "PATCH", status, {**widget("one"), "status": {"ready": True}}, APPLY)
    assert (merged["spec"], merged["status"]) == ({"deep": {"x": 1, "y": 2}}, {"ready": True})


# --- delete -----------------------------------------------------------------------------------------------


def test_delete_answers_with_a_status(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    created = cluster.create_widget(namespace, "one")
    assert cluster.expect(200, "DELETE", widgets(namespace, "one")) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": "one",
            "group": "test.example",
            "kind": "widgets",
            "uid": created["metadata"]["uid"],
        },
    }
    cluster.expect(404, "DELETE", widgets(namespace, "one"))


def test_delete_with_preconditions(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    created = cluster.create_map(namespace, "one")
    wrong = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": "1"}}
    assert cluster.expect(409, "DELETE", maps(namespace, "one"), wrong)["reason"] == "Conflict"
    right = {"preconditions": {"uid": created["metadata"]["uid"]}}
    cluster.expect(200, "DELETE", maps(namespace, "one"), right)


def test_finalizers_hold_an_object_back(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.create_map(namespace, "one", finalizers=["a.example/x"])
    marked = cluster.expect(200, "DELETE", maps(namespace, "one"))
    assert marked["metadata"]["deletionTimestamp"]
    cluster.expect(200, "DELETE", maps(namespace, "one"))
    cluster.expect(200, "PATCH", maps(namespace, "one"), {"metadata": {"finalizers": None}}, MERGE)
    cluster.expect(404, "GET", maps(namespace, "one"))


def test_delete_collection_by_label(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    for name, colour in (("one", "red"), ("two", "blue"), ("three", "red")):
        cluster.create_map(namespace, name, labels={"colour": colour})
    answer = cluster.expect(200, "DELETE", with_query(maps(namespace), labelSelector="colour=red"))
    assert answer["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in answer["items"]] == ["one", "three"]
    left = cluster.expect(200, "GET", maps(namespace))["items"]
    assert "two" in [item["metadata"]["name"] for item in left]
    assert "one" not in [item["metadata"]["name"] for item in left]
