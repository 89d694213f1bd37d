"""Certificates and authorities from Secrets: which keys count, what is refused, what is only reported."""

from __future__ import annotations

import pytest

from config.tls import Certificate, StoredCertificate
from provider.findings import Rejected
from provider.resources.kinds import ObjectKey
from provider.translate.output import Output
from provider.translate.secrets import (
    certificate,
    certificate_authority,
    config_map_authority,
    route_certificate,
    stored_certificate,
)
from tests.provider.translate.tls_cluster import NAMESPACE, Cluster, brief
from tests.tls.pki import DAY, Authority, Pair

ROOT = Authority()
GOOD = ROOT.issue("a.example")


def output() -> Output:
    return Output.of(ObjectKey("IngressRoute", NAMESPACE, "one"))


def pair_of(pair: Pair) -> Certificate:
    return Certificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())


def test_a_pair_whatever_the_type_of_its_secret() -> None:
    holder = Cluster().secret("c", tls_crt=GOOD.chain, tls_key=GOOD.key, more="x").holder()
    assert certificate(holder, "c", "f") == pair_of(GOOD)
    assert holder.report.findings == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            {"tls_crt": "a"}, "Secret shop/c has no tls.key", marks=pytest.mark.behaviour("PR-61"), id="no key"
        ),
        pytest.param({}, "Secret shop/c has no tls.crt and no tls.key", id="nothing"),
        pytest.param({"tls_crt": "", "tls_key": "b"}, "Secret shop/c has an empty tls.crt", id="empty"),
        pytest.param(
            {"tls_crt": "", "tls_key": ""}, "Secret shop/c has an empty tls.crt and an empty tls.key", id="empties"
        ),
    ],
)
def test_an_incomplete_secret_is_refused(data: dict[str, str], message: str) -> None:
    with pytest.raises(Rejected) as caught:
        certificate(Cluster().secret("c", **data).holder(), "c", "spec.tls.secretName")
    assert (caught.value.reason, caught.value.message) == ("SecretIncomplete", message)
    assert caught.value.field == "spec.tls.secretName"
    assert caught.value.advice


def test_secrets_are_those_of_the_holders_namespace() -> None:
    cluster = Cluster().secret("c", "other", tls_crt=GOOD.chain, tls_key=GOOD.key)
    for name in ("c", "other/c", ""):
        with pytest.raises(Rejected) as caught:
            certificate(cluster.holder(), name, "f")
        assert caught.value.reason == "SecretNotFound"


def test_a_missing_secret_is_remembered_as_read() -> None:
    holder = Cluster().holder()
    route_certificate(holder, output(), "later")
    assert ObjectKey("Secret", NAMESPACE, "later") in holder.view.reads


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (Pair(b"a", b"b"), ("error", "InvalidCertificate", "f")),
        (Pair(GOOD.chain, ROOT.issue("b.example").key), ("error", "InvalidCertificate", "f")),
        (Pair(GOOD.chain, GOOD.key[:80]), ("error", "InvalidCertificate", "f")),
        (ROOT.issue("old.example", valid=-DAY), ("warning", "CertificateDates", "f")),
    ],
    ids=["no PEM", "key of another", "cut key", "expired"],
)
def test_a_worthless_pair_is_reported_and_handed_on(pair: Pair, expected: tuple[str, str, str]) -> None:
    holder = Cluster().secret("c", tls_crt=pair.chain, tls_key=pair.key).holder()
    assert certificate(holder, "c", "f") == pair_of(pair)
    assert brief(holder.report.findings) == [expected]


def test_a_private_key_is_in_no_finding() -> None:
    """Not even where it stands in the wrong place."""
    key = GOOD.key
    cluster = Cluster()
    cluster.secret("swapped", tls_crt=key, tls_key=GOOD.chain)
    cluster.secret("twice", tls_crt=key, tls_key=key)
    cluster.secret("wrapped", tls_crt=key.replace(b"PRIVATE KEY", b"CERTIFICATE"), tls_key=key)
    cluster.secret("cut", tls_crt=GOOD.chain, tls_key=key[: len(key) // 2] + key[-30:])
    cluster.secret("authority", ca_crt=key)
    holder = cluster.holder()
    for name in ("swapped", "twice", "wrapped", "cut"):
        certificate(holder, name, name)
    certificate_authority(holder, "authority", "authority")
    assert len(holder.report.findings) == 5
    shown = " ".join(map(str, holder.report.findings)) + repr(cluster.store) + repr(holder)
    for line in key.decode().splitlines():
        assert line.startswith("-----") or line not in shown


def test_a_path_is_content() -> None:
    holder = Cluster().secret("c", tls_crt="/etc/hostname", tls_key="/etc/passwd").holder()
    assert certificate(holder, "c", "f") == Certificate(cert_file="/etc/hostname", key_file="/etc/passwd")
    assert brief(holder.report.findings) == [("error", "InvalidCertificate", "f")]


def test_remarks_in_any_encoding_do_no_harm() -> None:
    holder = Cluster().secret("c", tls_crt=b"Stra\xdfe\n" + GOOD.chain, tls_key=GOOD.key).holder()
    assert certificate(holder, "c", "f").cert_file.endswith(GOOD.chain.decode())
    assert holder.report.findings == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"tls_ca": "1", "ca_crt": "2"}, "1"),
        ({"ca_crt": "2", "other": "3"}, "2"),
        ({"tls_ca": "", "ca_crt": "2"}, ""),
        ({"other": "3"}, "3"),
        ({"other": "3", "more": "4"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_keys_of_an_authority(data: dict[str, str], expected: str | None) -> None:
    holder = Cluster().secret("c", **data).holder()
    if expected is not None:
        assert certificate_authority(holder, "c", "f") == expected
        assert brief(holder.report.findings) == [("error", "InvalidAuthority", "f")]
    else:
        with pytest.raises(Rejected, match="has neither"):
            certificate_authority(holder, "c", "f")


def test_the_only_key_counts_where_that_is_allowed() -> None:
    with pytest.raises(Rejected, match="neither"):
        certificate_authority(Cluster().secret("c", other="3").holder(), "c", "f", allow_single_key=False)


def test_a_good_authority_is_not_reported() -> None:
    holder = Cluster().secret("c", ca_crt=ROOT.pem).config_map("m", ca_crt=ROOT.pem).holder()
    assert certificate_authority(holder, "c", "f") == config_map_authority(holder, "m", "f") == ROOT.pem
    assert holder.report.findings == []


def test_keys_of_an_authority_in_a_config_map() -> None:
    holder = Cluster().config_map("both", tls_ca="1", ca_crt="2").config_map("single", other="3").holder()
    assert config_map_authority(holder, "both", "f") == "1"
    with pytest.raises(Rejected, match="ConfigMap shop/single has neither"):
        config_map_authority(holder, "single", "f")
    with pytest.raises(Rejected, match="ConfigMap shop/none does not exist"):
        config_map_authority(holder, "none", "f")


def test_stored_certificates_are_named_by_namespace_and_secret() -> None:
    holder, out = Cluster().secret("c", tls_crt=GOOD.chain, tls_key=GOOD.key).holder(), output()
    stored_certificate(holder, out, "c", "f")
    expected = StoredCertificate(cert_file=GOOD.chain.decode(), key_file=GOOD.key.decode())
    assert out.of_section("tls.certificates") == {"shop/c": expected}


def test_a_route_without_its_certificate_says_so() -> None:
    holder, out = Cluster().holder(), output()
    route_certificate(holder, out, "c")
    route_certificate(holder, out, "")
    assert out.of_section("tls.certificates") == {}
    assert brief(holder.report.findings) == [("error", "SecretNotFound", "spec.tls.secretName")]
