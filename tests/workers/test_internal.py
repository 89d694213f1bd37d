"""Ping, ready, noop and the API as handlers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.control_page import Cell, ControlPage, Head
from config.findings import Finding
from config.static_load import from_mapping
from tests.workers.fakes import FakeExchange, balancer, environment, router, servers
from workers.api import APIHandler, go_json
from workers.exchange import Handler
from workers.internal import InternalServices, Ping, Ready, internal_routers, noop
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"


def answered(handler: Handler, path: bytes = b"/", method: bytes = b"GET") -> FakeExchange:
    exchange = FakeExchange(path, method)
    handler(exchange)
    return exchange


@pytest.mark.behaviour("OP-14")
def test_ping_is_ok_until_the_first_moment_of_a_stop() -> None:
    page = ControlPage.create()
    ping = Ping(page, 503)
    assert (answered(ping).status, answered(ping).body) == (200, b"OK")
    page[Head.TERMINATING] = 1
    assert (answered(ping).status, answered(ping).body) == (503, b"Service Unavailable")


@pytest.mark.behaviour("OP-16")
def test_the_terminating_status_is_configurable() -> None:
    page = ControlPage.create()
    page[Head.TERMINATING] = 1
    assert answered(Ping(page, 204)).status == 204
    assert answered(Ping(page, 599)).body == b""


def test_ready_only_when_every_worker_serves_a_complete_view() -> None:
    page = ControlPage.create()
    ready = Ready(page)
    assert answered(ready).status == 503
    assert b"not every watched kind" in answered(ready).body
    for index in (0, 1):
        page.slot(index)[Cell.PID] = 1
    page[Head.FIRST_COMPLETE] = 3
    page.slot(0)[Cell.GENERATION] = 3
    assert answered(ready).body == b"workers 1 have not applied generation 3 yet\n"
    page.slot(1)[Cell.GENERATION] = 4
    assert answered(ready).status == 200
    page[Head.READY] = 1
    page.slot(1)[Cell.GENERATION] = 0
    assert answered(ready).status == 200, "a worker that is being replaced does not turn the machine away"
    page[Head.TERMINATING] = 1
    assert answered(ready).status == 503


def test_noop_is_a_teapot() -> None:
    assert (answered(noop).status, answered(noop).body) == (418, b"")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, []),
        ({"ping": {}}, ["ping@internal", "ready@internal"]),
        ({"ping": {"manualRouting": True}}, []),
        ({"api": {}}, []),
        ({"api": {"insecure": True}}, ["api@internal"]),
        ({"metrics": {"prometheus": {}}}, ["prometheus@internal"]),
        ({"metrics": {"prometheus": {"manualRouting": True}}}, []),
        ({"metrics": {}}, []),
    ],
    ids=str,
)
def test_internal_routers(options: dict[str, Any], names: list[str]) -> None:
    assert sorted(internal_routers(from_mapping(options))) == names


def test_a_feature_that_is_off_says_so() -> None:
    services = InternalServices(from_mapping({}), ControlPage.create(), noop)
    assert services("api@internal") == "api is not enabled"
    assert services("ping@internal") == "ping is not enabled"
    assert services("prometheus@internal") == "prometheus is not enabled"
    assert services("zz@internal") == "unknown internal service zz@internal"
    assert services("noop@internal") is noop


def api_of(options: dict[str, Any], changes: Changes, **static: Any) -> APIHandler:
    made = Runtime(environment()).updated(1, changes, lambda: None)
    return APIHandler(from_mapping({"api": options} | static), lambda: made, lambda: ["noop@internal"])


CHANGES = Changes(
    routers={"r" + P: router("Host(`a`) && Path(`/<b>`)"), "bad" + P: router(service="nope", middlewares=["m"])},
    services={"s" + P: balancer(strategy="wrr")},
    endpoints={"s" + P: servers(1)},
)


@pytest.mark.behaviour("OP-33")
@pytest.mark.parametrize("is_on", [True, False])
def test_features_of_the_overview(is_on: bool) -> None:
    static: dict[str, Any] = {"accessLog": {}, "metrics": {"prometheus": {}}} if is_on else {}
    data = json.loads(answered(api_of({}, Changes(), **static), b"/api/overview").body)
    assert data["features"] == {"tracing": "", "metrics": "Prometheus" if is_on else "", "accessLog": is_on}


@pytest.mark.behaviour("OP-34")
def test_rawdata() -> None:
    exchange = answered(api_of({}, CHANGES), b"/api/rawdata")
    assert exchange.headers == [(b"Content-Type", b"application/json")]
    assert b"\\u0026\\u0026" in exchange.body
    assert b"\\u003cb\\u003e" in exchange.body
    data = json.loads(exchange.body)
    observed = {"accessLogs": True, "metrics": True, "tracing": True, "traceVerbosity": "minimal"}
    rule = "Host(`a`) && Path(`/<b>`)"
    assert data["routers"]["r" + P] == {
        "entryPoints": ["other", "web"],
        "service": "s",
        "rule": rule,
        "priority": len(rule),
        "observability": observed,
        "status": "enabled",
        "using": ["other", "web"],
    }
    assert data["routers"]["bad" + P]["middlewares"] == ["m" + P]
    assert data["services"]["s" + P] == {
        "loadBalancer": {"servers": [{"url": "http://127.0.0.1:1"}], "strategy": "wrr", "passHostHeader": True},
        "status": "enabled",
        "usedBy": ["r" + P],
        "serverStatus": {"http://127.0.0.1:1": "UP"},
    }
    assert data["services"]["noop@internal"] == {"status": "enabled"}


@pytest.mark.behaviour("OP-24")
def test_version() -> None:
    members = json.loads(answered(api_of({"dashboardName": "edge"}, Changes()), b"/api/version").body)
    assert {"Version", "Codename", "startDate", "dashboardName"} == set(members)


@pytest.mark.behaviour("OP-33")
def test_overview_counts() -> None:
    with_both = api_of({}, CHANGES, providers={"kubernetesCRD": {}, "kubernetesIngress": {}})
    members = json.loads(answered(with_both, b"/api/overview").body)
    assert members["http"]["routers"] == {"total": 2, "warnings": 0, "errors": 1}
    assert members["providers"] == ["KubernetesIngress", "KubernetesCRD"]
    assert json.loads(answered(api_of({}, CHANGES), b"/api/overview").body)["providers"] == []


@pytest.mark.behaviour("OP-28")
def test_other_methods_and_pages() -> None:
    api = api_of({}, Changes())
    assert answered(api, b"/api/rawdata", b"POST").status == 405
    assert (answered(api, b"/api/nope").status, answered(api, b"/api/nope").body) == (404, b"404 page not found\n")


@pytest.mark.behaviour("OP-37")
def test_base_path() -> None:
    api = api_of({"basePath": "/edge"}, Changes())
    assert answered(api, b"/edge/api/version").status == 200
    assert answered(api, b"/api/version").status == 404


def test_json_is_escaped_as_the_original_escapes_it() -> None:
    assert go_json({"a": "&<>é"}) == '{"a":"\\u0026\\u003c\\u003eé"}\n'.encode()


def test_findings_with_filters() -> None:
    found = [
        Finding(kind="Middleware", namespace="b", name="m", severity="warning", reason="R", message="odd"),
        Finding(
            kind="IngressRoute", namespace="a", name="r", severity="error", reason="R", message="wrong", field="f"
        ),
    ]
    api = APIHandler(from_mapping({"api": {}}), lambda: Runtime(environment()), list, lambda: found)

    def names(query: bytes) -> list[str]:
        exchange = FakeExchange(b"/api/findings")
        exchange.request.query, exchange.request._query_values = query, None
        api(exchange)
        assert exchange.status == 200
        return [one["name"] for one in json.loads(exchange.body)]

    assert names(b"") == ["r", "m"], "errors first"
    assert names(b"severity=warning") == ["m"]
    assert names(b"namespace=a&namespace=b&kind=IngressRoute") == ["r"]
    assert names(b"kind=Secret") == []
    assert json.loads(answered(api, b"/api/findings").body)[0] == {
        "kind": "IngressRoute",
        "namespace": "a",
        "name": "r",
        "severity": "error",
        "reason": "R",
        "message": "wrong",
        "field": "f",
    }
