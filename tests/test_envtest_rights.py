"""Each right that etc/kubernetes grants is needed: without it something is missing that is there with all of them.

What is missing is seen in what the provider makes and writes (objects of the view, conditions, Events, the
Lease, addresses), never by asking for the right. The rights come from the manifests themselves, so one that is
granted anew and that no test here misses makes a test fail. Beside that, all ten kinds on the real server: valid
and invalid objects, their status.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from provider.resources.kinds import KINDS
from tests.envtest import ApiServer, assets
from tests.envtest_rights import KUBERNETES, MERGE, Right, Running, Tenant, View, install, rights_of, roles_of
from tests.provider.support import Json, endpoints, middleware, route, rule, secret, service
from tests.provider.translate.routes import custom

pytestmark = pytest.mark.envtest

CLUSTER: Final = "base/clusterrole.yaml"
NAMESPACED: Final = "overlays/namespaced/role.yaml"
INGRESS: Final = "overlays/ingress/rights.yaml"
REPORTING: Final = "overlays/reporting/rights.yaml"
ALONE: Final = frozenset(
    ("services", "endpointslices", "secrets", "configmaps", "ingresses", "ingressclasses", "leases", "events")
)
"""Resources whose rights are taken away one by one: without one of them the others cannot be judged."""
MANIFESTS: Final = {CLUSTER: ALONE, NAMESPACED: frozenset[str](), INGRESS: ALONE, REPORTING: ALONE}
"""The rules of the Role are those of the ClusterRole (tests/test_packaging.py), so they are taken together."""
RIGHTS: Final = [right for path, alone in MANIFESTS.items() for right in rights_of(path, alone)]
KIND_OF: Final = {kind.plural: kind for kind in KINDS.values()}
CUSTOM: Final = [kind for kind in KINDS.values() if kind.is_custom]
ESSENTIAL: Final = ("services", "endpointslices")
WEB: Final[Json] = {"name": "web", "port": 80}
NOT_A_CA: Final = "no certificate"

SPECS: Final[dict[str, tuple[Json, Json]]] = {
    "IngressRoute": ({"routes": [{"match": "Host(`a`)", "services": [WEB]}]}, {"routes": [{"kind": "Rule"}]}),
    "IngressRouteTCP": (
        {"routes": [{"match": "HostSNI(`*`)", "services": [WEB]}]},
        {"routes": [{"match": "HostSNI(`*`)", "services": [{"name": "web"}]}]},
    ),
    "IngressRouteUDP": ({"routes": [{"services": [WEB]}]}, {"routes": [{"services": [{"port": 53}]}]}),
    "Middleware": ({"addPrefix": {"prefix": "/a"}}, {"inFlightReq": {"amount": -1}}),
    "MiddlewareTCP": ({"inFlightConn": {"amount": 1}}, {"inFlightConn": {"amount": -1}}),
    "TraefikService": (
        {"weighted": {"services": [WEB]}},
        {"weighted": {"services": [{"name": "web", "weight": -1}]}},
    ),
    "ServersTransport": ({"serverName": "a"}, {"maxIdleConnsPerHost": -2}),
    "ServersTransportTCP": ({"proxyProtocol": {"version": 2}}, {"proxyProtocol": {"version": 3}}),
    "TLSOption": ({"minVersion": "VersionTLS13"}, {"clientAuth": {"clientAuthType": "Maybe"}}),
    "TLSStore": ({"certificates": []}, {"certificates": "pair"}),
}
"""A valid and an invalid one of each kind."""
CONDITION: Final = {
    "type": "Accepted",
    "status": "True",
    "reason": "Accepted",
    "message": "",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
SHOWN_AS: Final = {
    "ingressroutes": "routers",
    "ingressroutetcps": "tcp_routers",
    "ingressrouteudps": "udp_routers",
    "middlewares": "middlewares",
    "middlewaretcps": "tcp_middlewares",
    "traefikservices": "services",
    "serverstransports": "servers_transports",
    "serverstransporttcps": "tcp_servers_transports",
    "tlsoptions": "options",
    "tlsstores": "stores",
}
"""Where the object `shown` of each kind is in a generation."""


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One API server with our definitions for all tests; each has namespaces of its own."""
    if assets() is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd (make envtest builds one)")
    with ApiServer() as running:
        install(running)
        yield running


def objects(tenant: Tenant) -> list[Json]:
    """One of each kind that is served, one route that is not, and what they need."""
    name, other = tenant.name, tenant.other
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "grant", "namespace": other},
        "spec": {
            "from": [{"group": "traefik.io", "kind": "IngressRoute", "namespace": name}],
            "to": [{"group": "", "kind": "Service"}],
        },
    }
    pieces = [endpoints("web", "10.1.0.1", namespace=name), endpoints("web", "10.1.0.2", namespace=other)]
    for piece in pieces:
        del piece["metadata"]["creationTimestamp"]
    authority = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ca", "namespace": name},
        "data": {"ca.crt": NOT_A_CA},
    }
    return [
        service("web", namespace=name, clusterIP=None),
        service("web", namespace=other, clusterIP=None),
        *pieces,
        grant,
        secret("users", name, users="a:$apr1$x$y"),
        authority,
        *(custom(kind, "shown", name, **valid) for kind, (valid, _) in SPECS.items()),
        middleware("basic", name, basicAuth={"secret": "users"}),
        custom("ServersTransport", "trusting", name, rootCAs=[{"configMap": "ca"}]),
        route("granted", rule("Host(`granted`)", {**WEB, "namespace": other}), namespace=name),
        route("bad", rule("Host(`bad`)", {"name": "gone", "port": 80}), namespace=name),
    ]


def is_seen(tenant: Tenant, view: View, plural: str) -> bool:
    """Whether what this kind gives is in the view. Raises KeyError for a kind that nothing here misses."""
    if plural == "secrets":
        return not any(one.reason.startswith("Secret") for one in view.findings if one.name == "basic")
    if plural == "configmaps":
        return "ConfigMapNotFound" not in view.reasons("trusting")
    if plural == "referencegrants":
        return "CrossNamespaceNotAllowed" not in view.reasons("granted")
    if plural in ESSENTIAL:
        return not view.reasons("granted")
    if plural in ("ingresses", "ingressclasses"):
        return any("classed" in name for section, name in view.names if section == "routers")
    names = {name for section, name in view.names if section == SHOWN_AS[plural]}
    return any(name.startswith(f"{tenant.name}-shown") for name in names)


# What is read


READ: Final = [right for right in RIGHTS if right.verb in ("list", "watch")]


def needs_ingress(tenant: Tenant) -> tuple[list[Json], Json]:
    """An Ingress of a class of its own, and the provider for it."""
    named_class = f"class-{tenant.name}"
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "classed", "namespace": tenant.name},
        "spec": {"ingressClassName": named_class, "rules": [{"host": "i", "http": {"paths": [path]}}]},
    }
    ours = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": named_class},
        "spec": {"controller": "traefik.io/ingress-controller"},
    }
    annotations = {"traefik.ingress.kubernetes.io/router.middlewares": "gone@kubernetescrd"}
    metadata = {"name": "lost", "namespace": tenant.name, "annotations": annotations}
    lost = {**ingress, "metadata": metadata, "spec": {"rules": [{"host": "l", "http": {"paths": [path]}}]}}
    return [ours, ingress, lost], {"kubernetesIngress": {"ingressEndpoint": {"ip": "192.0.2.7"}}}


def prepared(
    server: ApiServer, folder: Path, paths: list[str], right: Right | None = None
) -> tuple[Tenant, dict[str, Any]]:
    """A tenant with all objects, and what its provider is started with."""
    tenant = Tenant(server, folder, paths, right)
    tenant.put_objects(objects(tenant))
    if INGRESS not in paths:
        return tenant, {}
    more, providers = needs_ingress(tenant)
    tenant.put_objects(more)
    return tenant, providers


def paths_for(right: Right) -> list[str]:
    return [CLUSTER, right.path] if right.path not in (CLUSTER, NAMESPACED) else [right.path]


@pytest.mark.parametrize("paths", [[CLUSTER], [NAMESPACED], [CLUSTER, INGRESS]], ids=str)
def test_with_all_rights_everything_is_seen(server: ApiServer, tmp_path: Path, paths: list[str]) -> None:
    tenant, providers = prepared(server, tmp_path, paths)
    with tenant.provider(**providers) as running:
        view = running.view(lambda view: True)
        assert view.forbidden() == set()
        plurals = {plural for right in RIGHTS if right.path in paths for plural in right.resources}
        assert {plural for plural in plurals if "/" not in plural and not is_seen(tenant, view, plural)} == set()
        running.says("nothing is reported to the cluster")
        assert tenant.conditions() == {}
        running.wait_for_sync()


@pytest.mark.parametrize("right", READ, ids=str)
def test_without_a_right_to_read_its_kinds_are_not_seen(server: ApiServer, tmp_path: Path, right: Right) -> None:
    tenant, providers = prepared(server, tmp_path, paths_for(right), right)
    kinds = {KIND_OF[plural].name for plural in right.resources}
    with tenant.provider(**providers) as running:
        if right.verb == "list" and right.resources[0] in ESSENTIAL:
            running.says(f"cannot read {right.resources[0]}", "nothing is published")
            assert not running.has_published()
            return
        view = running.view(lambda view: kinds <= view.forbidden())
        assert view.forbidden() == kinds
        assert all(is_seen(tenant, view, plural) == (right.verb == "watch") for plural in right.resources)
        if right.verb == "watch" or right.resources != ("referencegrants",):  # those nobody needs to have
            running.until(lambda: not running.is_synced, "it is not ready")


# What is written


ALL: Final = [CLUSTER, INGRESS, REPORTING]
WRITTEN: Final = [right for right in RIGHTS if right.verb not in ("list", "watch")]
SHOWN: Final = {f"{kind.name} shown" for kind in CUSTOM}


def addresses(tenant: Tenant) -> Any:
    return tenant.get(f"{KIND_OF['ingresses'].path(tenant.name)}/classed")["status"]["loadBalancer"].get("ingress")


def lacks_conditions(tenant: Tenant, running: Running, why: str) -> None:
    for kind in CUSTOM:
        running.says(why.format(kind=kind.name, namespace=tenant.name))
    assert tenant.conditions() == {}


def lacks_status(tenant: Tenant, running: Running, right: Right) -> None:
    if right.resources == ("ingresses",):
        running.says("the status of an Ingress is not written: cannot read")
        assert addresses(tenant) is None
    elif right.resources == ("ingresses/status",):
        running.says("the status of an Ingress is not written: cannot write")
        assert addresses(tenant) is None
    elif right.verb == "get":
        assert {KIND_OF[plural].name for plural in right.resources} == {kind.name for kind in CUSTOM}
        lacks_conditions(tenant, running, "cannot read {kind} {namespace}/")
    else:
        plurals = [plural.removesuffix("/status") for plural in right.resources]
        assert {KIND_OF[plural].name for plural in plurals} == {kind.name for kind in CUSTOM}
        lacks_conditions(tenant, running, "no status is written to {kind} objects")


def lacks_lease(tenant: Tenant, running: Running, right: Right) -> None:
    running.says("nothing is reported to the cluster", f"cannot {'read' if right.verb == 'get' else ''}")
    assert tenant.conditions() == {}
    assert tenant.events() == []
    assert not tenant.lease().get("spec", {}).get("holderIdentity")


def event_of(tenant: Tenant, name: str = "bad") -> Json | None:
    """What is said about a route that is not served."""
    return next((one for one in tenant.events() if one["involvedObject"]["name"] == name), None)


def aged(tenant: Tenant) -> str:
    """Make its Event an old one; the Event's path."""
    event = event_of(tenant)
    assert event is not None
    path = f"/api/v1/namespaces/{tenant.name}/events/{event['metadata']['name']}"
    long_ago = {"lastTimestamp": "2020-01-01T00:00:00Z"}
    assert tenant.server.request("PATCH", path, long_ago, content_type=MERGE)[0] == 200
    return path


def is_reported(tenant: Tenant) -> bool:
    conditions = tenant.conditions()
    served = {name for name, status in conditions.items() if status == "True"}
    return served >= SHOWN and conditions.get("IngressRoute bad") == "False" and event_of(tenant) is not None


def test_with_all_rights_everything_is_written(server: ApiServer, tmp_path: Path) -> None:
    tenant, providers = prepared(server, tmp_path, ALL)
    with tenant.provider(**providers) as running:
        running.until(lambda: is_reported(tenant) and addresses(tenant), "reports")
        assert addresses(tenant) == [{"ip": "192.0.2.7"}]
        assert tenant.lease()["spec"]["holderIdentity"]
        event = event_of(tenant)
        assert event is not None
        assert (event["reason"], event["count"]) == ("ServiceNotFound", 1)
        running.until(lambda: event_of(tenant, "lost"), "the Event of an Ingress")
        generations = {
            one["status"]["conditions"][0]["observedGeneration"]
            for kind in CUSTOM
            for one in tenant.get(kind.path(tenant.name))["items"]
        }
        assert generations == {1}, "a status is no new generation of its object"


@pytest.mark.parametrize("right", [one for one in WRITTEN if one.resources != ("events",)], ids=str)
def test_without_a_right_to_write_that_is_not_written(server: ApiServer, tmp_path: Path, right: Right) -> None:
    tenant, providers = prepared(server, tmp_path, ALL, right)
    if right.resources == ("leases",) and right.verb == "patch":
        lease = {"metadata": {"name": "pointsman"}, "spec": {"leaseDurationSeconds": 1}}
        tenant.create(tenant.lease_path.removesuffix("/pointsman"), lease)
    with tenant.provider(**providers) as running:
        lacks = {"leases": lacks_lease}.get(right.resources[0], lacks_status)
        lacks(tenant, running, right)
        if right.resources == ("ingresses/status",):
            running.until(lambda: is_reported(tenant), "all other reports")


@pytest.mark.parametrize("right", [one for one in WRITTEN if one.resources == ("events",)], ids=str)
def test_without_a_right_to_events_none_is_written_or_counted(
    server: ApiServer, tmp_path: Path, right: Right
) -> None:
    tenant, providers = prepared(server, tmp_path, ALL, right)
    with tenant.provider(**providers) as running:
        if right.verb == "create":
            running.says("no Events are written")
            running.until(lambda: tenant.conditions().keys() >= SHOWN, "conditions")
            assert tenant.events() == []
            return
        running.until(lambda: event_of(tenant), "an Event")
    path = aged(tenant)
    with tenant.provider(**providers) as running:
        running.says("no Events are written")
        assert tenant.get(path)["count"] == 1


def test_an_event_that_is_found_again_is_counted(server: ApiServer, tmp_path: Path) -> None:
    """With the rights whose lack the test above is about."""
    tenant, providers = prepared(server, tmp_path, ALL)
    with tenant.provider(**providers) as running:
        running.until(lambda: event_of(tenant), "an Event")
    path = aged(tenant)
    with tenant.provider(**providers) as running:
        running.until(lambda: tenant.get(path)["count"] == 2, "the Event is counted")


def test_no_other_file_grants_rights() -> None:
    found = {
        str(path.relative_to(KUBERNETES))
        for path in KUBERNETES.rglob("*.yaml")
        if "kind: Role" in path.read_text() or "kind: ClusterRole" in path.read_text()
    }
    found = {path for path in found if not path.endswith("kustomization.yaml") and roles_of(path)}
    assert found == set(MANIFESTS)


# Objects of all kinds


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.name)
def test_valid_objects_are_accepted_and_invalid_ones_are_not(server: ApiServer, kind: Any) -> None:
    valid, invalid = SPECS[kind.name]
    path = kind.path("default")
    strictly = f"{path}?fieldValidation=Strict"
    status, answer = server.request("POST", strictly, custom(kind.name, "wrong", **invalid))
    assert status in (400, 422), answer
    status, made = server.request("POST", strictly, custom(kind.name, "right", **valid))
    assert status == 201, made
    made["status"] = {"conditions": [CONDITION]}
    status, told = server.request("PUT", f"{path}/right", made)
    assert status == 200, told
    assert "status" not in told, "the status is a subresource"
    written = {"metadata": {"labels": {"a": "b"}}, "status": made["status"]}
    status, told = server.request("PATCH", f"{path}/right/status", written, content_type=MERGE)
    assert status == 200, told
    assert "labels" not in told["metadata"], "and nothing else is written with it"
    assert told["metadata"]["generation"] == 1
    assert told["status"]["conditions"] == [CONDITION]
    assert server.request("DELETE", f"{path}/right")[0] == 200
