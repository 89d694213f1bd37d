"""A private key that is planted wherever a Secret is read comes out in the configuration and nowhere else."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from provider.findings import FindingLog
from provider.options import TranslationOptions
from provider.store import Store
from provider.translate.builder import build
from tests.provider.golden import store_of
from tests.tls.pki import Authority

PAIR = Authority().issue("planted.example")
KEY = PAIR.key.decode()
LINES = [line for line in KEY.splitlines() if not line.startswith("-----")]
PLACES = {
    "good": {"tls.crt": PAIR.chain.decode(), "tls.key": KEY},
    "swapped": {"tls.crt": KEY, "tls.key": PAIR.chain.decode()},
    "twice": {"tls.crt": KEY, "tls.key": KEY},
    "cut": {"tls.crt": PAIR.chain.decode(), "tls.key": KEY[:-40]},
    "half": {"tls.key": KEY},
    "authority": {"tls.ca": KEY},
    "single": {"anything": KEY},
    "relabelled": {"tls.ca": KEY.replace("PRIVATE KEY", "CERTIFICATE"), "tls.crt": KEY, "tls.key": "x"},
}


def of_kind(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def cluster() -> Store:
    documents: list[dict[str, Any]] = []
    for name, texts in PLACES.items():
        metadata = {"name": name, "namespace": "shop"}
        documents += [
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts},
            of_kind("IngressRoute", name, {"routes": [], "tls": {"secretName": name}}),
            of_kind("IngressRouteTCP", name, {"routes": [], "tls": {"secretName": name}}),
            of_kind("TLSOption", name, {"clientAuth": {"secretNames": [name]}}),
            of_kind("TLSStore", name, {"defaultCertificate": {"secretName": name}}),
            of_kind("ServersTransport", name, {"rootCAs": [{"secret": name}], "certificatesSecrets": [name]}),
            of_kind(
                "ServersTransportTCP", name, {"tls": {"rootCAsSecrets": [name], "certificatesSecrets": [name]}}
            ),
        ]
    undecodable = {"name": "undecodable", "namespace": "shop"}
    documents.append(
        {"apiVersion": "v1", "kind": "Secret", "metadata": undecodable, "data": {"tls.key": KEY + "!"}}
    )
    return store_of(documents)


def assert_hidden(text: str) -> None:
    assert not any(line in text for line in LINES)


def test_findings_logs_and_representations_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    store = cluster()
    result = build(store, TranslationOptions())
    with caplog.at_level(logging.DEBUG):
        FindingLog().update(result.findings)
    assert len(caplog.records) > len(PLACES)
    assert_hidden(caplog.text)
    assert_hidden(" ".join(map(str, result.findings)))
    for key in store.keys("Secret"):
        assert_hidden(repr(store.get(*key)))


def test_nor_do_certificates_that_are_printed() -> None:
    configuration = build(cluster(), TranslationOptions()).configuration
    tls = configuration.tls
    assert set(tls.certificates) >= {"shop/good", "shop/swapped"}
    assert_hidden(repr(tls.certificates) + repr(tls.stores))
    certificates = [transport.certificates for transport in configuration.http.servers_transports.values()]
    assert_hidden(repr(certificates))
    assert LINES[0] in msgspec.json.encode(tls.certificates["shop/good"]).decode()
