"""ServersTransport: every field, the defaults, and that what is wrong costs that item alone."""

from __future__ import annotations

from typing import Any

import pytest

from config import http
from config.tls import Certificate
from provider.resources.traefik_transports import ServersTransport
from provider.translate.output import Output
from provider.translate.servers_transport import SECTION, translate
from tests.provider.translate.tls_cluster import Cluster, found, only
from tests.tls.pki import Authority, Pair

ROOT, OTHER = Authority(), Authority("other")
OWN = ROOT.issue("proxy.example", usage="client")
SUITE = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"


def cluster() -> Cluster:
    made = (
        Cluster().secret("ca", tls_ca=ROOT.pem).secret("single", x=OTHER.pem).config_map("map", ca_crt=OTHER.pem)
    )
    return made.secret("own", tls_crt=OWN.chain, tls_key=OWN.key)


def translated(spec: dict[str, Any], name: str = "one") -> Output:
    return cluster().translated(translate, ServersTransport, spec, name)


def certificate(pair: Pair) -> Certificate:
    return Certificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())


def test_every_field() -> None:
    output = translated(
        {
            "serverName": "backend.example",
            "insecureSkipVerify": True,
            "rootCAs": [{"secret": "ca"}, {"configMap": "map"}],
            "certificatesSecrets": ["own"],
            "cipherSuites": [SUITE],
            "minVersion": "VersionTLS12",
            "maxVersion": "VersionTLS13",
            "maxIdleConnsPerHost": 5,
            "disableHTTP2": True,
            "forwardingTimeouts": {
                "dialTimeout": "1s",
                "responseHeaderTimeout": 2,
                "idleConnTimeout": "3",
                "readIdleTimeout": "1500ms",
                "pingTimeout": "1m30s",
            },
            "peerCertURI": "spiffe://a/b",
            "spiffe": {"ids": ["spiffe://a/b"], "trustDomain": "a"},
        }
    )
    assert only(output, SECTION) == http.ServersTransport(
        server_name="backend.example",
        insecure_skip_verify=True,
        root_cas=[ROOT.pem, OTHER.pem],
        certificates=[certificate(OWN)],
        cipher_suites=[SUITE],
        min_version="VersionTLS12",
        max_version="VersionTLS13",
        max_idle_conns_per_host=5,
        forwarding_timeouts=http.ForwardingTimeouts(
            dial_timeout="1s",
            response_header_timeout="2s",
            idle_conn_timeout="3s",
            read_idle_timeout="1.5s",
            ping_timeout="1m30s",
        ),
        disable_http2=True,
        peer_cert_uri="spiffe://a/b",
        spiffe=http.Spiffe(ids=["spiffe://a/b"], trust_domain="a"),
    )
    assert found(output) == [("error", "BrokenServersTransport", "spec.spiffe")]


def test_an_empty_one_has_the_default_timeouts() -> None:
    specs: list[dict[str, Any]] = [{}, {"forwardingTimeouts": {}}]
    for spec in specs:
        output = translated(spec, "with.dot")
        transport = http.ServersTransport(forwarding_timeouts=http.FORWARDING_TIMEOUTS_DEFAULTS)
        assert output.of_section(SECTION) == {"shop-with-dot": transport}


def test_a_zero_timeout_is_none() -> None:
    spec = {"forwardingTimeouts": {"dialTimeout": 0, "idleConnTimeout": "0", "pingTimeout": "0s"}}
    assert only(translated(spec), SECTION).forwarding_timeouts == http.ForwardingTimeouts()


@pytest.mark.behaviour("PR-70")
@pytest.mark.parametrize("text", ["10m5", "", "soon", "1.5"])
def test_a_timeout_that_cannot_be_read_is_zero(text: str) -> None:
    output = translated({"serverName": "s", "forwardingTimeouts": {"dialTimeout": text}})
    transport = only(output, SECTION)
    assert transport.server_name == "s"
    assert transport.forwarding_timeouts == http.ForwardingTimeouts(idle_conn_timeout="1m30s", ping_timeout="15s")
    assert found(output) == [("error", "InvalidDuration", "spec.forwardingTimeouts.dialTimeout")]


@pytest.mark.behaviour("PR-71")
def test_a_bare_number_counts_seconds() -> None:
    timeouts = only(translated({"forwardingTimeouts": {"dialTimeout": "100", "pingTimeout": -5}}), SECTION)
    assert timeouts.forwarding_timeouts.dial_timeout == "1m40s"
    assert timeouts.forwarding_timeouts.ping_timeout == "-5s"


def test_authorities_of_the_deprecated_field_come_first() -> None:
    output = translated({"rootCAs": [{"secret": "ca"}], "rootCAsSecrets": ["single"]})
    assert only(output, SECTION).root_cas == [OTHER.pem, ROOT.pem]
    assert found(output) == [("warning", "Deprecated", "spec.rootCAsSecrets")]


def test_authorities_that_cannot_be_had_are_left_out() -> None:
    entries = [{"secret": "missing"}, {"configMap": "missing"}, {"secret": "ca", "configMap": "map"}, {}]
    output = translated({"rootCAs": [*entries, {"secret": "ca"}]})
    assert only(output, SECTION).root_cas == [ROOT.pem]
    assert found(output) == [
        ("error", "SecretNotFound", "spec.rootCAs[0]"),
        ("error", "ConfigMapNotFound", "spec.rootCAs[1]"),
        ("error", "AmbiguousAuthority", "spec.rootCAs[2]"),
        ("error", "AmbiguousAuthority", "spec.rootCAs[3]"),
    ]


def test_without_any_authority_the_systems_ones_are_trusted_and_that_is_said() -> None:
    output = translated({"rootCAs": [{"secret": "missing"}]})
    assert only(output, SECTION).root_cas == []
    assert found(output)[-1] == ("warning", "SystemAuthorities", "spec")


def test_a_spoilt_authority_stays_and_trusts_nobody() -> None:
    spoilt = cluster().secret("spoilt", tls_ca="no certificate")
    output = spoilt.translated(translate, ServersTransport, {"rootCAs": [{"secret": "spoilt"}]})
    assert only(output, SECTION).root_cas == ["no certificate"]
    assert found(output) == [("error", "InvalidAuthority", "spec.rootCAs[0]")]


def test_certificates_that_cannot_be_had_are_left_out() -> None:
    output = translated({"certificatesSecrets": ["missing", "own", "ca"]})
    assert only(output, SECTION).certificates == [certificate(OWN)]
    assert found(output) == [
        ("error", "SecretNotFound", "spec.certificatesSecrets[0]"),
        ("error", "SecretIncomplete", "spec.certificatesSecrets[2]"),
    ]


def test_one_unknown_cipher_suite_takes_the_whole_list() -> None:
    output = translated({"cipherSuites": [SUITE, "TLS_NOPE"]})
    assert only(output, SECTION).cipher_suites == []
    assert found(output) == [("warning", "OptionIgnored", "spec.cipherSuites[1]")]


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected", "field"),
    [
        ("VersionTLS12", "VersionTLS13", ("VersionTLS12", "VersionTLS13"), ""),
        ("VersionTLS13", "", ("VersionTLS13", ""), ""),
        ("VersionTLS10", "VersionTLS11", ("VersionTLS10", "VersionTLS11"), ""),
        ("VersionTLS13", "VersionTLS12", ("VersionTLS12", ""), "spec.minVersion"),
        ("VersionTLS13", "VersionTLS13", ("VersionTLS12", ""), "spec.minVersion"),
        ("tls13", "VersionTLS12", ("", "VersionTLS12"), "spec.minVersion"),
        ("VersionTLS13", "1.2", ("VersionTLS13", ""), "spec.maxVersion"),
    ],
)
def test_versions(minimum: str, maximum: str, expected: tuple[str, str], field: str) -> None:
    output = translated({"minVersion": minimum, "maxVersion": maximum})
    transport = only(output, SECTION)
    assert (transport.min_version, transport.max_version) == expected
    assert found(output) == ([("warning", "OptionIgnored", field)] if field else [])
