"""Objects read once: several sources, both providers, and the same result as the pure build."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from config.static import StaticConfiguration
from config.static_load import from_mapping
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.reading import ASSUMED_ADDRESS, Reading
from tests.kube import KubeServer
from tests.provider.support import Received, decode_generation, endpoints, route, rule, secret, service

A = {"name": "a", "port": 80}


def static(**providers: Any) -> StaticConfiguration:
    return from_mapping({"providers": providers or {"kubernetesCRD": {}}})


def received(reading: Reading) -> Received:
    descriptor = reading.translate()
    try:
        return decode_generation([descriptor])
    finally:
        os.close(descriptor)


def write(folder: Path, *objects: dict[str, Any]) -> Path:
    path = folder / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return path


def from_cluster(settings: StaticConfiguration) -> Reading:
    """What was read and translated."""
    assert settings.providers.kubernetes_crd is not None
    reading = Reading(settings)
    api = Api(configure(settings.providers.kubernetes_crd, {}), "0")
    try:
        reading.take_cluster(api)
        os.close(reading.translate())
    finally:
        api.close()
    return reading


def test_files_become_a_generation(tmp_path: Path) -> None:
    reading = Reading(static())
    reading.take_files(
        [write(tmp_path, route("r", rule("Host(`a`)", A)), service("a"), endpoints("a", "10.0.0.1"))]
    )
    result = received(reading)
    assert len(result.routers) == 1
    assert result.meta.complete
    assert not result.findings
    assert [router.rule for router in reading.configuration.http.routers.values()] == ["Host(`a`)"]


def test_findings_travel_in_the_generation(tmp_path: Path) -> None:
    reading = Reading(static())
    reading.take_files([write(tmp_path, route("r", rule("Host(`a`)", A)))])
    assert received(reading).reasons() == {"ServiceNotFound"} == {one.reason for one in reading.findings}


def test_endpoints_are_assumed_where_there_are_none(tmp_path: Path) -> None:
    ports = [{"name": "one", "port": 80}, {"name": "two", "port": 81}]
    objects = [
        service("a", ports=ports),
        service("b"),
        endpoints("b", "10.0.0.1"),
        service("x", type="ExternalName"),
    ]
    reading = Reading(static())
    reading.take_files([write(tmp_path, *objects, route("r", rule("Host(`a`)", {"name": "a", "port": 81})))])
    reading.assume_endpoints()
    assert reading.assumed == ["default/a"]
    (servers,) = received(reading).endpoints.values()
    assert [server.url for server in servers] == [f"http://{ASSUMED_ADDRESS}:81"]


def test_ingresses_where_their_provider_is_on(tmp_path: Path) -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i", "namespace": "default"},
        "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}},
    }
    path = write(tmp_path, ingress, service("a"), endpoints("a", "10.0.0.1"))
    both = Reading(static(kubernetesCRD={}, kubernetesIngress={}))
    both.take_files([path])
    assert list(received(both).routers) == ["default-router@kubernetes"]
    crd_only = Reading(static())
    crd_only.take_files([path])
    assert not received(crd_only).routers
    assert {one.reason for one in crd_only.findings} == {"IgnoredKind"}


def test_a_cluster_with_namespaces_labels_and_secrets() -> None:
    with KubeServer() as server:
        for namespace in ("one", "two"):
            labelled = route("r", rule("Host(`a`)", A), namespace=namespace, tls={"secretName": "cert"})
            labelled["metadata"]["labels"] = {"tier": namespace}
            server.apply(
                [labelled, service("a", namespace=namespace), endpoints("a", "10.0.0.1", namespace=namespace)]
            )
        crd = {"endpoint": server.url, "namespaces": ["one", "two"], "labelSelector": "tier=one"}
        reading = from_cluster(static(kubernetesCRD=crd))
        assert [key.namespace for key in reading.store.keys("IngressRoute")] == ["one"]
        listed = [request.path for request in server.requests]
        assert "/api/v1/namespaces/two/secrets" in listed
        assert len(listed) == len(set(listed))


def test_what_may_not_be_listed_is_a_finding() -> None:
    with KubeServer() as server:
        server.apply([route("r", rule("Host(`a`)", A), tls={"secretName": "cert"}), service("a"), secret("cert")])
        server.forbid("secrets")
        reading = from_cluster(static(kubernetesCRD={"endpoint": server.url}))
        forbidden = [one for one in reading.findings if one.reason == "Forbidden"]
        assert [one.kind for one in forbidden] == ["Secret"]
