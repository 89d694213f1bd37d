"""A certificate with something in every field that PassTLSClientCert knows."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BEGIN = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
END = datetime.datetime(2044, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
SUBJECT = (
    (NameOID.COUNTRY_NAME, "FR"),
    (NameOID.COUNTRY_NAME, "US"),
    (NameOID.ORGANIZATION_NAME, 'Cheese, "Ltd"; 1'),
    (NameOID.ORGANIZATION_NAME, "Käse"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "Holes"),
    (NameOID.STATE_OR_PROVINCE_NAME, "Some-State"),
    (NameOID.LOCALITY_NAME, "Here"),
    (NameOID.DOMAIN_COMPONENT, "org"),
    (NameOID.DOMAIN_COMPONENT, "cheese"),
    (NameOID.SERIAL_NUMBER, "17"),
    (NameOID.COMMON_NAME, "first"),
    (NameOID.COMMON_NAME, "*.example.org"),
)
ISSUER = ((NameOID.COMMON_NAME, "CA"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "Signing"), (NameOID.COUNTRY_NAME, "DE"))
NAMES: tuple[x509.GeneralName, ...] = (
    x509.UniformResourceIdentifier("spiffe://a/b?c"),
    x509.DNSName("a.example"),
    x509.RFC822Name("mail@a.example"),
    x509.IPAddress(ipaddress.ip_address("10.0.1.0")),
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    x509.DNSName("*.b.example"),
)


def full_certificate(
    key: ec.EllipticCurvePrivateKey, names: tuple[x509.GeneralName, ...] = NAMES, number: int = 4711
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in SUBJECT]))
        .issuer_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in ISSUER]))
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())
