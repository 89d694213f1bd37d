"""ReferenceGrants: exactly what is granted, to exactly those who are named, for as long as the grant is there."""

from __future__ import annotations

from typing import Any

import pytest

from provider.options import TranslationOptions
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS, REFERENCE_GRANT, ObjectKey
from provider.store import Store, all_of
from provider.translate.builder import Builder, BuildResult, build
from tests.provider.golden import store_of
from tests.provider.support import Json, endpoints, service
from tests.provider.translate.routes import custom

GUEST, HOST = "guest", "host"
TRAEFIK = "traefik.io"


def grant(kind: str, to: Json, name: str = "g", *, namespace: str = HOST, guest: str = GUEST) -> Json:
    """What lives in `namespace` may be referred to by objects of `kind` in namespace `guest`."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"from": [{"group": TRAEFIK, "kind": kind, "namespace": guest}], "to": [to]},
    }


def to(kind: str, name: str = "") -> Json:
    group = "" if kind == "Service" else TRAEFIK
    return {"group": group, "kind": kind, **({"name": name} if name else {})}


def guest_route(*services: Json, match: str = "Host(`a`)", tls: Json | None = None, **more: Any) -> Json:
    spec: Json = {"routes": [{"match": match, "services": list(services), **more}]}
    return custom("IngressRoute", "r", GUEST, **spec, **({"tls": tls} if tls else {}))


THERE = {"name": "web", "namespace": HOST, "port": 80}
HERE = {"name": "own", "port": 80}
SERVICES = [
    service("web", namespace=HOST),
    endpoints("web", "10.1.0.1", namespace=HOST),
    service("own", namespace=GUEST),
    endpoints("own", "10.2.0.1", namespace=GUEST),
]
OF_HOST = {"name": "x", "namespace": HOST}
HOSTS_OBJECTS = [
    custom("Middleware", "x", HOST, stripPrefix={"prefixes": ["/x"]}),
    custom("MiddlewareTCP", "x", HOST, ipAllowList={"sourceRange": ["10.0.0.0/8"]}),
    custom("TLSOption", "x", HOST),
    custom("ServersTransport", "x", HOST),
    custom("TraefikService", "x", HOST, weighted={"services": [{"name": "web", "port": 80}]}),
    custom("IngressRoute", "x", HOST, routes=[{"match": "Host(`p`)"}]),
    custom(
        "IngressRoute",
        "y",
        HOST,
        parentRefs=[{"name": "x"}],
        routes=[{"match": "Path(`/`)", "services": [{"name": "web", "port": 80}]}],
    ),
]


def guest_tcp(*services: Json, tls: Json | None = None, **more: Any) -> Json:
    spec: Json = {"routes": [{"match": "HostSNI(`*`)", "services": list(services), **more}]}
    return custom("IngressRouteTCP", "r", GUEST, **spec, **({"tls": tls} if tls else {}))


REFERENCES: dict[str, tuple[Json, Json]] = {
    "route to Service": (guest_route(THERE), to("Service", "web")),
    "route to TraefikService": (
        guest_route({**OF_HOST, "kind": "TraefikService"}),
        to("TraefikService", "x"),
    ),
    "route to Middleware": (guest_route(HERE, middlewares=[OF_HOST]), to("Middleware", "x")),
    "route to TLSOption": (guest_route(HERE, tls={"options": OF_HOST}), to("TLSOption", "x")),
    "route to parent": (
        custom(
            "IngressRoute", "r", GUEST, parentRefs=[OF_HOST], routes=[{"match": "Host(`a`)", "services": [HERE]}]
        ),
        to("IngressRoute", "x"),
    ),
    "service to Middleware": (guest_route({**HERE, "middlewares": [OF_HOST]}), to("Middleware", "x")),
    "chain to Middleware": (
        custom("Middleware", "r", GUEST, chain={"middlewares": [OF_HOST]}),
        to("Middleware", "x"),
    ),
    "errors to Service": (
        custom("Middleware", "r", GUEST, errors={"status": ["500"], "service": THERE}),
        to("Service", "web"),
    ),
    "TraefikService to Service": (
        custom("TraefikService", "r", GUEST, weighted={"services": [THERE]}),
        to("Service", "web"),
    ),
    "TraefikService to TraefikService": (
        custom("TraefikService", "r", GUEST, mirroring={**OF_HOST, "kind": "TraefikService"}),
        to("TraefikService", "x"),
    ),
    "TCP route to MiddlewareTCP": (guest_tcp(HERE, middlewares=[OF_HOST]), to("MiddlewareTCP", "x")),
    "TCP route to TLSOption": (guest_tcp(HERE, tls={"options": OF_HOST}), to("TLSOption", "x")),
    "TCP route to Service": (guest_tcp(THERE), to("Service", "web")),
    "UDP route to Service": (
        custom("IngressRouteUDP", "r", GUEST, routes=[{"services": [THERE]}]),
        to("Service", "web"),
    ),
}


def built(*objects: Json, **options: Any) -> BuildResult:
    return build(store_of([*SERVICES, *HOSTS_OBJECTS, *objects]), TranslationOptions(**options))


def refused(result: BuildResult) -> bool:
    reasons = {finding.reason for finding in result.findings if finding.namespace == GUEST}
    return "CrossNamespaceNotAllowed" in reasons


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_grant_opens_one_reference_and_no_other(reference: str) -> None:
    referrer, target = REFERENCES[reference]
    kind, group = referrer["kind"], target["group"]
    allowed = built(referrer, grant(kind, target))
    assert not [one for one in allowed.findings if one.severity == "error"]
    assert allowed.configuration == built(referrer, allow_cross_namespace=True).configuration
    assert not refused(built(referrer, grant(kind, to(target["kind"]))))
    others = [
        grant("TLSStore", target),
        grant(kind, to(target["kind"], "another")),
        grant(kind, {**target, "group": "other.example"}),
        grant(kind, {**target, "kind": "ConfigMap"}),
        grant(kind, target, guest="somebody"),
        grant(kind, target, namespace=GUEST),
        {
            **grant(kind, target),
            "spec": {"from": [{"group": group, "kind": "", "namespace": GUEST}], "to": [target]},
        },
    ]
    for other in others:
        assert refused(built(referrer, other)), other["spec"]


@pytest.mark.parametrize("reference", REFERENCES)
def test_the_finding_tells_the_grant_that_is_missing(reference: str) -> None:
    referrer, target = REFERENCES[reference]
    (finding,) = [one for one in built(referrer).findings if one.reason == "CrossNamespaceNotAllowed"]
    group = target["group"] or '""'
    assert f"create a ReferenceGrant in namespace {HOST}" in finding.advice
    assert f"from {{group: traefik.io, kind: {referrer['kind']}, namespace: {GUEST}}}" in finding.advice
    assert f"to {{group: {group}, kind: {target['kind']}, name: {target['name']}}}" in finding.advice


def test_a_granted_service_brings_neither_its_middlewares_nor_its_transports() -> None:
    """What is looked for in the Service's namespace is written in ours, and needs grants of its own."""
    service_grant = grant("IngressRoute", to("Service", "web"))
    with_middleware = guest_route({**THERE, "middlewares": [{"name": "x"}]})
    with_transport = guest_route({**THERE, "serversTransport": "x"})
    assert refused(built(with_middleware, service_grant))
    assert refused(built(with_transport, service_grant))
    middleware_grant = grant("IngressRoute", to("Middleware"), "m")
    transport_grant = grant("IngressRoute", to("ServersTransport"), "t")
    assert not refused(built(with_middleware, service_grant, middleware_grant))
    assert not refused(built(with_transport, service_grant, transport_grant))


def test_a_granted_service_does_not_lend_its_right_to_other_providers() -> None:
    written = guest_route({**THERE, "middlewares": [{"name": "auth@file"}]})
    service_grant = grant("IngressRoute", to("Service", "web"))
    host_may = frozenset({HOST})
    result = built(written, service_grant, cross_provider_namespaces=host_may)
    assert [one.reason for one in result.findings] == ["CrossProviderNotAllowed"]
    both_may = frozenset({HOST, GUEST})
    assert built(written, service_grant, cross_provider_namespaces=both_may).findings == []


def test_no_grant_reaches_secrets_or_the_provider_suffix() -> None:
    everything = [grant("Middleware", to("Secret"), "s"), grant("IngressRoute", to("Middleware"), "m")]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "users", "namespace": HOST},
        "stringData": {"users": "a:b"},
    }
    auth = custom("Middleware", "r", GUEST, basicAuth={"secret": "users"})
    assert [one.reason for one in built(auth, secret, *everything).findings] == ["SecretNotFound"]
    suffixed = guest_route(HERE, middlewares=[{"name": "host-x@kubernetescrd"}])
    assert refused(built(suffixed, *everything))


def test_options_of_a_guest_never_replace_those_of_the_service_owner() -> None:
    """Children of weighted services are named after their Service, whoever refers to it."""
    ours = custom("TraefikService", "mix", HOST, weighted={"services": [{"name": "web", "port": 80}]})
    theirs = custom("TraefikService", "r", GUEST, weighted={"services": [{**THERE, "scheme": "h2c"}]})
    alone = built(ours).configuration.http.services["host-web-80"]
    result = built(ours, theirs, grant("TraefikService", to("Service", "web")))
    assert result.configuration.http.services["host-web-80"] == alone
    assert "guest-r" not in result.configuration.http.services
    assert [(one.namespace, one.reason) for one in result.findings] == [(GUEST, "NameCollision")]
    same = custom("TraefikService", "r", GUEST, weighted={"services": [THERE]})
    agreeing = built(ours, same, grant("TraefikService", to("Service", "web")))
    assert agreeing.findings == []
    assert "guest-r" in agreeing.configuration.http.services


def put(store: Store, *objects: Json) -> None:
    for plain in objects:
        kind = KINDS[plain["kind"]]
        store.insert(kind, from_plain(kind, plain))


def test_a_grant_that_comes_or_goes_touches_those_who_asked_for_it() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    bystander = custom("IngressRoute", "r", "third", routes=[{"match": "Host(`b`)", "services": [HERE]}])
    put(store, *SERVICES, guest_route(THERE), bystander)
    builder.update(store, store.take_changed())
    assert builder.readers.of(all_of("ReferenceGrant", HOST)) == {ObjectKey("IngressRoute", GUEST, "r")}
    assert not builder.readers.is_read(all_of("ReferenceGrant", GUEST))
    put(store, grant("IngressRoute", to("Service", "web")))
    assert len(builder.update(store, store.take_changed()).routers) == 1
    put(store, grant("IngressRoute", to("Service", "other")))
    assert len(builder.update(store, store.take_changed()).routers) == 1
    assert list(builder.routers) == []
    put(store, grant("IngressRoute", to("Service", "web")))
    builder.update(store, store.take_changed())
    store.remove(ObjectKey("ReferenceGrant", HOST, "g"))
    assert len(builder.update(store, store.take_changed()).routers) == 1
    assert list(builder.routers) == []


def test_nobody_asks_for_grants_where_all_is_allowed_or_nothing_is_foreign() -> None:
    for route, options in (
        (guest_route(THERE), TranslationOptions(allow_cross_namespace=True)),
        (guest_route(HERE), TranslationOptions()),
    ):
        store, builder = Store(), Builder(options)
        put(store, *SERVICES, route)
        builder.update(store, store.take_changed())
        assert "ReferenceGrant" not in builder.readers.kinds


def test_a_reference_waits_for_the_grants_to_be_listed() -> None:
    store, builder = Store(), Builder(TranslationOptions())
    store.expect(REFERENCE_GRANT)
    put(store, *SERVICES, guest_route(THERE))
    builder.update(store, store.take_changed())
    assert builder.pending
    assert builder.findings == {}
    put(store, grant("IngressRoute", to("Service", "web")))
    store.arrived(REFERENCE_GRANT, "")
    builder.update(store, store.take_changed())
    assert builder.pending == {}
    assert builder.findings == {}
    assert len(builder.routers) == 1
