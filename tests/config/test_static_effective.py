"""Derived entry points and checks over the whole configuration."""

from __future__ import annotations

from typing import Any

import pytest

from config import http3_twins
from config.static_effective import remarks
from config.static_errors import StaticError
from config.static_load import from_mapping


def addresses(**mapping: Any) -> dict[str, str]:
    return {name: point.address for name, point in from_mapping(mapping).entry_points.items()}


@pytest.mark.behaviour("OP-8")
def test_entry_points_that_nobody_declared() -> None:
    assert addresses() == {"http": ":80"}
    assert addresses(ping={}) == {"http": ":80", "traefik": ":8080"}
    assert addresses(api={"insecure": True}) == {"http": ":80", "traefik": ":8080"}
    assert addresses(api={}) == {"http": ":80"}
    assert addresses(ping={"manualRouting": True}) == {"http": ":80"}
    web = {"web": {"address": ":81"}}
    assert addresses(entryPoints=web, ping={"entryPoint": "web"}) == {"web": ":81"}
    mine = {"traefik": {"address": ":9000"}}
    assert addresses(entryPoints=mine, ping={}) == {"traefik": ":9000"}


def points(*addresses: str) -> dict[str, Any]:
    return {"entryPoints": {f"p{number}": {"address": text} for number, text in enumerate(addresses)}}


@pytest.mark.parametrize(
    "listed",
    [
        (":80", ":81"),
        (":0", ":0"),
        ("127.0.0.1:80", "127.0.0.2:80"),
        ("0.0.0.0:80", "[::1]:80"),
    ],
)
def test_addresses_that_can_live_together(listed: tuple[str, ...]) -> None:
    assert from_mapping(points(*listed))


@pytest.mark.parametrize(
    "listed",
    [(":80", ":80"), (":80", "127.0.0.1:80/TCP"), ("0.0.0.0:80", "[::]:80"), ("[::1]:80", "[::]:80")],
)
@pytest.mark.behaviour("OP-10")
def test_two_entry_points_on_one_port(listed: tuple[str, ...]) -> None:
    with pytest.raises(StaticError, match=r"entryPoints\.p1\.address .* is taken by entry point p0"):
        from_mapping(points(*listed))


_NO_CLUSTER_SCOPE = {"disableClusterScopeResources": True}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"entryPoints": {"web": {}}}, "entryPoints.web.address is missing"),
        ({"entryPoints": {"web": {"address": "80"}}}, "entryPoints.web.address is wrong: missing port"),
        (
            {"entryPoints": {"web": {"address": ":80", "forwardedHeaders": {"trustedIPs": ["10.0.0.0/40"]}}}},
            "entryPoints.web.forwardedHeaders.trustedIPs holds '10.0.0.0/40'",
        ),
        (
            {"entryPoints": {"web": {"address": ":80", "transport": {"keepAliveMaxTime": "-1s"}}}},
            "entryPoints.web.transport.keepAliveMaxTime must not be negative",
        ),
        ({"ping": {"entryPoint": "gone"}}, "ping.entryPoint names 'gone', which is no entry point (known: http)"),
        (
            {
                "ping": {"entryPoint": "dns"},
                "entryPoints": {"dns": {"address": ":53/udp"}, "a": {"address": ":80"}},
            },
            "ping.entryPoint names 'dns', which is for UDP (known: a)",
        ),
        (
            {"entryPoints": {"dns": {"address": ":53/udp", "udp": {"timeout": 0}}}},
            "entryPoints.dns.udp.timeout must be greater than zero",
        ),
        (
            {"metrics": {"prometheus": {"entryPoint": "dns"}}, "entryPoints": {"dns": {"address": ":53/udp"}}},
            "metrics.prometheus.entryPoint names 'dns', which is for UDP (known: )",
        ),
        (
            {"metrics": {"prometheus": {"buckets": [0.3, 0.1]}}},
            "metrics.prometheus.buckets must be positive and in rising order",
        ),
        (
            {"metrics": {"prometheus": {"headerLabels": {"user-agent": "User-Agent"}}}},
            "metrics.prometheus.headerLabels holds 'user-agent', which cannot be the name of a label",
        ),
        ({"ping": {"terminatingStatusCode": 99}}, "ping.terminatingStatusCode must be a status from 200 to 599"),
        ({"api": {"basePath": "traefik"}}, "api.basePath must begin with /"),
        ({"api": {"basePath": "/a b"}}, "api.basePath must begin with /"),
        ({"providers": {"manifests": {}}}, "providers.manifests.directory is missing"),
        (
            {"providers": {"kubernetesIngress": {"reportNodeInternalIPs": True, "ingressEndpoint": {"ip": "1"}}}},
            "providers.kubernetesIngress.reportNodeInternalIPs cannot be combined with ingressEndpoint",
        ),
        (
            {"providers": {"kubernetesIngress": {"reportNodeInternalIPs": True, **_NO_CLUSTER_SCOPE}}},
            "cannot be combined with disableClusterScopeResources",
        ),
        ({"providers": {"precedence": ["file", "files"]}}, "providers.precedence holds 'files'"),
        ({"workers": -1}, "workers must not be negative"),
        ({"workers": 257}, "workers must not be above 256"),
    ],
)
def test_unusable_configurations(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(StaticError) as raised:
        from_mapping(mapping)
    assert message in str(raised.value)


def test_authorities_of_servers() -> None:
    static = from_mapping({"serversTransport": {"rootCAs": ["/etc/ca.pem"]}})
    assert static.servers_transport.root_cas == ["/etc/ca.pem"]


def test_negative_idle_connections_mean_none() -> None:
    static = from_mapping({"serversTransport": {"maxIdleConnsPerHost": -1}})
    assert static.servers_transport.max_idle_conns_per_host == -1
    static = from_mapping({"tcpServersTransport": {"dialKeepAlive": "-1s", "tls": {"rootCAs": ["ca.pem"]}}})
    assert static.tcp_servers_transport.dial_keep_alive_seconds == -1
    assert static.tcp_servers_transport.tls.root_cas == ["ca.pem"]


def test_what_is_probably_not_meant_is_remarked() -> None:
    alone = from_mapping({"providers": {"kubernetesIngress": {"disableIngressClassLookup": True}}})
    assert [remark.partition(" is ")[0] for remark in remarks(alone)] == [
        "providers.kubernetesIngress.disableIngressClassLookup"
    ]
    assert list(remarks(from_mapping({"providers": {"kubernetesIngress": {}}}))) == []
    assert [remark.partition(":")[0] for remark in remarks(from_mapping({}))] == ["no provider is configured"]


def test_a_resolver_that_is_not_there_is_remarked_upon() -> None:
    """As in the original, which logs an error, the routers are served."""
    points = {"web": {"address": ":443", "http": {"tls": {"certResolver": "le"}}}, "plain": {"address": ":80"}}
    given = {"entryPoints": points, "providers": {"kubernetesCRD": {}}}
    (remark,) = remarks(from_mapping(given))
    assert remark.startswith("entryPoints.web.http.tls.certResolver: there is no certificate resolver le,")


def test_http_3_takes_the_udp_port_of_the_same_number() -> None:
    secure: dict[str, Any] = {"address": ":443", "http3": {"advertisedPort": 8443}}
    point = from_mapping({"entryPoints": {"web": secure}}).entry_points["web"]
    assert point.http3 is not None
    assert point.http3.advertised_port == 8443
    with pytest.raises(StaticError, match=r"entryPoints\.dns\.address :443/udp is taken by entry point web"):
        from_mapping({"entryPoints": {"web": secure, "dns": {"address": ":443/udp"}}})
    with pytest.raises(StaticError, match=r"entryPoints\.dns\.http3 is for TCP entry points"):
        from_mapping({"entryPoints": {"dns": {"address": ":53/udp", "http3": {}}}})
    with pytest.raises(StaticError, match=r"entryPoints\.web\.http3\.advertisedPort must not be negative"):
        from_mapping({"entryPoints": {"web": {"address": ":443", "http3": {"advertisedPort": -1}}}})


def test_http_3_without_its_extra_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"web": {"address": ":443", "http3": {}}}
    monkeypatch.setattr(http3_twins, "is_installed", lambda: False)
    with pytest.raises(StaticError, match=r"entryPoints\.web\.http3 needs an extra .*'pointsman\[http3\]'"):
        from_mapping({"entryPoints": points})


def test_providers_are_compared_without_regard_to_case() -> None:
    assert from_mapping({"providers": {"precedence": ["KubernetesCRD", "file"]}})
