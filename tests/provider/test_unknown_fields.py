"""Misspelled names in manifests: every kind, at any depth, none of those that the definitions know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.manifest_objects import Gathering, Scope
from provider.resources.kinds import KINDS, SERVICE
from provider.resources.unknown import LARGEST_COUNT, unknown_fields
from tests.provider.support import Json, route, rule, service
from tests.provider.translate.routes import custom

SHAPES = Path(__file__).parent.parent / "differential" / "shapes.yaml"
CUSTOM = [kind for kind in KINDS.values() if kind.is_custom]


def told(*objects: Json) -> list[tuple[str, str, str]]:
    scope = Scope()
    gathering = Gathering(scope.selector, scope.watches)
    for one in objects:
        gathering.add("a.yaml", one)
    return [(one.reason, one.field, one.advice) for one in gathering.result().findings]


def test_a_typing_error_that_would_leave_a_route_unprotected() -> None:
    one = route("r", rule("Host(`a`)", {"name": "a", "port": 80}, middleware=[{"name": "auth"}]))
    assert told(one) == [("UnknownField", "spec.routes[0].middleware", "did you mean middlewares?")]


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (route("r", rule("Host(`a`)", {"name": "a", "prot": 80})), "spec.routes[0].services[0].prot"),
        (custom("IngressRouteTCP", "t", tls={"passThrough": True}), "spec.tls.passThrough"),
        (custom("IngressRouteUDP", "u", entrypoints=["udp"]), "spec.entrypoints"),
        (custom("TraefikService", "s", weighted={"service": []}), "spec.weighted.service"),
        (custom("TLSOption", "o", clientAuth={"secretName": "a"}), "spec.clientAuth.secretName"),
        (custom("TLSStore", "default", defaultCertificate={"secret": "a"}), "spec.defaultCertificate.secret"),
        (custom("ServersTransport", "t", insecureSkipverify=True), "spec.insecureSkipverify"),
        (custom("ServersTransportTCP", "t", serverName="a"), "spec.serverName"),
        ({**custom("TLSOption", "o"), "specs": {}}, "specs"),
    ],
)
def test_every_kind_is_looked_at(one: Json, field: str) -> None:
    assert [field for _, field, _ in told(one)] == [field]


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: str(kind.name))
def test_nothing_that_the_original_knows_is_unknown(kind: Any) -> None:
    specs = yaml.safe_load(SHAPES.read_text()).get(kind.name, {})
    for name, spec in specs.items():
        assert unknown_fields(kind, custom(kind.name, name, **spec)) == []


def test_what_is_free_to_hold_anything_is_not_looked_into() -> None:
    assert unknown_fields(SERVICE, service("a")) == []
    labelled = route("r")
    labelled["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    labelled["status"] = {"anything": 1}
    check = {"headers": {"x-any": "y"}}
    labelled["spec"]["routes"] = [rule("Host(`a`)", {"name": "a", "port": 80, "healthCheck": check})]
    assert told(labelled) == []


def test_an_object_full_of_them_is_told_in_part() -> None:
    kind = KINDS["TLSOption"]
    assert (
        len(unknown_fields(kind, {**custom("TLSOption", "o"), **dict.fromkeys(map(str, range(100)))}))
        == LARGEST_COUNT
    )
