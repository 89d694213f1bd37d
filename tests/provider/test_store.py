"""Which changes matter, layers of sources, malformed objects."""

from __future__ import annotations

import msgspec

from provider.resources.core import Metadata, Secret, Unread
from provider.resources.decode import Malformed, decode, from_plain
from provider.resources.kinds import ENDPOINT_SLICE, INGRESS_ROUTE, KINDS, NODE, SECRET, SERVICE, ObjectKey
from provider.store import ALL_NODES, MANIFESTS, Store, all_of, endpoints_of, presence_of
from tests.provider.support import Json, endpoints, route, rule, secret, service


def put(store: Store, plain: Json, source: str = "cluster") -> bool:
    kind = KINDS[plain["kind"]]
    return store.insert(kind, from_plain(kind, plain), source)


def test_only_what_is_read_counts_as_a_change() -> None:
    store = Store()
    assert put(store, service("s"))
    labelled = service("s")
    labelled["metadata"] |= {"labels": {"app": "x"}, "resourceVersion": "77", "managedFields": [{}]}
    labelled["status"] = {"loadBalancer": {}}
    assert not put(store, labelled)
    assert put(store, service("s", 81))


def test_a_slice_is_reported_under_its_service() -> None:
    store = Store()
    put(store, endpoints("s-1", "10.0.0.1", of="s"))
    assert store.take_changed() == {endpoints_of("default", "s")}
    renamed = endpoints("s-1", "10.0.0.1", of="s")
    renamed["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": "now"}
    assert not put(store, renamed)
    put(store, endpoints("s-1", "10.0.0.1", of="t"))
    assert store.take_changed() == {endpoints_of("default", name) for name in ("s", "t")}
    assert store.slices("default", "s") == []
    assert len(store.slices("default", "t")) == 1
    assert store.remove(ObjectKey("EndpointSlice", "default", "s-1"))
    assert store.slices("default", "t") == []


def test_a_slice_without_a_service_matters_to_nobody() -> None:
    store = Store()
    loose = endpoints("loose", "10.0.0.1")
    del loose["metadata"]["labels"]
    assert not put(store, loose)
    assert store.take_changed() == set()


def test_slices_are_ordered_by_age_then_name() -> None:
    store = Store()
    for name, age in (("b", "2026-01-02T00:00:00Z"), ("a", "2026-01-02T00:00:00Z"), ("z", "2026-01-01T00:00:00Z")):
        piece = endpoints(name, "10.0.0.1", of="s")
        piece["metadata"]["creationTimestamp"] = age
        put(store, piece)
    assert [piece.metadata.name for piece in store.slices("default", "s")] == ["z", "a", "b"]


def test_nodes_share_one_key() -> None:
    store = Store()
    store.insert(NODE, from_plain(NODE, {"metadata": {"name": "n"}}))
    assert store.take_changed() == {ALL_NODES}
    assert [node.metadata.name for node in store.nodes()] == ["n"]


def test_the_cluster_wins_over_manifests() -> None:
    store = Store()
    key = ObjectKey("Service", "default", "s")
    put(store, service("s", 1), MANIFESTS)
    assert put(store, service("s", 2))
    assert [finding.reason for finding in store.findings()] == ["Shadowed"]
    assert not put(store, service("s", 3), MANIFESTS)
    found = store.service("default", "s")
    assert found is not None
    assert found.spec.ports is not None
    assert found.spec.ports[0].port == 2
    assert store.remove(key)
    found = store.service("default", "s")
    assert found is not None
    assert found.spec.ports is not None
    assert found.spec.ports[0].port == 3
    assert store.findings() == []


def test_replace_removes_what_is_gone_from_its_namespace_only() -> None:
    store = Store()
    for namespace in ("a", "b"):
        for name in ("x", "y"):
            put(store, service(name, namespace=namespace))
    store.take_changed()
    assert store.replace(SERVICE, "a", [from_plain(SERVICE, service("x", namespace="a"))])
    assert store.take_changed() == {ObjectKey("Service", "a", "y")}
    assert store.replace(SERVICE, "", [])
    assert list(store.keys("Service")) == []
    assert not store.replace(SERVICE, "", [])


def broken(name: str) -> Malformed:
    data = msgspec.json.encode(route(name, rule("Host(`a`)", priority="high")))
    try:
        decode(INGRESS_ROUTE, data)
    except Malformed as malformed:
        return malformed
    raise AssertionError


def test_a_malformed_object_is_absent_and_explained() -> None:
    store = Store()
    put(store, route("r", rule("Host(`a`)")))
    assert store.reject(broken("r"))
    assert store.get("IngressRoute", "default", "r") is None
    (finding,) = store.findings()
    assert finding.reason == "Malformed"
    assert finding.field == "spec.routes[0].priority"
    assert put(store, route("r", rule("Host(`a`)")))
    assert store.findings() == []


def test_a_malformed_object_is_forgotten_when_it_goes() -> None:
    store = Store()
    store.reject(broken("r"))
    assert not store.remove(ObjectKey("IngressRoute", "default", "r"))
    assert store.findings() == []
    store.replace(INGRESS_ROUTE, "", [broken("r"), broken("s")])
    assert len(store.findings()) == 2
    store.replace(INGRESS_ROUTE, "", [broken("s")])
    assert [finding.name for finding in store.findings()] == ["s"]


def test_null_counts_as_left_out() -> None:
    data = (
        b'{"metadata": {"name": "r", "namespace": "n"}, "spec": {"routes": [{"match": null, "services": null}]}}'
    )
    decoded = decode(INGRESS_ROUTE, data)
    assert decoded.spec.routes[0].services == []
    piece = decode(
        ENDPOINT_SLICE, b'{"metadata": {"name": "e", "labels": null}, "ports": null, "endpoints": null}'
    )
    assert piece.service_name == ""


def test_coming_and_going_of_custom_resources_is_reported_for_their_kind() -> None:
    store = Store()
    one = ObjectKey("IngressRoute", "default", "r")
    about_it = {one, all_of("IngressRoute"), all_of("IngressRoute", "default"), presence_of(*one)}
    put(store, route("r", rule("Host(`a`)")))
    assert store.take_changed() == about_it
    put(store, route("r", rule("Host(`b`)")))
    assert store.take_changed() == {one}
    store.remove(one)
    assert store.take_changed() == about_it


SECRET_KEY = ObjectKey("Secret", "default", "s")


def test_stripped_objects_exist_without_content() -> None:
    store = Store()
    put(store, secret("s", a="b"))
    store.take_changed()
    assert not store.is_unread(SECRET_KEY)
    store.strip([SECRET_KEY, ObjectKey("Secret", "default", "absent")])
    assert store.is_unread(SECRET_KEY)
    assert isinstance(store.get(*SECRET_KEY), Unread)
    assert store.get("Secret", "default", "absent") is None
    assert put(store, secret("s", a="b")), "its return matters, though the store has had it before"
    assert not store.insert(SECRET, from_plain(SECRET, secret("s", a="b")))


def test_a_malformed_object_that_nobody_reads_is_forgotten_but_exists() -> None:
    store = Store()
    broken = secret("s")
    broken["data"] = {"a": "not base64!"}
    store.insert_json(SECRET, msgspec.json.encode(broken))
    assert [finding.reason for finding in store.findings()] == ["Malformed"]
    store.strip([SECRET_KEY])
    assert store.findings() == []
    assert store.is_unread(SECRET_KEY)


def test_manifests_are_never_stripped() -> None:
    store = Store()
    put(store, secret("s", a="b"), MANIFESTS)
    store.strip([SECRET_KEY])
    assert isinstance(store.get(*SECRET_KEY), Secret)


def test_what_is_awaited_ends_with_the_list() -> None:
    store = Store()
    for namespace in ("a", "b"):
        store.expect(SECRET, namespace)
    assert store.is_awaited(ObjectKey("Secret", "a", "s"))
    assert not store.is_awaited(ObjectKey("Secret", "c", "s"))
    store.arrived(SECRET, "a")
    assert store.take_changed() == {all_of("Secret")}
    assert not store.is_awaited(ObjectKey("Secret", "a", "s"))
    assert store.is_awaited(ObjectKey("Secret", "b", "s"))
    store.arrived(SECRET, "a")
    assert store.take_changed() == set()


def test_a_secret_does_not_show_its_content() -> None:
    store = Store()
    put(store, secret("s", password="hidden"))
    unread = Unread(metadata=Metadata(namespace="default", name="s"))
    assert repr(store.get(*SECRET_KEY)) == "<Secret default/s: password>"
    assert "hidden" not in repr(store) + repr(unread)
