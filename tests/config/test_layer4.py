"""TCP and UDP objects."""

import msgspec
import pytest

from config.http import WeightedEntry
from config.layer4 import (
    PROXY_PROTOCOL_DEFAULTS,
    TCP_SERVERS_TRANSPORT_DEFAULTS,
    ProxyProtocol,
    TCPLoadBalancer,
    TCPMiddleware,
    TCPRouter,
    TCPRouterTLS,
    TCPServer,
    TCPService,
    UDPLoadBalancer,
    UDPServer,
    UDPService,
    WeightedServices,
)


def test_passthrough_is_always_said() -> None:
    router = TCPRouter(rule="HostSNI(`a`)", tls=TCPRouterTLS(passthrough=False))
    assert msgspec.to_builtins(router) == {"rule": "HostSNI(`a`)", "tls": {"passthrough": False}}


def test_termination_delay_of_zero_is_not_none() -> None:
    assert msgspec.to_builtins(TCPLoadBalancer(termination_delay=0)) == {"terminationDelay": 0}
    assert msgspec.to_builtins(TCPLoadBalancer()) == {}


def test_services() -> None:
    balancer = TCPLoadBalancer(
        servers=[TCPServer(address="10.0.0.1:80", tls=True)], proxy_protocol=ProxyProtocol(version=1)
    )
    assert msgspec.to_builtins(TCPService(load_balancer=balancer)) == {
        "loadBalancer": {
            "servers": [{"address": "10.0.0.1:80", "tls": True}],
            "proxyProtocol": {"version": 1},
        }
    }
    weighted = WeightedServices(services=[WeightedEntry(name="a", weight=0)])
    assert msgspec.to_builtins(UDPService(weighted=weighted)) == {
        "weighted": {"services": [{"name": "a", "weight": 0}]}
    }
    udp = UDPService(load_balancer=UDPLoadBalancer(servers=[UDPServer(address="10.0.0.1:53")]))
    assert msgspec.to_builtins(udp) == {"loadBalancer": {"servers": [{"address": "10.0.0.1:53"}]}}


@pytest.mark.parametrize("kind", ["inFlightConn", "ipAllowList", "ipWhiteList"])
def test_middlewares(kind: str) -> None:
    assert msgspec.to_builtins(msgspec.convert({kind: {}}, TCPMiddleware)) == {kind: {}}


def test_defaults_of_the_original() -> None:
    assert msgspec.to_builtins(PROXY_PROTOCOL_DEFAULTS) == {"version": 2}
    assert msgspec.to_builtins(TCP_SERVERS_TRANSPORT_DEFAULTS) == {
        "dialKeepAlive": "15s",
        "dialTimeout": "30s",
        "terminationDelay": "100ms",
    }
