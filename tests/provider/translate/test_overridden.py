"""Whose options count where two places name one Service and port, and who is told so."""

from __future__ import annotations

from typing import Any

import pytest

from config.dynamic import objects_in
from config.findings import Finding
from provider.options import TranslationOptions
from provider.translate.builder import Builder, BuildResult
from tests.provider.golden import store_of
from tests.provider.support import Json, middleware, route, rule
from tests.provider.test_builder import put
from tests.provider.translate.routes import built, custom, web

TRANSPORTS = [custom("ServersTransport", "mutual"), custom("ServersTransport", "plain")]
GROUND = [*web(), *web("other"), *TRANSPORTS]
OTHER: Json = {"name": "other", "port": 80}


def child(**options: Any) -> Json:
    return {"name": "web", "port": 80, **options}


def told(result: BuildResult) -> list[tuple[str, str, str]]:
    return [(one.name, one.field, one.message) for one in _of(result)]


def _of(result: BuildResult) -> list[Finding]:
    assert all(one.severity == "warning" for one in result.findings if one.reason == "Overridden")
    return [one for one in result.findings if one.reason == "Overridden"]


def transport(result: BuildResult, section: str = "http.services", name: str = "default-web-80") -> str:
    service: Any = objects_in(result.configuration, section)[name]
    used: str = service.load_balancer.servers_transport
    return used


A = route("a", rule("Host(`a`)", child(serversTransport="mutual", scheme="https"), OTHER))
B = route("b", rule("Host(`b`)", OTHER, child(serversTransport="plain")))


@pytest.mark.parametrize("order", [(A, B), (B, A)])
def test_the_last_object_by_name_counts_and_the_other_is_told(order: tuple[Json, Json]) -> None:
    result = built(*GROUND, *order)
    assert transport(result) == "default-plain"
    message = (
        "servers, serversTransport: what is written here has no effect, for IngressRoute default/b says otherwise "
        "of the same Service and port, and both make one service, default-web-80"
    )
    assert told(result) == [("a", "spec.routes[0].services[0]", message)]
    assert "safeNaming" in _of(result)[0].advice


def test_a_composed_service_counts_before_routes() -> None:
    composed = custom("TraefikService", "a", weighted={"services": [child(passHostHeader=False)]})
    result = built(*GROUND, A, composed)
    assert [(name, field) for name, field, _ in told(result)] == [("a", "spec.routes[0].services[0]")]
    assert "TraefikService default/a" in told(result)[0][2]


def test_the_last_place_in_an_object_counts() -> None:
    both = route(
        "a",
        rule("Host(`a`)", child(serversTransport="mutual"), OTHER),
        rule("Host(`b`)", child(serversTransport="plain"), OTHER),
    )
    result = built(*GROUND, both)
    assert transport(result) == "default-plain"
    assert [(name, field) for name, field, _ in told(result)] == [("a", "spec.routes[0].services[0]")]
    assert "spec.routes[1].services[0]" in told(result)[0][2]


def test_of_tcp_the_last_place_in_a_route_counts() -> None:
    transports = [custom("ServersTransportTCP", "mutual"), custom("ServersTransportTCP", "plain")]
    services = [child(serversTransport="mutual"), child(serversTransport="plain")]
    tcp = custom("IngressRouteTCP", "a", routes=[{"match": "HostSNI(`*`)", "services": services}])
    result = built(*GROUND, *transports, tcp)
    (name,) = (name for name in objects_in(result.configuration, "tcp.services") if "web-80" in name)
    assert transport(result, "tcp.services", name) == "default-plain"
    assert [field for _, field, _ in told(result)] == ["spec.routes[0].services[0]"]


@pytest.mark.parametrize(
    "objects",
    [
        [A, route("b", rule("Host(`b`)", child(serversTransport="mutual", scheme="https"), OTHER))],
        [A, route("b", rule("Host(`b`)", child(serversTransport="plain")))],
        [A, route("b", rule("Host(`b`)", child(scheme="nonsense"), OTHER))],
    ],
    ids=["says the same", "is the only service of its route", "is no service"],
)
def test_nobody_is_told_of(objects: list[Json]) -> None:
    result = built(*GROUND, *objects)
    assert not told(result)
    assert transport(result) == "default-mutual"


def test_safe_names_are_nobody_elses() -> None:
    assert not told(built(*GROUND, A, B, safe_naming=True))


def test_other_objects_of_one_name() -> None:
    first, second = (middleware(name, addPrefix={"prefix": f"/{name}"}) for name in ("x-y", "x.y"))
    result = built(first, second)
    assert [(name, field) for name, field, _ in told(result)] == [("x-y", "metadata.name")]
    assert "Middleware default/x.y" in told(result)[0][2]


def test_it_follows_changes() -> None:
    store, builder = store_of([*GROUND, A, B]), Builder(TranslationOptions())
    builder.build_all(store)
    store.take_changed()
    seen = [len(told(builder.result(store)))]
    moved = route("a", rule("Host(`a`)", OTHER, child(serversTransport="mutual", scheme="https")))
    same = route("b", rule("Host(`b`)", OTHER, child(serversTransport="mutual", scheme="https")))
    for changed in (moved, same, B):
        put(store, changed)
        changes = builder.update(store, store.take_changed())
        assert any(key.name == "a" for key in changes.findings)
        seen.append(len(told(builder.result(store))))
    assert seen == [1, 1, 0, 1]
    assert told(builder.result(store))[0][1] == "spec.routes[0].services[1]"
