"""`check` and `explain` with `safeNaming`, and of a copy that gives way: every route finds its router."""

from __future__ import annotations

import json
from pathlib import Path

from tests.master.inspecting import A, nowhere, pointsman, write
from tests.provider.support import Json, endpoints, route, rule, service
from tests.provider.translate.routes import custom

__all__ = ["nowhere"]

SAFE = "--providers.kubernetesCRD.safeNaming=true"
FLAGS = (SAFE, "--entryPoints.tcp.address=:9000", "--entryPoints.dns.address=:5353/udp")


def objects() -> list[Json]:
    return [
        service("a"),
        endpoints("a", "10.0.0.1"),
        # the same rule twice is two routers, where it would else be one
        route("shop", rule("Host(`s`)", A), rule("Host(`s`)", A, A)),
        custom("IngressRouteTCP", "db", routes=[{"match": "HostSNI(`*`)", "services": [A]}]),
        custom("IngressRouteUDP", "dns", routes=[{"services": [A]}, {"services": [A]}]),
    ]


def test_check_lists_routers_with_their_places(tmp_path: Path) -> None:
    result = pointsman("check", "--output=json", write(tmp_path, *objects()), *FLAGS)
    report = json.loads(result.stdout)
    found = {row["router"]: (row["field"], row["service"]) for row in report["routes"]}
    assert found == {
        "default_shop_0@kubernetescrd": ("spec.routes[0]", "default_shop_0_lb"),
        "default_shop_1@kubernetescrd": ("spec.routes[1]", "default_shop_1_wrr"),
        "default_db_0@kubernetescrd": ("spec.routes[0]", "default_db_0_lb"),
        "default_dns_0@kubernetescrd": ("spec.routes[0]", "default_dns_0_lb"),
        "default_dns_1@kubernetescrd": ("spec.routes[1]", "default_dns_1_lb"),
    }
    findings = [(one["reason"], one["field"]) for one in report["findings"] if one["kind"] == "IngressRouteUDP"]
    assert findings == [("RouteNotServed", "spec.routes[0]")]


def test_explain_names_the_route_that_answers(tmp_path: Path) -> None:
    result = pointsman("explain", "--output=json", "http://s/", write(tmp_path, *objects()), SAFE)
    explanation = json.loads(result.stdout)
    assert explanation["winner"]["field"] == "spec.routes[0]"
    assert [one["field"] for one in explanation["others"] if one["object"].endswith("shop")] == ["spec.routes[1]"]


def test_a_copy_that_gives_way_is_a_finding_of_its_route(tmp_path: Path) -> None:
    found = []
    for namespace in ("a", "web-a"):
        for one in (service("a"), endpoints("a", "10.0.0.1"), route("app", rule("Host(`s`)", A))):
            one["metadata"]["namespace"] = namespace
            found.append(one)
    points = ("--entryPoints.web.address=:80", "--entryPoints.other.address=:81")
    model = "--entryPoints.web.observability.metrics=false"
    result = pointsman("check", "--output=json", write(tmp_path, *found), SAFE, *points, model)
    report = json.loads(result.stdout)
    (finding,) = report["findings"]
    assert (finding["severity"], finding["reason"], finding["namespace"]) == ("warning", "NameTaken", "a")
    assert (finding["name"], finding["field"]) == ("app", "spec.routes[0]")
    assert sorted((row["entryPoint"], row["router"]) for row in report["routes"]) == [
        ("other", "a_app_0@kubernetescrd"),
        ("other", "web-a_app_0@kubernetescrd"),
        ("web", "web-web-a_app_0@kubernetescrd"),
        ("web", "web:a_app_0@kubernetescrd"),
    ]
    assert result.exit_code == 0
