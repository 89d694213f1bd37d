"""Where TCP and UDP find servers otherwise than HTTP; branch by branch, in the order they are tried."""

from __future__ import annotations

from typing import Any

import pytest

from provider.findings import Rejected, Report
from provider.options import TranslationOptions
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_layer4 import ServiceUDP
from provider.translate.holder import Holder
from provider.translate.servers_layer4 import load_addresses
from provider.translate.view import View
from tests.provider.golden import store_of
from tests.provider.support import Json, endpoints, service

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n"},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname", "address": "n"}]
    },
}
NODE_PORT: dict[str, Any] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
EXTERNAL = {"type": "ExternalName", "externalName": "db.example"}


def addresses(*objects: Json, options: TranslationOptions | None = None, **fields: Any) -> list[str]:
    chosen = options or TranslationOptions()
    report = Report(ObjectKey("IngressRouteUDP", "default", "one"))
    holder = Holder(View(store_of(list(objects)), chosen), "default", report)
    return load_addresses(holder, ServiceUDP(**{"name": "db", "port": 80, **fields}), "here", "no matter")


def refusal(*objects: Json, options: TranslationOptions | None = None, **fields: Any) -> str:
    with pytest.raises(Rejected) as raised:
        addresses(*objects, options=options, **fields)
    return raised.value.reason


def test_ready_endpoints_each_once() -> None:
    pieces = [
        endpoints("a", "10.0.0.1", "10.0.0.2", of="db"),
        endpoints("b", "10.0.0.2", "::1", port=9090, of="db"),
    ]
    assert addresses(service("db"), *pieces) == ["10.0.0.1:8080", "10.0.0.2:8080", "[::1]:9090"]


@pytest.mark.behaviour("PR-28")
def test_an_endpoint_without_conditions_is_not_ready() -> None:
    piece = endpoints("db", "10.0.0.1")
    piece["endpoints"][0].pop("conditions")
    assert refusal(service("db"), piece) == "NoEndpoints"


@pytest.mark.behaviour("PR-27")
def test_an_endpoint_that_is_ready_without_serving_counts() -> None:
    piece = endpoints("db", "10.0.0.1")
    piece["endpoints"][0]["conditions"] = {"ready": True, "serving": False}
    assert addresses(service("db"), piece) == ["10.0.0.1:8080"]


def test_an_external_name_is_asked_for_before_its_port() -> None:
    allowed = TranslationOptions(allow_external_name_services=True)
    assert refusal(service("db", **EXTERNAL), port="absent") == "ExternalNameNotAllowed"
    assert refusal(service("db", **EXTERNAL), options=allowed, port="absent") == "PortNotFound"
    assert refusal(service("db", **EXTERNAL), options=allowed, port=0) == "PortMissing"
    assert addresses(service("db", **EXTERNAL), options=allowed, native_lb=True) == ["db.example:80"]


@pytest.mark.behaviour("PR-39")
def test_node_ports_come_before_native_load_balancing() -> None:
    both: dict[str, Any] = {"node_port_lb": True, "native_lb": True}
    assert addresses(service("db", **NODE_PORT), NODE, **both) == ["192.0.2.1:30080"]
    assert addresses(service("db"), NODE, **both) == ["10.0.0.1:80"]
    assert refusal(service("db", **NODE_PORT), **both) == "NodesNotFound"
    without = TranslationOptions(disable_cluster_scope_resources=True)
    assert refusal(service("db", **NODE_PORT), NODE, options=without, **both) == "NodesLookupDisabled"


def test_native_load_balancing_by_default() -> None:
    native = TranslationOptions(native_lb_by_default=True)
    pods = endpoints("db", "10.0.0.9")
    assert addresses(service("db"), pods, options=native) == ["10.0.0.1:80"]
    assert addresses(service("db"), pods, options=native, native_lb=False) == ["10.0.0.9:8080"]
    assert refusal(service("db", clusterIP="None"), pods, options=native) == "HeadlessService"


def test_no_endpoints() -> None:
    assert refusal(service("db")) == "NoEndpoints"
    assert addresses(service("db"), options=TranslationOptions(allow_empty_services=True)) == []
    assert refusal(options=TranslationOptions(allow_empty_services=True)) == "ServiceNotFound"
