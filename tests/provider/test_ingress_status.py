"""Which addresses Ingresses should show, for each of the ways to say so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.static_load import from_mapping
from provider.ingress_status import AddressesUnknown, IngressStatus, is_same
from provider.options import TranslationOptions
from provider.resources.core import LoadBalancerAddress
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS, NODE, ObjectKey
from provider.store import Store
from tests.provider.support import Json, service
from tests.provider.translate.test_ingress_changes import annotated, catch_all, ingress, ingress_class

ONE = ObjectKey("Ingress", "default", "one")


def status_for(**settings: Any) -> IngressStatus:
    parsed = from_mapping({"providers": {"kubernetesIngress": settings}}).providers.kubernetes_ingress
    assert parsed is not None
    return IngressStatus(parsed, TranslationOptions.of_ingress(parsed))


def published(name: str = "front", **settings: Any) -> IngressStatus:
    return status_for(ingressEndpoint={"publishedService": f"edge/{name}"}, **settings)


def stored(*objects: Json) -> Store:
    store = Store()
    for plain in objects:
        kind = KINDS[plain["kind"]]
        store.insert(kind, from_plain(kind, plain))
    return store


def front(type_: str, **more: Any) -> Json:
    plain = service("front", namespace="edge", type=type_, **more)
    return {**plain, "status": more.pop("status", {})}


def node(name: str, *addresses: tuple[str, str]) -> Json:
    listed = [{"type": type_, "address": address} for type_, address in addresses]
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"addresses": listed}}


def shown(status: IngressStatus, store: Store) -> list[Json] | None:
    """What is to be written to the Ingress `one`, as it goes over the wire; None if nothing is."""
    found = status.look(store)
    assert found is not None
    return msgspec.to_builtins(found[ONE]) if ONE in found else None


def test_without_options_nothing_is_written() -> None:
    assert not status_for().is_wanted
    assert status_for(ingressEndpoint={"ip": "192.0.2.1"}).is_wanted
    assert status_for(reportNodeInternalIPs=True).is_wanted


def test_address_and_name_of_the_options_make_one_entry() -> None:
    status = status_for(ingressEndpoint={"ip": "192.0.2.1", "hostname": "edge.example"})
    assert shown(status, stored(ingress("one"))) == [{"ip": "192.0.2.1", "hostname": "edge.example"}]


def test_only_ingresses_that_are_served_are_written_to() -> None:
    status = status_for(ingressEndpoint={"ip": "192.0.2.1"})
    current = {**ingress("current"), "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    store = stored(
        ingress("one"),
        ingress("theirs", ingressClassName="nginx"),
        ingress_class("nginx", "k8s.io/ingress-nginx"),
        ingress("ours", ingressClassName="edge"),
        ingress_class("edge"),
        catch_all("default"),
        annotated(ingress("broken"), router__foo="x"),
        current,
    )
    stale = status.look(store)
    assert stale is not None
    assert {key.name for key in stale} == {"one", "ours", "default", "broken"}


def test_a_look_costs_nothing_until_something_changes() -> None:
    status = published()
    store = stored(ingress("one"), front("ExternalName", externalName="a.example"))
    assert shown(status, store) == [{"hostname": "a.example"}]
    assert status.look(store) is None
    status.note([ObjectKey("Service", "default", "other"), ObjectKey("IngressRoute", "default", "x")])
    assert status.look(store) is None
    status.note([ObjectKey("Service", "edge", "front")])
    assert shown(status, store) == [{"hostname": "a.example"}]
    status.note([ObjectKey("Ingress", "default", "one")])
    assert status.look(store)


def test_a_load_balancer_is_copied() -> None:
    plain = service("front", namespace="edge", type="LoadBalancer")
    store = stored(ingress("one"), plain)
    assert shown(published(), store) is None
    addresses = [
        {"ip": "192.0.2.1", "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]},
        {"hostname": "b"},
    ]
    plain["status"] = {"loadBalancer": {"ingress": addresses}}
    assert shown(published(), stored(ingress("one"), plain)) == [
        {"ip": "192.0.2.1", "ports": [{"port": 80, "protocol": "TCP"}]},
        {"hostname": "b"},
    ]


def test_a_cluster_ip_service_gives_its_external_addresses() -> None:
    store = stored(ingress("one"), front("ClusterIP", externalIPs=["192.0.2.1", "192.0.2.2"]))
    ports = [{"port": 80, "protocol": "TCP"}]
    assert shown(published(), store) == [{"ip": "192.0.2.1", "ports": ports}, {"ip": "192.0.2.2", "ports": ports}]
    had = {**ingress("one"), "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}
    assert shown(published(), stored(had, front("ClusterIP"))) == []


def test_a_node_port_service_gives_the_external_addresses_of_all_nodes() -> None:
    plain = front("NodePort")
    plain["spec"]["ports"][0]["nodePort"] = 30080
    status, store = published(), stored(ingress("one"), plain)
    store.expect(NODE)
    assert shown(status, store) is None
    assert status.kinds == {"Node"}
    store.arrived(NODE, "")
    for plain in (node("b", ("ExternalIP", "192.0.2.2")), node("a", ("InternalIP", "10.0.0.1"))):
        store.insert(NODE, from_plain(NODE, plain))
    status.note(store.take_changed())
    assert shown(status, store) == [{"ip": "192.0.2.2", "ports": [{"port": 30080, "protocol": "TCP"}]}]


def test_internal_addresses_of_all_nodes() -> None:
    store = stored(ingress("one"), node("b", ("InternalIP", "10.0.0.2")), node("a", ("InternalIP", "10.0.0.1")))
    assert shown(status_for(reportNodeInternalIPs=True), store) == [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ingressEndpoint": {}}, "is empty"),
        ({"ingressEndpoint": {"publishedService": "front"}}, "must be written namespace/name"),
        ({"ingressEndpoint": {"publishedService": "a/b/c"}}, "must be written namespace/name"),
        ({"ingressEndpoint": {"publishedService": "edge/none"}}, "there is no Service edge/none"),
        ({"ingressEndpoint": {"publishedService": "edge/front"}, "namespaces": ["default"]}, "watched namespaces"),
        (
            {"ingressEndpoint": {"publishedService": "edge/front"}, "disableClusterScopeResources": True},
            "nodes lookup is disabled",
        ),
    ],
)
def test_options_that_lead_nowhere(settings: Json, message: str) -> None:
    with pytest.raises(AddressesUnknown, match=message):
        status_for(**settings).look(stored(ingress("one"), front("NodePort")))


def test_the_same_places() -> None:
    one, two = LoadBalancerAddress(ip="192.0.2.1"), LoadBalancerAddress(hostname="a.example")
    assert is_same([one, two], [two, one])
    assert not is_same([one], [one, two])
    assert not is_same([one], [two])
    assert is_same([], [])
