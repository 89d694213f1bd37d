"""UDP routers and services as the API shows them."""

from __future__ import annotations

import json
from typing import Any

from config.http import WeightedEntry
from config.layer4 import UDPLoadBalancer, UDPRouter, UDPServer, UDPService, WeightedServices
from config.static_load import from_mapping
from tests.workers.fakes import FakeExchange, environment
from tests.workers.udp.stage import Points, balancer_of
from workers.api import APIHandler
from workers.runtime import Changes, Runtime
from workers.udp.api import list_routers, list_services, overview, rawdata
from workers.udp.runtime import UDPRuntime

SERVICES = {
    "lb@p": balancer_of("10.0.0.1:53"),
    "both@p": UDPService(
        load_balancer=UDPLoadBalancer(servers=[UDPServer(address="a:1")]), weighted=WeightedServices()
    ),
    "top@p": UDPService(weighted=WeightedServices(services=[WeightedEntry(name="lb", weight=3)])),
    "none@p": UDPService(),
}
ROUTERS = {
    "a@p": UDPRouter(entry_points=["dns", "nope"], service="lb"),
    "b@p": UDPRouter(service="top"),
    "c@p": UDPRouter(service="both@p"),
}
RUNTIME = UDPRuntime().updated(ROUTERS, SERVICES, Points("dns", "log"))


def test_rawdata() -> None:
    shown = rawdata(RUNTIME)
    assert list(shown["udpRouters"]) == ["a@p", "b@p", "c@p"]
    assert shown["udpRouters"]["a@p"] == {
        "entryPoints": ["dns", "nope"],
        "service": "lb",
        "error": ['entryPoint "nope" doesn\'t exist'],
        "status": "warning",
        "using": ["dns"],
    }
    assert shown["udpRouters"]["b@p"] == {"service": "top", "status": "enabled", "using": ["dns", "log"]}
    assert shown["udpServices"]["lb@p"] == {
        "loadBalancer": {"servers": [{"address": "10.0.0.1:53"}]},
        "status": "enabled",
        "usedBy": ["a@p"],
    }
    assert shown["udpServices"]["top@p"] == {
        "weighted": {"services": [{"name": "lb", "weight": 3}]},
        "status": "enabled",
        "usedBy": ["b@p"],
    }
    assert shown["udpServices"]["both@p"]["status"] == "disabled"
    assert shown["udpServices"]["none@p"] == {"status": "enabled"}, "nobody uses it, so nobody has built it"


def test_lists_say_name_provider_and_type() -> None:
    routers = {item["name"]: item for item in list_routers(RUNTIME)}
    assert routers["b@p"]["provider"] == "p"
    assert "priorityStr" not in routers["b@p"]
    types = {item["name"]: item.get("type") for item in list_services(RUNTIME)}
    assert types == {"lb@p": "loadbalancer", "both@p": "loadbalancer", "top@p": "weighted", "none@p": None}


def test_overview() -> None:
    assert overview(RUNTIME) == {
        "routers": {"total": 3, "warnings": 1, "errors": 1},
        "services": {"total": 4, "warnings": 0, "errors": 1},
    }


def asked(path: bytes) -> Any:
    where = environment(udp_entry_points=["log", "dns"])
    made = Runtime(where).updated(1, Changes(udp_routers=dict(ROUTERS), udp_services=dict(SERVICES)), lambda: None)
    static = from_mapping({"api": {}, "entryPoints": {"dns": {"address": ":53/udp", "udp": {"timeout": "5s"}}}})
    exchange = FakeExchange(path)
    APIHandler(static, lambda: made, list)(exchange)
    return json.loads(exchange.body)


def test_the_pages_of_the_api() -> None:
    assert {key: asked(b"/api/rawdata")[key] for key in ("udpRouters", "udpServices")} == rawdata(RUNTIME)
    assert [item["name"] for item in asked(b"/api/udp/routers")] == ["a@p", "b@p", "c@p"]
    assert asked(b"/api/udp/services/top@p")["type"] == "weighted"
    assert asked(b"/api/udp/routers/x@p") == {"message": "router not found: x@p"}
    assert asked(b"/api/overview")["udp"] == overview(RUNTIME)
    assert asked(b"/api/entrypoints/dns")["udp"] == {"timeout": "5s"}
