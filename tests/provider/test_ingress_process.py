"""The provider process with Ingresses: alone, beside custom resources, from files, and what it writes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.static import StaticConfiguration
from config.static_load import from_mapping
from provider.__main__ import EXIT_SETTINGS
from tests.kube import KubeServer
from tests.provider.support import DEADLINE_SECONDS, endpoints, route, rule, running, secret, service
from tests.provider.test_manifests import write
from tests.provider.translate.test_ingress_changes import ingress, ingress_class

ROUTER = "default-one-a-example@kubernetes"
BASE = (service("whoami"), endpoints("whoami", "10.1.0.1"), ingress("one"))


def static_with(manifests: str = "", **providers: Any) -> StaticConfiguration:
    given: dict[str, Any] = {"providersThrottleDuration": "0s", **providers}
    if manifests:
        given["manifests"] = {"directory": manifests}
    return from_mapping({"providers": given, "log": {"level": "DEBUG"}})


def following(server: KubeServer, **settings: Any) -> StaticConfiguration:
    """Ingresses alone, of this cluster."""
    return static_with(kubernetesIngress={"endpoint": server.url, **settings})


def server_with(*objects: Any) -> KubeServer:
    server = KubeServer()
    for plain in (*BASE, *objects):
        server.apply(plain)
    return server


def listed(server: KubeServer) -> set[str]:
    return {request.path.rpartition("/")[2] for request in server.requests}


def test_ingresses_alone() -> None:
    crd = route("x", rule("Host(`a`)", {"name": "whoami", "port": 80}))
    with server_with(crd) as server, running(following(server)) as provider:
        first = provider.receive()
        assert first.meta.complete
        assert set(first.routers) == {ROUTER}
        assert first.endpoints["default-whoami-80@kubernetes"][0].url == "http://10.1.0.1:8080"
        assert listed(server) == {"services", "endpointslices", "ingresses"}
        server.delete("Ingress", "default", "one")
        assert provider.receive().routers == {}


def test_both_providers_in_one_generation() -> None:
    crd = route("x", rule("Host(`a`)", {"name": "whoami", "port": 80}))
    with server_with(crd) as server:
        static = static_with(kubernetesCRD={"endpoint": server.url}, kubernetesIngress={"namespaces": ["default"]})
        with running(static) as provider:
            first = provider.receive()
            assert {name.rpartition("@")[2] for name in first.routers} == {"kubernetes", "kubernetescrd"}
            server.apply(endpoints("whoami", "10.1.0.9"))
            second = provider.receive()
            assert {servers[0].url for servers in second.endpoints.values()} == {"http://10.1.0.9:8080"}
            assert len([path for path in listed(server) if path == "services"]) == 1


def test_namespaces_and_labels_are_each_providers_own() -> None:
    elsewhere = ingress("two")
    elsewhere["metadata"] = {"name": "two", "namespace": "other", "labels": {"app": "edge"}}
    labelled = {**ingress("one"), "metadata": {"name": "one", "namespace": "default", "labels": {"app": "edge"}}}
    others = (service("whoami", namespace="other"), endpoints("whoami", "10.1.0.2", namespace="other"))
    crd = route("x", rule("Host(`a`)", {"name": "whoami", "port": 80}), namespace="other")
    with server_with(*others, elsewhere, labelled, ingress("three"), crd) as server:
        static = static_with(
            kubernetesCRD={"endpoint": server.url, "namespaces": ["other"]},
            kubernetesIngress={"endpoint": server.url, "namespaces": ["default"], "labelSelector": "app=edge"},
        )
        with running(static) as provider:
            first = provider.receive()
            assert len([name for name in first.routers if name.startswith("other-x-")]) == 1
            assert [name for name in first.routers if name.endswith("@kubernetes")] == [ROUTER]


def test_classes_are_read_when_an_ingress_asks_for_one() -> None:
    named = ingress("one", ingressClassName="edge")
    with server_with(named, ingress_class("edge")) as server, running(following(server)) as provider:
        assert set(provider.receive().routers) == {ROUTER}
        server.apply(ingress_class("edge", "other"))
        assert provider.receive().routers == {}


def test_without_the_right_to_read_classes_the_others_are_served() -> None:
    with server_with(ingress("two", ingressClassName="edge"), ingress_class("edge")) as server:
        server.forbid("ingressclasses")
        with running(following(server)) as provider:
            received = provider.receive_until(lambda one: bool(one.routers))
            assert set(received.routers) == {ROUTER}
            received = provider.receive_until(lambda one: "Forbidden" in one.reasons())
            assert not received.meta.complete
            (finding,) = [one for one in received.findings if one.reason == "Forbidden"]
            assert finding.advice.startswith("allow it in a ClusterRole")
            server.allow("ingressclasses")
            provider.receive_until(lambda one: len(one.routers) == 2 and one.meta.complete)


def test_a_certificate_of_an_ingress() -> None:
    pair = secret("pair", **{"tls.crt": "chain", "tls.key": "key"})
    served = server_with(pair, ingress("one", tls=[{"secretName": "pair"}]))
    with served as server, running(following(server)) as provider:
        received = provider.receive_until(lambda one: bool(one.certificates))
        assert set(received.certificates) == {"default/pair"}


def test_files_hold_ingresses_too(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", *BASE, ingress("two", ingressClassName="edge"), ingress_class("edge"))
    with running(static_with(str(tmp_path), kubernetesIngress={})) as provider:
        assert set(provider.receive().routers) == {ROUTER, "default-two-a-example@kubernetes"}


def test_files_with_ingresses_that_nobody_serves_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", *BASE)
    with running(static_with(str(tmp_path))) as provider:
        received = provider.receive()
        assert received.routers == {}
        (finding,) = received.findings
        assert (finding.kind, finding.reason) == ("Ingress", "IgnoredKind")
        assert finding.advice == "set providers.kubernetesIngress"


def test_two_clusters_at_once_are_refused() -> None:
    static = static_with(
        kubernetesCRD={"endpoint": "http://127.0.0.1:1"}, kubernetesIngress={"endpoint": "http://127.0.0.1:2"}
    )
    with running(static) as provider:
        assert "name different clusters" in provider.ended()
        assert provider.process.returncode == EXIT_SETTINGS


def test_settings_that_lead_to_no_cluster_name_the_section() -> None:
    with running(static_with(kubernetesIngress={})) as provider:
        assert "set providers.kubernetesIngress.endpoint or KUBECONFIG" in provider.ended()


def shown(server: KubeServer, name: str) -> Any:
    return server.get("Ingress", "default", name)["status"]["loadBalancer"].get("ingress", [])


def test_addresses_of_the_published_service_are_written_and_kept_up_to_date() -> None:
    front = service("front", namespace="edge", type="LoadBalancer")
    front["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    theirs = ingress("theirs", ingressClassName="nginx")
    with server_with(front, theirs) as server:
        static = following(server, ingressEndpoint={"publishedService": "edge/front"})
        with running(static) as provider:
            provider.receive()
            server.wait_until(lambda: shown(server, "one") == [{"ip": "192.0.2.1"}], DEADLINE_SECONDS)
            front["status"] = {"loadBalancer": {"ingress": [{"hostname": "edge.example"}]}}
            server.apply(front)
            server.wait_until(lambda: shown(server, "one") == [{"hostname": "edge.example"}], DEADLINE_SECONDS)
            server.apply(ingress("two"))
            server.wait_until(lambda: shown(server, "two") == [{"hostname": "edge.example"}], DEADLINE_SECONDS)
            assert shown(server, "theirs") == []
            written = [request.path for request in server.requests if request.method == "PUT"]
            assert len(written) == 3
            assert all(path.endswith("/status") for path in written)


def test_addresses_of_nodes_are_waited_for() -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "a"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
    }
    with server_with(node) as server, running(following(server, reportNodeInternalIPs=True)) as provider:
        provider.receive()
        server.wait_until(lambda: shown(server, "one") == [{"ip": "10.0.0.1"}], DEADLINE_SECONDS)


def test_a_status_that_cannot_be_written_does_not_touch_routing() -> None:
    with server_with() as server:
        server.forbid("ingresses/status", "update")
        with running(following(server, ingressEndpoint={"ip": "192.0.2.1"})) as provider:
            assert set(provider.receive().routers) == {ROUTER}
            server.apply(ingress("two"))
            assert provider.receive_until(lambda one: len(one.routers) == 2).findings == []


def writes(server: KubeServer) -> list[str]:
    return [request.path for request in server.requests if request.method == "PUT"]


def of_replica(server: KubeServer, ip: str, **crd: Any) -> StaticConfiguration:
    """Both providers, with an address of its own, so that one can tell who wrote last."""
    report = {"leaseNamespace": "infra", "leaseDuration": "3s", **crd}
    return static_with(
        kubernetesCRD={"endpoint": server.url, "report": report},
        kubernetesIngress={"endpoint": server.url, "ingressEndpoint": {"ip": ip}},
    )


def holder(server: KubeServer) -> str:
    try:
        return str(server.get("Lease", "infra", "pointsman")["spec"]["holderIdentity"])
    except KeyError:
        return ""


def test_of_two_replicas_the_holder_of_the_lease_writes_and_the_other_takes_over() -> None:
    with server_with() as server, running(of_replica(server, "192.0.2.1")) as first:
        first.receive()
        server.wait_until(lambda: shown(server, "one") == [{"ip": "192.0.2.1"}], DEADLINE_SECONDS)
        leader = holder(server)
        assert leader
        with running(of_replica(server, "192.0.2.2")) as second:
            second.receive()
            server.apply(ingress("two"))
            server.wait_until(lambda: shown(server, "two") == [{"ip": "192.0.2.1"}], DEADLINE_SECONDS)
            second.receive_until(lambda one: len(one.routers) == 2)
            # both would write something else, so a second writer would make this an endless quarrel
            assert second.receives_nothing(1.0)
            assert (len(writes(server)), holder(server)) == (2, leader)
            first.channel.close()
            first.ended()
            server.wait_until(
                lambda: [shown(server, name) for name in ("one", "two")] == [[{"ip": "192.0.2.2"}]] * 2,
                DEADLINE_SECONDS,
            )
            assert holder(server) not in ("", leader)
            assert len(writes(server)) == 4


def test_where_the_lease_is_refused_or_not_wanted_every_replica_writes() -> None:
    with server_with() as server:
        server.forbid("leases")
        with running(of_replica(server, "192.0.2.1")) as provider:
            server.wait_until(lambda: shown(server, "one") == [{"ip": "192.0.2.1"}], DEADLINE_SECONDS)
            provider.receive()
        asked = server.request_count
        with running(of_replica(server, "192.0.2.2", status=False, events=False)) as provider:
            server.wait_until(lambda: shown(server, "one") == [{"ip": "192.0.2.2"}], DEADLINE_SECONDS)
            provider.receive()
        assert not [one for one in server.requests[asked:] if "leases" in one.path], "reports are switched off"
