"""What is accepted and changes nothing is said, with the field."""

from __future__ import annotations

from typing import Any

import pytest

from config.findings import Finding
from tests.provider.support import Json, route, rule, service
from tests.provider.translate.routes import built, custom, web

A = {"name": "web", "port": 80}
OWN = {"name": "mine", "kind": "TraefikService"}
MINE = custom("TraefikService", "mine", weighted={"services": [A]})
EXTERNAL = service("web", 80, type="ExternalName", externalName="a.example")


def findings(
    *objects: Json, reason: str = "OptionIgnored", besides: str = "", **options: Any
) -> list[tuple[str, str]]:
    """(severity, field) of those with the reason; of others only the one `besides` may be there."""
    found: list[Finding] = built(*objects, **options).findings
    assert {one.reason for one in found} <= {reason, besides}, found
    return [(one.severity, one.field) for one in found if one.reason == reason]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scheme", "http"),
        ("strategy", "wrr"),
        ("sticky", {"cookie": {}}),
        ("passHostHeader", False),
        ("passHostHeader", True),
        ("responseForwarding", {}),
        ("serversTransport", "t"),
        ("nativeLB", True),
        ("nodePortLB", True),
        ("middlewares", [{"name": "auth"}]),
        ("healthCheck", {}),
        ("passiveHealthCheck", {}),
    ],
)
def test_options_of_a_service_beside_a_traefik_service(name: str, value: Any) -> None:
    one = route("r", rule("Host(`a`)", OWN | {name: value}))
    assert findings(*web(), MINE, one) == [("warning", f"spec.routes[0].services[0].{name}")]


def test_what_composition_reads_is_not_reported() -> None:
    one = route("r", rule("Host(`a`)", OWN | {"weight": 2, "port": 80, "namespace": "default"}, A))
    assert findings(*web(), MINE, one) == []


def test_it_is_said_wherever_one_can_be_named() -> None:
    outer = custom("TraefikService", "outer", mirroring=OWN | {"sticky": {}, "mirrors": [OWN | {"scheme": "h2c"}]})
    assert findings(*web(), MINE, outer) == [
        ("warning", "spec.mirroring.sticky"),
        ("warning", "spec.mirroring.mirrors[0].scheme"),
    ]


def test_addressing_that_the_type_of_the_service_does_not_know() -> None:
    one = route("r", rule("Host(`a`)", A | {"nodePortLB": True}))
    assert findings(*web(), one) == [("warning", "spec.routes[0].services[0].nodePortLB")]
    both = route("r", rule("Host(`a`)", A | {"nodePortLB": True, "nativeLB": True}))
    assert findings(EXTERNAL, both, allow_external_name_services=True) == [
        ("warning", "spec.routes[0].services[0].nodePortLB"),
        ("warning", "spec.routes[0].services[0].nativeLB"),
    ]
    routes = [{"match": "HostSNI(`*`)", "services": [A | {"nodePortLB": True}]}]
    assert findings(*web(), custom("IngressRouteTCP", "t", routes=routes)) == [
        ("warning", "spec.routes[0].services[0].nodePortLB")
    ]


@pytest.mark.behaviour("PR-11")
def test_the_weight_of_an_only_service() -> None:
    one = route("r", rule("Host(`a`)", A | {"weight": 0}))
    assert findings(*web(), one) == [("warning", "spec.routes[0].services[0].weight")]
    assert findings(*web(), route("r", rule("Host(`a`)", A | {"weight": 3}))) == []
    assert len(built(*web(), one).configuration.http.routers) == 1, "it serves all the same"


def test_a_store_and_a_secret_that_are_never_looked_at() -> None:
    assert findings(*web(), route("r", rule("Host(`a`)", A), tls={"store": {"name": "default"}})) == [
        ("warning", "spec.tls.store")
    ]
    tls = {"passthrough": True, "secretName": "absent"}
    routes = [{"match": "HostSNI(`a`)", "services": [A]}]
    assert findings(*web(), custom("IngressRouteTCP", "t", routes=routes, tls=tls)) == [
        ("warning", "spec.tls.secretName")
    ]


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (route("r", rule("Host(`a`)", A), tls={"certResolver": "le"}), "spec.tls.certResolver"),
        (
            custom(
                "IngressRouteTCP",
                "t",
                routes=[{"match": "HostSNI(`a`)", "services": [A]}],
                tls={"certResolver": "le"},
            ),
            "spec.tls.certResolver",
        ),
        (
            custom("TLSStore", "default", defaultGeneratedCert={"resolver": "le", "domain": {"main": "a"}}),
            "spec.defaultGeneratedCert",
        ),
    ],
)
def test_nobody_orders_certificates(one: Json, field: str) -> None:
    assert findings(*web(), one, reason="CertResolverNotServed") == [("warning", field)]


@pytest.mark.behaviour("PR-53")
def test_a_child_leaves_to_its_parents_what_is_theirs() -> None:
    parent = route("parent", {"match": "Host(`a`)"})
    quiet = rule("Path(`/a`)", A)
    child = route("child", quiet, parentRefs=[{"name": "parent"}])
    assert findings(*web(), parent, child, reason="ChildOverrides") == []
    loud = rule("Path(`/b`)", A, observability={"accessLogs": False})
    child = route("child", quiet, loud, parentRefs=[{"name": "parent"}], entryPoints=["web"], tls={})
    assert findings(*web(), parent, child, reason="ChildOverrides", besides="NoUsableChild") == [
        ("error", "spec.entryPoints"),
        ("error", "spec.tls"),
        ("error", "spec.routes[1].observability"),
    ]
    assert len(built(*web(), parent, child).configuration.http.routers) == 1, "with tls it is taken out"
    child["spec"].pop("tls")
    assert len(built(*web(), parent, child).configuration.http.routers) == 3, "shown as disabled by the workers"


@pytest.mark.behaviour("PR-54")
def test_services_of_a_parent_get_nothing() -> None:
    parent = route("parent", {"match": "Host(`z`)"}, rule("Host(`a`)", A))
    child = route("child", rule("Path(`/a`)", A), parentRefs=[{"name": "parent"}])
    assert findings(*web(), parent, child, reason="ParentHasService") == [
        ("warning", "spec.parentRefs[0].name"),
        ("error", "spec.routes[1].services"),
    ]
    parent = route("parent", rule("Host(`a`)", A))
    assert findings(*web(), parent) == [], "without a child it is an ordinary route"
