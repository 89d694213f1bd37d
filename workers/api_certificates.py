"""Certificates as the JSON objects of the API: what clients may be shown, never a key.

As in the original the name is the SHA-256 of the certificate, and the one of last resort is not listed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from tls.certificates import Certificate

WARNING_SECONDS: Final = 30 * 24 * 3600
_ALGORITHMS: Final = {
    SignatureAlgorithmOID.RSA_WITH_SHA1: "SHA1-RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "SHA256-RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "SHA384-RSA",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "SHA512-RSA",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: "ECDSA-SHA1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "ECDSA-SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "ECDSA-SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "ECDSA-SHA512",
    SignatureAlgorithmOID.ED25519: "Ed25519",
}


def status_of(certificate: Certificate, now: float | None = None) -> str:
    """`now`: Unix seconds."""
    left = certificate.not_after - (time.time() if now is None else now)
    return "expired" if left < 0 else "warning" if left < WARNING_SECONDS else "enabled"


def describe_certificate(certificate: Certificate) -> dict[str, Any]:
    """One certificate as `/api/certificates` lists it."""
    return _fixed(certificate.chain_pem) | {"status": status_of(certificate)}


def count_certificates(certificates: Iterable[Certificate]) -> dict[str, int]:
    """The overview's numbers."""
    statuses = [status_of(one) for one in certificates]
    return {"total": len(statuses), "warnings": statuses.count("warning"), "errors": statuses.count("expired")}


@lru_cache(maxsize=1024)
def _fixed(chain_pem: bytes) -> dict[str, Any]:
    """What does not change with time, in the original's order."""
    leaf = x509.load_pem_x509_certificate(chain_pem)
    fingerprint = leaf.fingerprint(hashes.SHA256()).hex()
    members: dict[str, Any] = {
        "name": fingerprint,
        "sans": sorted(_alternatives(leaf)),
        "notAfter": _written(leaf.not_valid_after_utc),
        "notBefore": _written(leaf.not_valid_before_utc),
        "serialNumber": str(leaf.serial_number),
        "commonName": _first(leaf.subject, NameOID.COMMON_NAME),
        "issuerOrg": _first(leaf.issuer, NameOID.ORGANIZATION_NAME),
        "issuerCN": _first(leaf.issuer, NameOID.COMMON_NAME),
        "issuerCountry": _first(leaf.issuer, NameOID.COUNTRY_NAME),
        "organization": _first(leaf.subject, NameOID.ORGANIZATION_NAME),
        "country": _first(leaf.subject, NameOID.COUNTRY_NAME),
        "version": f"v{leaf.version.value + 1}",
        **_key(leaf),
        "signatureAlgorithm": _ALGORITHMS.get(leaf.signature_algorithm_oid, ""),
        "certFingerprint": fingerprint,
        "publicKeyFingerprint": _key_fingerprint(leaf),
    }
    return {name: value for name, value in members.items() if name == "sans" or value not in ("", 0)}


def _alternatives(leaf: x509.Certificate) -> Iterator[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return
    yield from names.get_values_for_type(x509.DNSName)
    yield from map(str, names.get_values_for_type(x509.IPAddress))


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    value = found[0].value if found else ""
    return value if isinstance(value, str) else value.decode("latin-1")


def _key(leaf: x509.Certificate) -> dict[str, Any]:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return {"keyType": "RSA", "keySize": key.key_size}
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"keyType": "ECDSA", "keySize": key.key_size}
    return {"keyType": "Unknown"}


def _key_fingerprint(leaf: x509.Certificate) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()
