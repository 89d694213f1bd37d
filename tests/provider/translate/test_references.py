"""Middlewares that are named and not there: reported where they are named, and what that costs."""

from __future__ import annotations

import pytest

from provider.options import TranslationOptions
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate.builder import Builder
from provider.translate.references import LARGEST_CHOICE
from tests.provider.support import Json, middleware, route, rule
from tests.provider.translate.routes import built, custom, web

WEB = {"name": "web", "port": 80}


def named(*names: str) -> list[Json]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("object_", "field"),
    [
        (route("r", rule("Host(`a`)", WEB, middlewares=named("auht"))), "spec.routes[0].middlewares[0].name"),
        (
            route("r", rule("Host(`a`)", {**WEB, "middlewares": named("auht")})),
            "spec.routes[0].services[0].middlewares[0].name",
        ),
        (custom("Middleware", "r", chain={"middlewares": named("auht")}), "spec.chain.middlewares[0].name"),
        (
            custom("TraefikService", "r", weighted={"services": [{**WEB, "middlewares": named("auht")}]}),
            "spec.weighted.services[0].middlewares[0].name",
        ),
    ],
    ids=["route", "service", "chain", "TraefikService"],
)
def test_a_missing_middleware_is_reported_where_it_is_named(object_: Json, field: str) -> None:
    result = built(*web(), middleware("auth", stripPrefix={}), object_)
    (finding,) = result.findings
    assert (finding.reason, finding.severity, finding.field) == ("MiddlewareNotFound", "error", field)
    assert finding.advice == "did you mean auth?"
    assert result.configuration.http.routers or object_["kind"] != "IngressRoute"


def test_a_tcp_route_needs_a_tcp_middleware() -> None:
    given = {"match": "HostSNI(`*`)", "services": [WEB], "middlewares": named("m")}
    result = built(*web(), middleware("m", stripPrefix={}), custom("IngressRouteTCP", "r", routes=[given]))
    (finding,) = result.findings
    assert finding.message.startswith("MiddlewareTCP default/m does not exist")
    assert finding.advice == "create it or correct the name"


def put(store: Store, *objects: Json) -> None:
    for plain in objects:
        kind = KINDS[plain["kind"]]
        store.insert(kind, from_plain(kind, plain))


def test_it_heals_live_and_a_change_of_the_middleware_is_no_matter() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    put(store, *web(), route("r", rule("Host(`a`)", WEB, middlewares=named("m"))))
    builder.update(store, store.take_changed())
    assert [one.reason for one in builder.result(store).findings] == ["MiddlewareNotFound"]
    put(store, middleware("m", addPrefix={"prefix": "/a"}))
    builder.update(store, store.take_changed())
    assert builder.result(store).findings == []
    put(store, middleware("m", addPrefix={"prefix": "/b"}))
    key = ObjectKey("Middleware", "default", "m")
    assert key in store.take_changed()
    assert not builder.readers.of(key), "ten thousand routes may share one middleware"
    store.remove(key)
    changes = builder.update(store, store.take_changed())
    assert changes.findings == {ObjectKey("IngressRoute", "default", "r")}


def test_no_name_is_suggested_out_of_very_many() -> None:
    many = [middleware(f"auth{number}", stripPrefix={}) for number in range(LARGEST_CHOICE + 1)]
    wanting = route("r", rule("Host(`a`)", WEB, middlewares=named("auth")))
    assert built(*web(), wanting, *many).findings[0].advice == "create it or correct the name"
    assert built(*web(), wanting, *many[1:]).findings[0].advice.startswith("did you mean auth")


def test_names_of_a_namespace_that_granted_one_are_not_told() -> None:
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "g", "namespace": "host"},
        "spec": {
            "from": [{"group": "traefik.io", "kind": "IngressRoute", "namespace": "default"}],
            "to": [{"group": "traefik.io", "kind": "Middleware", "name": "auht"}],
        },
    }
    wanting = route("r", rule("Host(`a`)", WEB, middlewares=[{"name": "auht", "namespace": "host"}]))
    result = built(*web(), wanting, grant, middleware("auth", "host", stripPrefix={}))
    assert [one.advice for one in result.findings] == ["create it or correct the name"]
