"""IngressRouteTCP: names, what is lost with what, TLS. The shapes themselves are in the golden cases."""

from __future__ import annotations

from typing import Any

import pytest

from config.layer4 import TCPRouterTLS
from config.names import tcp_router_name
from tests.provider.support import Json
from tests.provider.translate.routes import built, custom, names, reasons, web

ANY = "HostSNI(`*`)"
NAME = tcp_router_name("default", "one", ANY)


def one(*routes: Json, **spec: Any) -> Json:
    return custom("IngressRouteTCP", "one", routes=list(routes), **spec)


def to(*services: str, match: str = ANY, **more: Any) -> Json:
    return {"match": match, "services": [{"name": name, "port": 80} for name in services], **more}


@pytest.mark.behaviour("PR-9")
def test_all_traffic_goes_to_the_services_that_are_left() -> None:
    result = built(*web(), one(to("web", "absent")))
    weighted = result.configuration.tcp.services[NAME].weighted
    assert weighted is not None
    assert [(entry.name, entry.weight) for entry in weighted.services] == [(f"{NAME}-web-80", 1)]
    assert reasons(result) == ["ServiceNotFound"]


@pytest.mark.parametrize("services", [(), ("absent",), ("absent", "missing")])
def test_without_services_the_router_leads_nowhere(services: tuple[str, ...]) -> None:
    result = built(one(to(*services)))
    assert names(result, "tcp.routers") == [NAME]
    assert names(result, "tcp.services") == []
    assert reasons(result)[-1] == "NoService"


def test_a_failing_route_with_the_match_of_another_keeps_its_service() -> None:
    result = built(*web(), one(to("web"), to("absent", priority=7)))
    assert result.configuration.tcp.routers[NAME].priority == 7
    assert names(result, "tcp.services") == [NAME]
    assert reasons(result) == ["ServiceNotFound", "DuplicateRule"]


def test_one_then_several_of_the_same_match() -> None:
    result = built(*web(), *web("two"), one(to("web"), to("web", "two")))
    service = result.configuration.tcp.services[NAME]
    assert service.load_balancer is None
    assert service.weighted is not None
    assert len(service.weighted.services) == 2


def test_passthrough_loads_no_certificate() -> None:
    passed = built(*web(), one(to("web"), tls={"passthrough": True, "secretName": "absent"}))
    assert reasons(passed) == ["OptionIgnored"]
    assert passed.findings[0].field == "spec.tls.secretName"
    ended = built(*web(), one(to("web"), tls={"secretName": "absent"}))
    assert reasons(ended) == ["SecretNotFound"]
    assert ended.configuration.tcp.routers[NAME].tls == TCPRouterTLS(passthrough=False)


@pytest.mark.parametrize(
    ("match", "tls", "expected"),
    [
        ("HostSNI(`*`)", None, []),
        ("ClientIP(`10.0.0.1`)", None, []),
        ("HostSNI(`a`)", {}, []),
        ("HostSNI(`a`)", None, ["TLSMissing"]),
        ("!HostSNI(`a`)", None, []),
        ("!HostSNI(`*`) && HostSNI(`b`)", None, ["TLSMissing"]),
        ("HostSNI(`*`) && HostSNI(`b`)", None, []),
        ("HostSNI(`*`) || HostSNI(`a`)", None, []),
        ("HostSNIRegexp(`a`)", None, []),
        ("HostSNI(`a b`)", None, ["InvalidRule"]),
    ],
)
def test_names_need_tls(match: str, tls: Json | None, expected: list[str]) -> None:
    result = built(*web(), one(to("web", match=match), tls=tls))
    assert reasons(result) == expected
    assert len(result.configuration.tcp.routers) == 1


def test_the_syntax_of_the_rule() -> None:
    match = "HostSNI(`a`, `b`)"
    assert reasons(built(*web(), one(to("web", match=match), tls={}))) == ["InvalidRule"]
    assert reasons(built(*web(), one(to("web", match=match), tls={}), default_rule_syntax="v2")) == []
    marked = one(to("web", match=match, syntax="v2"), tls={})
    assert reasons(built(*web(), marked)) == ["Deprecated"]


def test_a_bad_middleware_takes_the_route_and_no_other() -> None:
    foreign = to("web", match="ClientIP(`10.0.0.1`)", middlewares=[{"name": "m", "namespace": "b"}])
    result = built(*web(), one(foreign, to("web", middlewares=[{"name": "m"}])))
    assert names(result, "tcp.routers") == [NAME]
    assert result.configuration.tcp.routers[NAME].middlewares == ["default-m"]
    assert reasons(result) == ["CrossNamespaceNotAllowed", "MiddlewareNotFound"]


def test_other_classes_are_left_alone() -> None:
    other = one(to("web"), ingressClassName="nginx", tls={"secretName": "absent"})
    result = built(*web(), other)
    assert names(result, "tcp.routers") == []
    assert result.findings == []


@pytest.mark.parametrize(
    ("fields", "version", "delay", "transport"),
    [
        ({}, None, None, ""),
        ({"proxyProtocol": {}}, 2, None, ""),
        ({"proxyProtocol": {"version": 1}}, 1, None, ""),
        ({"terminationDelay": 0}, None, 0, ""),
        ({"terminationDelay": 5, "serversTransport": "t.x"}, None, None, "default-t-x"),
        ({"serversTransport": "t@file"}, None, None, "t@file"),
    ],
)
def test_how_servers_are_dialled(fields: Json, version: int | None, delay: int | None, transport: str) -> None:
    route = {"match": ANY, "services": [{"name": "web", "port": 80, "tls": True, **fields}]}
    balancer = built(*web(), one(route)).configuration.tcp.services[NAME].load_balancer
    assert balancer is not None
    assert [(server.address, server.tls) for server in balancer.servers] == [("10.1.0.1:8080", True)]
    assert (balancer.proxy_protocol.version if balancer.proxy_protocol else None) == version
    assert balancer.termination_delay == delay
    assert balancer.servers_transport == transport


def test_limits_on_other_providers() -> None:
    route = {"match": ANY, "services": [{"name": "web", "port": 80, "serversTransport": "t@file"}]}
    result = built(*web(), one(route), cross_provider_namespaces=frozenset())
    assert reasons(result) == ["CrossProviderNotAllowed", "NoService"]
