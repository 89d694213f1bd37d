"""What falls with what, step by step and over both providers: the same as from scratch, whatever came before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.control_page import ControlPage
from config.static import StaticConfiguration
from config.static_load import from_mapping
from provider.environment import Environment, internal_names
from provider.pipelines import Pipelines
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS
from provider.sources import translation_options
from provider.store import Store
from tests.provider.support import Json, endpoints, middleware, route, rule, service
from tests.provider.translate.routes import custom
from workers.internal import InternalServices, internal_middlewares, noop

STATIC = from_mapping(
    {
        "entryPoints": {
            "web": {"address": "127.0.0.1:0", "http": {"middlewares": ["default-a@kubernetescrd"]}},
            "plain": {"address": "127.0.0.1:0"},
        },
        "providers": {"kubernetesCRD": {}, "kubernetesIngress": {}},
    }
)
A: Json = {"name": "web", "port": 80}
NAMES = st.sampled_from(["a", "b", "c"])
WRITTEN = st.sampled_from(
    ["a", "b", "default-a@kubernetescrd", "default-b@kubernetescrd", "default-web-80@kubernetes", "a@file"]
)
MIDDLEWARES = st.one_of(
    st.sampled_from([{"addPrefix": {"prefix": "/a"}}, {"addPrefix": {}}]),
    st.lists(WRITTEN, max_size=2).map(lambda names: {"chain": {"middlewares": [{"name": one} for one in names]}}),
)
SERVICES = st.one_of(
    st.just(A),
    st.sampled_from(["t", "t@kubernetes"]).map(lambda name: {**A, "serversTransport": name}),
    WRITTEN.map(lambda name: {"kind": "TraefikService", "name": name}),
)
ENTRY_POINTS = st.sampled_from([[], ["web"], ["plain"], ["nope"], ["plain", "nope"]])


@st.composite
def routes(draw: st.DrawFn) -> Json:
    parents = draw(st.one_of(st.just([]), st.lists(NAMES.map(lambda name: {"name": name}), max_size=1)))
    services = draw(st.lists(SERVICES, max_size=2))
    used = [{"name": name} for name in draw(st.lists(WRITTEN, max_size=1))]
    spec: Json = {"parentRefs": parents} if parents else {"entryPoints": draw(ENTRY_POINTS)}
    if not parents and draw(st.booleans()):
        spec["tls"] = draw(st.sampled_from([{}, {"options": {"name": "o"}}]))
    return route(draw(NAMES), rule("Host(`a`)", *services, middlewares=used), **spec)


def ingress(name: str, middlewares: str, entry_points: str) -> Json:
    prefix = "traefik.ingress.kubernetes.io/router."
    annotations = {f"{prefix}middlewares": middlewares, f"{prefix}entrypoints": entry_points}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    metadata = {"name": name, "namespace": "default", "annotations": annotations}
    return {"kind": "Ingress", "metadata": metadata, "spec": {"rules": [{"host": "i", "http": {"paths": [path]}}]}}


BROKEN_OPTION: Json = {"clientAuth": {"clientAuthType": "RequireAndVerifyClientCert"}}
OBJECTS = st.one_of(
    routes(),
    st.builds(lambda name, spec: middleware(name, **spec), NAMES, MIDDLEWARES),
    st.builds(lambda name, spec: custom("TraefikService", name, weighted={"services": [spec]}), NAMES, SERVICES),
    st.builds(ingress, NAMES, WRITTEN, st.sampled_from(["", "plain", "nope"])),
    st.builds(
        lambda name, spec: custom("TLSOption", name, **spec),
        st.sampled_from(["o", "default"]),
        st.sampled_from([{}, BROKEN_OPTION]),
    ),
    st.builds(lambda spec: custom("ServersTransport", "t", **spec), st.sampled_from([{}, {"spiffe": {}}])),
)
STEPS = st.tuples(st.sampled_from(["put", "put", "put", "remove"]), OBJECTS)


def pipelines() -> Pipelines:
    return Pipelines(translation_options(STATIC, Environment.of(STATIC)))


def store_with_web() -> Store:
    store = Store()
    for plain in (service("web"), endpoints("web", "10.0.0.1")):
        store.insert(KINDS[plain["kind"]], from_plain(KINDS[plain["kind"]], plain))
    return store


@given(st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=2, max_size=12))
@settings(max_examples=300, deadline=None)
def test_step_by_step_is_from_scratch(batches: list[list[tuple[str, Json]]]) -> None:
    store, stepwise = store_with_web(), pipelines()
    for batch in batches:
        for step, plain in batch:
            kind = KINDS[plain["kind"]]
            resource = from_plain(kind, plain)
            if step == "put":
                store.insert(kind, resource)
            else:
                store.remove(key_of(kind, resource))
        before = stepwise.findings()
        has_changed = stepwise.update(store, store.take_changed())
        assert has_changed or before == stepwise.findings(), "what is said changes and nobody is told"
        fresh = pipelines()
        fresh.update(store, {key for kind in KINDS for key in store.keys(kind)})
        assert stepwise.findings() == fresh.findings()


@given(st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_nothing_is_remembered_of_what_is_gone(batches: list[list[tuple[str, Json]]]) -> None:
    store, stepwise = store_with_web(), pipelines()
    keys = set()
    for batch in batches:
        for _, plain in batch:
            kind = KINDS[plain["kind"]]
            store.insert(kind, from_plain(kind, plain))
            keys.add(key_of(kind, from_plain(kind, plain)))
        stepwise.update(store, store.take_changed())
    for key in keys:
        store.remove(key)
    stepwise.update(store, store.take_changed())
    assert stepwise.findings() == []
    for builder in stepwise.builders:
        for part in (builder._usability, builder._families):
            held = {name: value for name, value in vars(part).items() if name not in ("_environment", "_sections")}
            assert not any(held.values()), held


def internal(**more: Any) -> StaticConfiguration:
    return from_mapping({"entryPoints": {"web": {"address": "127.0.0.1:0"}}, **more})


@pytest.mark.parametrize(
    "static",
    [
        internal(),
        internal(ping={}),
        internal(api={"insecure": True}),
        internal(metrics={"prometheus": {}}),
        internal(
            entryPoints={
                "web": {
                    "address": "127.0.0.1:0",
                    "http": {"redirections": {"entryPoint": {"to": "websecure"}}},
                },
                "websecure": {"address": "127.0.0.1:0"},
            }
        ),
    ],
)
def test_names_of_our_own_are_those_of_the_workers(static: StaticConfiguration) -> None:
    page = ControlPage.create()
    try:
        prometheus = noop if static.metrics is not None and static.metrics.prometheus is not None else None
        services = InternalServices(static, page, noop, prometheus).names()
    finally:
        page.close()
    found = internal_names(static)
    assert {name for section, name in found if section == "http.services"} == set(services)
    assert {name for section, name in found if section == "http.middlewares"} == set(internal_middlewares(static))
    rest = {one for one in found if one[0] not in ("http.services", "http.middlewares")}
    assert rest == {("http.serversTransports", "default@internal"), ("tcp.serversTransports", "default@internal")}
