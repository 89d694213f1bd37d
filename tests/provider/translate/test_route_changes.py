"""TCP and UDP routes and TraefikServices: step by step equals from scratch, and a change costs what it touches."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from provider.options import TranslationOptions
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate.builder import Builder, build
from tests.provider.support import Json, endpoints, service
from tests.provider.translate.routes import custom, web

SERVICE_NAMES = st.sampled_from(["web", "two", "absent"])
REFERENCES = st.fixed_dictionaries(
    {"name": SERVICE_NAMES, "port": st.sampled_from([80, 81])},
    optional={"nativeLB": st.booleans(), "weight": st.sampled_from([0, 3]), "namespace": st.just("b")},
)
COMPOSED = st.fixed_dictionaries({"name": st.sampled_from(["x", "y", "z"]), "kind": st.just("TraefikService")})
CHILDREN = st.one_of(REFERENCES, COMPOSED, COMPOSED)
TCP_ROUTES = st.fixed_dictionaries(
    {
        "match": st.sampled_from(["HostSNI(`*`)", "HostSNI(`*`)", "HostSNI(`a`)", "Host(`a`)", ""]),
        "services": st.lists(REFERENCES, max_size=3),
    },
    optional={"middlewares": st.just([{"name": "m", "namespace": "b"}])},
)
UDP_ROUTES = st.fixed_dictionaries({"services": st.lists(REFERENCES, max_size=3)})
SPECS: dict[str, st.SearchStrategy[Json]] = {
    "IngressRouteTCP": st.fixed_dictionaries(
        {"routes": st.lists(TCP_ROUTES, max_size=3)},
        optional={
            "tls": st.sampled_from([{}, {"passthrough": True}]),
            "ingressClassName": st.sampled_from(["traefik", "other"]),
        },
    ),
    "IngressRouteUDP": st.fixed_dictionaries({"routes": st.lists(UDP_ROUTES, max_size=3)}),
    "TraefikService": st.one_of(
        st.fixed_dictionaries({"weighted": st.fixed_dictionaries({"services": st.lists(CHILDREN, max_size=2)})}),
        st.fixed_dictionaries({"highestRandomWeight": st.fixed_dictionaries({"services": st.lists(COMPOSED)})}),
        st.fixed_dictionaries({"mirroring": COMPOSED}),
        st.fixed_dictionaries({"failover": st.fixed_dictionaries({"service": CHILDREN, "fallback": COMPOSED})}),
        st.just({}),
    ),
}


@st.composite
def objects(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from([*SPECS, "TraefikService", "Service", "EndpointSlice"]))
    if kind == "Service":
        return service(draw(SERVICE_NAMES), clusterIP=draw(st.sampled_from(["10.0.0.1", "None"])))
    if kind == "EndpointSlice":
        return endpoints(
            draw(SERVICE_NAMES), *draw(st.lists(st.sampled_from(["10.1.0.1", "10.1.0.2"]), max_size=2))
        )
    return custom(kind, draw(st.sampled_from(["x", "y", "z"])), **draw(SPECS[kind]))


STEPS = st.tuples(st.sampled_from(["put", "put", "put", "remove"]), objects())


def perform(store: Store, step: str, plain: Json) -> None:
    kind = KINDS[plain["kind"]]
    resource = from_plain(kind, plain)
    if step == "put":
        store.insert(kind, resource)
    else:
        store.remove(key_of(kind, resource))


@given(st.booleans(), st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=2, max_size=12))
@settings(max_examples=150)
def test_step_by_step_equals_from_scratch(allow_empty: bool, batches: list[list[Any]]) -> None:
    options = TranslationOptions(allow_empty_services=allow_empty)
    store, builder = Store(), Builder(options)
    for plain in web():
        perform(store, "put", plain)
    for batch in batches:
        for step, plain in batch:
            perform(store, step, plain)
        builder.update(store, store.take_changed())
        assert builder.result(store) == build(store, options)


def test_a_cycle_is_no_longer_reported_once_it_is_opened_anywhere() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    for name, child in (("a", "b"), ("b", "c"), ("c", "a")):
        references = [{"name": child, "kind": "TraefikService"}]
        perform(store, "put", custom("TraefikService", name, weighted={"services": references}))
    builder.update(store, store.take_changed())
    assert [finding.name for finding in builder.result(store).findings] == ["a", "b", "c"]
    perform(store, "put", custom("TraefikService", "c", weighted={"services": []}))
    changes = builder.update(store, store.take_changed())
    assert builder.result(store).findings == []
    assert changes.services == {"default-c"}


def test_scaling_touches_the_services_that_have_the_endpoints() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    to_web = [{"name": "web", "port": 80}]
    routes = custom("IngressRouteTCP", "t", routes=[{"match": "HostSNI(`*`)", "services": to_web}])
    datagrams = custom("IngressRouteUDP", "u", routes=[{"services": to_web}])
    for plain in (*web(), *web("two"), routes, datagrams):
        perform(store, "put", plain)
    builder.update(store, store.take_changed())
    perform(store, "put", endpoints("two", "10.1.0.9"))
    assert builder.update(store, store.take_changed()).names == {}
    perform(store, "put", endpoints("web", "10.1.0.9"))
    names = builder.update(store, store.take_changed()).names
    assert {section for section, changed in names.items() if changed} == {"tcp.services", "udp.services"}
    store.remove(ObjectKey("IngressRouteUDP", "default", "u"))
    assert builder.update(store, store.take_changed()).names["udp.routers"] == {"default-u-0"}
