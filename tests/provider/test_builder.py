"""Step by step equals from scratch, and a change costs what it touches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.names import http_router_name
from provider.options import TranslationOptions
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS, SECRET, ObjectKey
from provider.sections import Sections
from provider.store import CLUSTER, SOURCES, Store
from provider.translate.builder import Builder, build
from provider.translate.contested import Contested, Owner
from tests.provider.support import Json, endpoints, middleware, route, rule, secret, service

# Few names, so that objects meet: `a/b-x` and `a-b/x` even write the same keys.
ROUTE_PLACES = st.sampled_from([("a", "b-x"), ("a-b", "x"), ("a", "x")])
SERVICE_PLACES = st.sampled_from([("a", "x"), ("a", "y"), ("a-b", "x")])
OPTIONS = st.builds(
    TranslationOptions,
    allow_empty_services=st.booleans(),
    allow_cross_namespace=st.booleans(),
    allow_external_name_services=st.just(True),
    native_lb_by_default=st.just(False),
    ingress_class=st.sampled_from(["", "", "own"]),
    namespaces=st.sampled_from([frozenset(), frozenset(), frozenset({"a"})]),
    cross_provider_namespaces=st.sampled_from([None, None, frozenset({"a"})]),
    safe_naming=st.booleans(),
)
REFERENCES = st.sampled_from(
    [
        {"name": "x", "port": 80},
        {"name": "y", "port": "web"},
        {"name": "y", "port": 80, "weight": 2, "scheme": "h2c"},
        {"name": "x", "port": 80, "nodePortLB": True},
        {"name": "x", "port": 80, "namespace": "a-b", "nativeLB": True},
        {"name": "api@internal", "kind": "TraefikService"},
        {"name": "ping@internal", "kind": "TraefikService"},
        {"name": "x", "kind": "TraefikService"},
        {"name": "absent", "port": 80},
    ]
)
ROUTES = st.fixed_dictionaries(
    {
        "match": st.sampled_from(["Host(`a`)", "Host(`a`)", "Host(`b`)", ""]),
        "services": st.lists(REFERENCES, max_size=2),
    },
    optional={"middlewares": st.just([{"name": "m", "namespace": "a-b"}])},
)
SPECS = st.fixed_dictionaries(
    {"routes": st.lists(ROUTES, min_size=1, max_size=2)},
    optional={
        "parentRefs": st.sampled_from([[{"name": "x"}], [{"name": "b-x", "namespace": "a"}]]),
        "ingressClassName": st.sampled_from(["own", "other"]),
    },
)
SERVICES = st.fixed_dictionaries(
    {
        "ports": st.just([{"name": "web", "port": 80, "nodePort": 30080}]),
        "type": st.sampled_from(["ClusterIP", "NodePort", "NodePort", "ExternalName"]),
        "clusterIP": st.sampled_from(["10.0.0.1", "None"]),
        "externalName": st.just("example.org"),
    }
)
ADDRESSES = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=2)


@st.composite
def objects(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from(["IngressRoute", "IngressRoute", "Service", "EndpointSlice", "Node"]))
    if kind == "Node":
        addresses = [{"type": "InternalIP", "address": draw(st.sampled_from(["192.0.2.1", "192.0.2.2"]))}]
        return {"kind": kind, "metadata": {"name": "n"}, "status": {"addresses": addresses}}
    namespace, name = draw(ROUTE_PLACES if kind == "IngressRoute" else SERVICE_PLACES)
    if kind == "IngressRoute":
        return route(name, namespace=namespace, **draw(SPECS))
    if kind == "Service":
        return service(name, namespace=namespace, **draw(SERVICES))
    made = endpoints(name, *draw(ADDRESSES), namespace=namespace, of=draw(st.sampled_from(["x", "y"])))
    made["ports"][0]["name"] = "web"
    return made


STEPS = st.tuples(st.sampled_from(["put", "put", "put", "remove", "replace"]), st.sampled_from(SOURCES), objects())


def in_the_beginning(namespace: str, name: str) -> list[Json]:
    """A Service that works, with a route to it."""
    piece = endpoints(name, "10.0.0.3", namespace=namespace)
    piece["ports"][0]["name"] = "web"
    return [
        service(
            name, namespace=namespace, type="NodePort", ports=[{"name": "web", "port": 80, "nodePort": 30080}]
        ),
        piece,
        route(f"to-{name}", rule("Host(`c`)", {"name": name, "port": "web"}), namespace=namespace),
    ]


FIRST = [*in_the_beginning("a", "x"), *in_the_beginning("a", "y"), *in_the_beginning("a-b", "x")]


def perform(store: Store, step: str, source: str, plain: Json) -> None:
    kind = KINDS[plain["kind"]]
    resource = from_plain(kind, plain)
    key = key_of(kind, resource)
    if step == "put":
        store.insert(kind, resource, source)
    elif step == "remove":
        store.remove(key, source)
    else:
        store.replace(kind, key.namespace, [resource], source)


@given(OPTIONS, st.lists(st.lists(STEPS, min_size=1, max_size=2), min_size=2, max_size=15))
@settings(max_examples=250)
def test_step_by_step_equals_from_scratch(options: TranslationOptions, batches: list[list[Any]]) -> None:
    store, builder, sections = Store(), Builder(options), Sections()
    for plain in FIRST:
        put(store, plain)
    for batch in batches:
        for step, source, plain in batch:
            perform(store, step, source, plain)
        sections.update(builder, builder.update(store, store.take_changed()))
        sections.update_findings(builder.result(store).findings)
        assert builder.result(store) == build(store, options)
    assert sections.encoded == _encoded(store, options)


def _encoded(store: Store, options: TranslationOptions) -> dict[Any, Any]:
    builder, sections = Builder(options), Sections()
    sections.update(builder, builder.build_all(store))
    sections.update_findings(builder.result(store).findings)
    return sections.encoded


def filled(count: int = 20) -> tuple[Store, Builder]:
    store, builder = Store(), Builder(TranslationOptions())
    for number in range(count):
        put(store, service(f"s{number}"))
        put(store, endpoints(f"s{number}", "10.0.0.1"))
        put(store, route(f"r{number}", rule(f"Host(`h{number}`)", {"name": f"s{number}", "port": 80})))
    builder.update(store, store.take_changed())
    return store, builder


def put(store: Store, plain: Json) -> bool:
    kind = KINDS[plain["kind"]]
    return store.insert(kind, from_plain(kind, plain), CLUSTER)


def name_of(number: int, rule_text: str = "") -> str:
    return http_router_name("default", f"r{number}", rule_text or f"Host(`h{number}`)")


def test_a_scaled_deployment_touches_one_service() -> None:
    store, builder = filled()
    put(store, endpoints("s7", "10.0.0.1", "10.0.0.2"))
    changes = builder.update(store, store.take_changed())
    assert changes.routers == set()
    assert changes.services == {name_of(7)}


@pytest.mark.behaviour("PR-5")
def test_services_do_not_rename_a_router_its_rule_does() -> None:
    store, builder = filled()
    put(store, route("r3", rule("Host(`h3`)", {"name": "s4", "port": 80})))
    changes = builder.update(store, store.take_changed())
    assert changes.routers == set()
    assert changes.services == {name_of(3)}  # equal endpoints, but it says whose
    put(store, route("r3", rule("Host(`new`)", {"name": "s4", "port": 80})))
    changes = builder.update(store, store.take_changed())
    assert changes.routers == {name_of(3), name_of(3, "Host(`new`)")}


def test_a_service_that_appears_brings_its_routes() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    put(store, route("r1", rule("Host(`h1`)", {"name": "late", "port": 80})))
    builder.update(store, store.take_changed())
    assert len(builder.routers) == 0
    assert [one.reason for one in builder.result(store).findings] == ["ServiceNotFound"]
    put(store, service("late"))
    put(store, endpoints("late-x", "10.0.0.1", of="late"))
    changes = builder.update(store, store.take_changed())
    assert changes.routers == {name_of(1)}
    assert builder.result(store).findings == []


def test_nodes_are_wanted_once_a_route_has_asked() -> None:
    store, builder = filled(1)
    wanted = ["Node" in builder.readers.kinds]
    put(store, service("np", type="NodePort"))
    put(store, route("np", rule("Host(`n`)", {"name": "np", "port": 80, "nodePortLB": True})))
    builder.update(store, store.take_changed())
    wanted.append("Node" in builder.readers.kinds)
    store.remove(ObjectKey("IngressRoute", "default", "np"))
    builder.update(store, store.take_changed())
    wanted.append("Node" in builder.readers.kinds)
    assert wanted == [False, True, True]


def auth(secret_name: str) -> Json:
    return middleware("auth", basicAuth={"secret": secret_name})


def users(builder: Builder) -> list[str]:
    (found,) = builder.sections["http.middlewares"].values()
    assert found.basic_auth is not None
    return list(found.basic_auth.users)


def test_a_translation_that_waits_keeps_its_former_result() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    put(store, secret("a", users="a:x"))
    put(store, secret("b", users="b:x"))
    put(store, auth("a"))
    builder.update(store, store.take_changed())
    store.strip([ObjectKey("Secret", "default", "b")])
    put(store, auth("b"))
    changes = builder.update(store, store.take_changed())
    assert changes.names == {}
    assert users(builder) == ["a:x"]
    key, wanted = ObjectKey("Middleware", "default", "auth"), ObjectKey("Secret", "default", "b")
    assert builder.pending == {key: {wanted}}
    assert builder.readers.is_read(wanted)
    assert builder.readers.take_released() == [ObjectKey("Secret", "default", "a")]
    put(store, secret("b", users="b:x"))
    builder.update(store, store.take_changed())
    assert users(builder) == ["b:x"]
    assert builder.pending == {}


def test_a_waiting_object_may_go() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    store.expect(SECRET)
    put(store, auth("a"))
    builder.update(store, store.take_changed())
    assert builder.pending
    store.remove(ObjectKey("Middleware", "default", "auth"))
    builder.update(store, store.take_changed())
    assert builder.pending == {}
    assert not builder.readers.is_read(ObjectKey("Secret", "default", "a"))


def test_the_list_of_an_awaited_kind_ends_the_waiting() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    store.expect(SECRET)
    put(store, auth("a"))
    builder.update(store, store.take_changed())
    assert "Secret" in builder.readers.kinds
    assert builder.result(store).findings == []
    store.arrived(SECRET, "")
    builder.update(store, store.take_changed())
    assert builder.pending == {}
    assert len(builder.result(store).findings) == 1


def test_the_first_who_names_a_certificate_decides_where_it_goes() -> None:
    names: Contested[str] = Contested(first_wins=True)
    names.replace(Owner(1, "a", "route"), {}, {"ns/s": "default store"})
    names.replace(Owner(0, "a", "store"), {}, {"ns/s": "its own store"})
    assert names["ns/s"] == "its own store"


def test_contested_names_go_to_the_greatest_owner() -> None:
    names: Contested[str] = Contested()
    first, second = Owner(0, "a", "x"), Owner(0, "a", "y")
    assert names.replace(second, {}, {"n": "two"}) == {"n"}
    assert names.replace(first, {}, {"n": "one"}) == {"n"}
    assert names["n"] == "two"
    names.replace(second, {"n": "two"}, {})
    assert names["n"] == "one"
    names.replace(first, {"n": "one"}, {})
    assert len(names) == 0
    assert "n" not in names
