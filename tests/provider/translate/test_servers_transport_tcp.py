"""ServersTransportTCP: every field, the defaults, and that what is wrong costs that item alone."""

from __future__ import annotations

from typing import Any

from config import http, layer4
from config.tls import Certificate
from provider.resources.traefik_transports import ServersTransportTCP
from provider.translate.output import Output
from provider.translate.servers_transport_tcp import SECTION, translate
from tests.provider.translate.tls_cluster import Cluster, found, only
from tests.tls.pki import Authority

ROOT = Authority()
OWN = ROOT.issue("proxy.example", usage="client")


def translated(spec: dict[str, Any], name: str = "one") -> Output:
    cluster = Cluster().secret("ca", tls_ca=ROOT.pem).secret("own", tls_crt=OWN.chain, tls_key=OWN.key)
    return cluster.translated(translate, ServersTransportTCP, spec, name)


def test_every_field() -> None:
    output = translated(
        {
            "dialTimeout": "1s",
            "dialKeepAlive": 2,
            "terminationDelay": "3",
            "proxyProtocol": {"version": 1},
            "tls": {
                "serverName": "backend.example",
                "insecureSkipVerify": True,
                "rootCAs": [{"secret": "ca"}],
                "rootCAsSecrets": ["ca"],
                "certificatesSecrets": ["own"],
                "peerCertURI": "spiffe://a/b",
                "spiffe": {"ids": ["spiffe://a/b"], "trustDomain": "a"},
            },
        }
    )
    assert only(output, SECTION) == layer4.TCPServersTransport(
        dial_timeout="1s",
        dial_keep_alive="2s",
        termination_delay="3s",
        proxy_protocol=layer4.ProxyProtocol(version=1),
        tls=layer4.TLSClientConfig(
            server_name="backend.example",
            insecure_skip_verify=True,
            root_cas=[ROOT.pem, ROOT.pem],
            certificates=[Certificate(cert_file=OWN.chain.decode(), key_file=OWN.key.decode())],
            peer_cert_uri="spiffe://a/b",
            spiffe=http.Spiffe(ids=["spiffe://a/b"], trust_domain="a"),
        ),
    )
    assert found(output) == [
        ("warning", "Deprecated", "spec.tls.rootCAsSecrets"),
        ("error", "BrokenServersTransport", "spec.tls.spiffe"),
    ]


def test_an_empty_one_has_the_defaults() -> None:
    output = translated({}, "with.dot")
    assert output.of_section(SECTION) == {"shop-with-dot": layer4.TCP_SERVERS_TRANSPORT_DEFAULTS}


def test_what_is_wrong_costs_that_item_alone() -> None:
    output = translated(
        {
            "dialTimeout": "10m5",
            "dialKeepAlive": "",
            "terminationDelay": "soon",
            "proxyProtocol": {"version": 7},
            "tls": {"rootCAs": [{"secret": "missing"}], "certificatesSecrets": ["ca"]},
        }
    )
    expected = layer4.TCPServersTransport(
        proxy_protocol=layer4.ProxyProtocol(version=7), tls=layer4.TLSClientConfig()
    )
    assert only(output, SECTION) == expected
    assert {(reason, field) for _, reason, field in found(output)} == {
        ("InvalidDuration", "spec.dialTimeout"),
        ("InvalidDuration", "spec.dialKeepAlive"),
        ("InvalidDuration", "spec.terminationDelay"),
        ("SecretNotFound", "spec.tls.rootCAs[0]"),
        ("SystemAuthorities", "spec.tls"),
        ("SecretIncomplete", "spec.tls.certificatesSecrets[0]"),
        ("BrokenServersTransport", "spec.proxyProtocol.version"),
    }


def test_empty_sections_stay() -> None:
    transport = only(translated({"proxyProtocol": {}, "tls": {}}), SECTION)
    assert transport.proxy_protocol == layer4.ProxyProtocol()
    assert transport.tls == layer4.TLSClientConfig()
