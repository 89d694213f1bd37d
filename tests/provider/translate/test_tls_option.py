"""TLSOption: what is copied, which authorities count, and when the finding says that it is broken."""

from __future__ import annotations

from typing import Any

import pytest

from config import tls
from provider.resources.traefik_tls import TLSOption
from provider.translate.output import Output
from provider.translate.tls_option import SECTION, translate
from tests.provider.translate.tls_cluster import Cluster, found, only
from tests.tls.pki import Authority

ROOT = Authority()


def translated(spec: dict[str, Any], cluster: Cluster | None = None, name: str = "one") -> Output:
    return (cluster or Cluster()).translated(translate, TLSOption, spec, name)


def test_every_field() -> None:
    output = translated(
        {
            "minVersion": "VersionTLS12",
            "maxVersion": "VersionTLS13",
            "cipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            "curvePreferences": ["X25519"],
            "clientAuth": {"secretNames": ["ca"], "clientAuthType": "VerifyClientCertIfGiven"},
            "sniStrict": True,
            "alpnProtocols": ["h2"],
            "disableSessionTickets": True,
        },
        Cluster().secret("ca", tls_ca=ROOT.pem),
    )
    assert output.of_section(SECTION) == {
        "shop-one": tls.TLSOptions(
            min_version="VersionTLS12",
            max_version="VersionTLS13",
            cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            curve_preferences=["X25519"],
            client_auth=tls.ClientAuth(ca_files=[ROOT.pem], client_auth_type="VerifyClientCertIfGiven"),
            sni_strict=True,
            alpn_protocols=["h2"],
            disable_session_tickets=True,
        )
    }
    assert found(output) == []


def test_nothing_given_is_not_the_same_as_given_as_nothing() -> None:
    assert only(translated({}), SECTION) == tls.TLSOptions()
    nothing = only(translated({"cipherSuites": [], "alpnProtocols": []}), SECTION)
    assert (nothing.cipher_suites, nothing.alpn_protocols) == ([], [])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param("strict.tls", "shop-strict-tls", marks=pytest.mark.behaviour("PR-58")),
        ("default", "default"),
        ("plain", "shop-plain"),
    ],
)
def test_names(name: str, key: str) -> None:
    assert list(translated({}, name=name).of_section(SECTION)) == [key]


def test_authorities_that_cannot_be_had_are_left_out() -> None:
    cluster = Cluster().secret("a", ca_crt=ROOT.pem, tls_ca="").secret("b", ca_crt=ROOT.pem).secret("c", x="1")
    spec = {"clientAuth": {"secretNames": ["missing", "b", "c"], "clientAuthType": "RequireAndVerifyClientCert"}}
    output = translated(spec, cluster)
    assert only(output, SECTION).client_auth.ca_files == [ROOT.pem]
    assert found(output) == [
        ("error", "SecretNotFound", "spec.clientAuth.secretNames[0]"),
        ("error", "AuthorityMissing", "spec.clientAuth.secretNames[2]"),
    ]


@pytest.mark.behaviour("PR-60")
@pytest.mark.parametrize("kind", ["RequireAndVerifyClientCert", "VerifyClientCertIfGiven"])
def test_without_the_only_authority_the_option_is_broken_and_stays(kind: str) -> None:
    output = translated({"clientAuth": {"secretNames": ["missing"], "clientAuthType": kind}})
    assert only(output, SECTION).client_auth == tls.ClientAuth(client_auth_type=kind)
    assert found(output) == [
        ("error", "SecretNotFound", "spec.clientAuth.secretNames[0]"),
        ("error", "BrokenTLSOption", "spec.clientAuth.secretNames"),
    ]


def test_an_empty_authority_breaks_the_option() -> None:
    cluster = Cluster().secret("a", tls_ca="", ca_crt=ROOT.pem)
    output = translated({"clientAuth": {"secretNames": ["a"]}}, cluster)
    assert only(output, SECTION).client_auth.ca_files == [""]
    assert [reason for _, reason, _ in found(output)] == ["InvalidAuthority", "BrokenTLSOption"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"cipherSuites": ["TLS_NOPE"]}, "spec.cipherSuites[0]"),
        ({"curvePreferences": ["X25519", "Curve"]}, "spec.curvePreferences[1]"),
        ({"minVersion": "VersionTLS13", "maxVersion": "VersionTLS12"}, "spec.minVersion"),
        ({"clientAuth": {"clientAuthType": "Foo"}}, "spec.clientAuth.clientAuthType"),
    ],
    ids=str,
)
def test_what_the_workers_cannot_use_is_broken_and_stays_as_written(spec: dict[str, Any], field: str) -> None:
    output = translated(spec)
    assert only(output, SECTION) != tls.TLSOptions()
    assert found(output) == [("error", "BrokenTLSOption", field)]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"minVersion": "tls13"}, "spec.minVersion"),
        ({"cipherSuites": ["TLS_RSA_WITH_RC4_128_SHA", "TLS_AES_128_GCM_SHA256"]}, "spec.cipherSuites[0]"),
    ],
    ids=str,
)
def test_what_is_ignored_is_said(spec: dict[str, Any], field: str) -> None:
    assert found(translated(spec)) == [("warning", "OptionIgnored", field)]


def test_the_order_of_the_server_is_no_choice() -> None:
    assert [one[:2] for one in found(translated({"preferServerCipherSuites": True}))] == [
        ("warning", "OptionIgnored")
    ]
