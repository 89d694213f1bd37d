"""TraefikService: which type counts, what is lost with what, what is reported of what the workers will refuse."""

from __future__ import annotations

from typing import Any

import pytest

from config.http import FailoverErrors, Sticky
from tests.provider.support import Json, route, rule, service
from tests.provider.translate.routes import built, custom, names, reasons, web

WEB = {"name": "web", "port": 80}
TWO = {"name": "two", "port": 80}


def one(name: str = "one", **spec: Any) -> Json:
    return custom("TraefikService", name, **spec)


def composed(name: str, **fields: Any) -> Json:
    return {"name": name, "kind": "TraefikService", **fields}


def test_weights_and_stickiness() -> None:
    source = one(weighted={"services": [WEB | {"weight": 0}, TWO], "sticky": {"cookie": {"name": "c"}}})
    weighted = built(*web(), *web("two"), source).configuration.http.services["default-one"].weighted
    assert weighted is not None
    assert [(entry.name, entry.weight) for entry in weighted.services] == [
        ("default-web-80", 0),
        ("default-two-80", 1),
    ]
    assert isinstance(weighted.sticky, Sticky)
    assert weighted.sticky.cookie is not None
    assert weighted.sticky.cookie.path == "/"


@pytest.mark.behaviour("PR-49")
def test_the_first_type_counts() -> None:
    source = one(
        mirroring=WEB, highestRandomWeight={"services": [TWO]}, failover={"service": WEB, "fallback": WEB}
    )
    result = built(*web(), *web("two"), source)
    assert result.configuration.http.services["default-one"].mirroring is not None
    assert names(result, "http.services") == ["default-one", "default-web-80"]
    assert reasons(result) == ["TypeIgnored", "TypeIgnored"]


@pytest.mark.parametrize(
    "spec",
    [
        {"weighted": {"services": [WEB, {"name": "absent", "port": 80}]}},
        {"highestRandomWeight": {"services": [WEB, {"name": "absent", "port": 80}]}},
        {"mirroring": {**WEB, "mirrors": [{"name": "absent", "port": 80, "percent": 1}]}},
        {"failover": {"service": WEB, "fallback": {"name": "absent", "port": 80}, "errors": {"status": ["500"]}}},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_one_failing_child_takes_the_whole(spec: Json) -> None:
    result = built(*web(), one(**spec))
    built_before = [] if "failover" in spec else ["default-web-80"]
    assert names(result, "http.services") == built_before
    assert reasons(result) == ["ServiceNotFound"]
    assert result.findings[0].field.startswith(f"spec.{next(iter(spec))}.")


def test_no_type() -> None:
    result = built(one())
    assert names(result, "http.services") == []
    assert reasons(result) == ["TypeMissing"]


@pytest.mark.parametrize(
    ("percent", "expected"), [(-1, ["InvalidPercent"]), (0, []), (100, []), (101, ["InvalidPercent"])]
)
def test_percentages(percent: int, expected: list[str]) -> None:
    result = built(*web(), one(mirroring={**WEB, "mirrors": [{**WEB, "percent": percent}]}))
    assert reasons(result) == expected
    assert "default-one" in result.configuration.http.services


@pytest.mark.behaviour("PR-40")
def test_children_keep_their_pods() -> None:
    result = built(*web(), one(weighted={"services": [WEB]}), native_lb_by_default=True)
    balancer = result.configuration.http.services["default-web-80"].load_balancer
    assert balancer is not None
    assert [server.url for server in balancer.servers] == ["http://10.1.0.1:8080"]


@pytest.mark.behaviour("PR-50")
def test_failover_needs_a_reason() -> None:
    health = {"name": "far", "port": 80, "healthCheck": {"path": "/"}}
    far = service("far", type="ExternalName", externalName="far.example")
    for main, errors, expected in (
        (WEB, {"status": ["500"]}, []),
        (WEB, {}, ["FailoverWithoutReason"]),
        (WEB, None, ["FailoverWithoutReason"]),
        (health, {}, []),
        (composed("s@file"), {}, []),
        (composed("other"), {}, ["FailoverWithoutReason"]),
    ):
        source = one(failover={"service": main, "fallback": WEB, "errors": errors})
        other = one("other", weighted={"services": [WEB]})
        result = built(*web(), far, source, other, allow_external_name_services=True)
        assert reasons(result) == expected, (main, errors)
        failover = result.configuration.http.services["default-one"].failover
        assert failover is not None
        assert failover.errors == FailoverErrors(status=["500"] if errors and "status" in errors else [])


def test_statuses_are_codes_or_ranges() -> None:
    errors = {"status": ["500", "500-599", "5xx", "500,501"]}
    result = built(*web(), one(failover={"service": WEB, "fallback": WEB, "errors": errors}))
    assert [finding.field for finding in result.findings] == [
        "spec.failover.errors.status[2]",
        "spec.failover.errors.status[3]",
    ]
    assert "default-one" in result.configuration.http.services


def test_a_child_with_the_same_name() -> None:
    result = built(*web(), one("web-80", weighted={"services": [WEB]}))
    assert names(result, "http.services") == ["default-web-80"]
    assert result.configuration.http.services["default-web-80"].weighted is not None
    assert reasons(result) == ["NameTaken"]


def test_a_missing_traefik_service_is_reported_until_it_is_there() -> None:
    user = route("r", rule("Host(`a`)", composed("one")))
    assert reasons(built(user)) == ["TraefikServiceNotFound"]
    assert reasons(built(user, *web(), one(weighted={"services": [WEB]}))) == []
    foreign = route("r", rule("Host(`a`)", composed("s@file")))
    assert reasons(built(foreign)) == []


@pytest.mark.behaviour("PR-13")
def test_a_shared_child_is_as_the_last_builder_wants_it() -> None:
    user = route("r", rule("Host(`a`)", WEB | {"scheme": "https"}, TWO))
    result = built(*web(), *web("two"), user, one(weighted={"services": [WEB]}))
    balancer = result.configuration.http.services["default-web-80"].load_balancer
    assert balancer is not None
    assert [server.url for server in balancer.servers] == ["http://10.1.0.1:8080"]
