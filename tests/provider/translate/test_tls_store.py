"""TLSStore: the default certificate decides about the whole, each other one about itself."""

from __future__ import annotations

from typing import Any

import pytest

from config import tls
from provider.resources.traefik_tls import TLSStore
from provider.translate.output import Output
from provider.translate.tls_store import SECTION, translate
from tests.provider.translate.tls_cluster import Cluster, found
from tests.tls.pki import Authority, Pair

ROOT = Authority()
FIRST, SECOND = ROOT.issue("a.example"), ROOT.issue("b.example")


def cluster() -> Cluster:
    made = Cluster()
    for name, pair in {"first": FIRST, "second": SECOND, "spoilt": Pair(b"a", b"b")}.items():
        made.secret(name, tls_crt=pair.chain, tls_key=pair.key)
    return made


def translated(spec: dict[str, Any], name: str = "default") -> Output:
    return cluster().translated(translate, TLSStore, spec, name)


def certificate(pair: Pair) -> tls.Certificate:
    return tls.Certificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())


def test_a_default_certificate_and_others() -> None:
    spec = {"defaultCertificate": {"secretName": "first"}, "certificates": [{"secretName": "second"}]}
    output = translated(spec)
    assert output.of_section(SECTION) == {"default": tls.TLSStore(default_certificate=certificate(FIRST))}
    assert output.of_section("tls.certificates") == {
        "shop/second": tls.StoredCertificate(
            cert_file=SECOND.chain.decode(), key_file=SECOND.key.decode(), stores=["default"]
        )
    }
    assert found(output) == []


@pytest.mark.behaviour("PR-63")
@pytest.mark.parametrize("name", ["missing", ""])
def test_without_its_default_certificate_all_is_lost(name: str) -> None:
    output = translated({"defaultCertificate": {"secretName": name}, "certificates": [{"secretName": "second"}]})
    assert output.sections == {}
    assert found(output) == [("error", "SecretNotFound", "spec.defaultCertificate.secretName")]
    assert "all its certificates" in output.report.findings[0].message


def test_a_spoilt_default_certificate_is_for_the_workers_to_refuse() -> None:
    output = translated({"defaultCertificate": {"secretName": "spoilt"}})
    spoilt = tls.Certificate(cert_file="a", key_file="b")
    assert output.of_section(SECTION) == {"default": tls.TLSStore(default_certificate=spoilt)}
    assert found(output) == [("error", "InvalidCertificate", "spec.defaultCertificate.secretName")]


def test_of_the_others_each_stands_alone() -> None:
    names = ["missing", "first", "", "second"]
    output = translated({"certificates": [{"secretName": name} for name in names]})
    assert output.of_section(SECTION) == {"default": tls.TLSStore()}
    assert set(output.of_section("tls.certificates")) == {"shop/first", "shop/second"}
    assert found(output) == [
        ("error", "SecretNotFound", "spec.certificates[0].secretName"),
        ("error", "SecretNotFound", "spec.certificates[2].secretName"),
    ]


def test_a_generated_certificate() -> None:
    generated = {"resolver": "le", "domain": {"main": "m.example", "sans": ["s.example"]}}
    output = translated({"defaultGeneratedCert": generated})
    expected = tls.GeneratedCertificate(resolver="le", domain=tls.Domain(main="m.example", sans=["s.example"]))
    assert output.of_section(SECTION) == {"default": tls.TLSStore(default_generated_cert=expected)}
    bare = translated({"defaultGeneratedCert": {"resolver": "le"}, "defaultCertificate": {"secretName": "first"}})
    assert bare.of_section(SECTION)["default"].default_generated_cert == tls.GeneratedCertificate(resolver="le")
    assert found(bare) == [("warning", "OptionIgnored", "spec.defaultGeneratedCert")]


def test_a_store_that_nobody_is_served_from_takes_no_certificate_from_routes() -> None:
    output = translated({"certificates": [{"secretName": "first"}, {"secretName": "missing"}]}, "my.store")
    assert output.sections == {SECTION: {"shop-my-store": tls.TLSStore()}}
    assert found(output) == [
        ("warning", "StoreNotServed", "metadata.name"),
        ("error", "SecretNotFound", "spec.certificates[1].secretName"),
    ]
