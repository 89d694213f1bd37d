"""What PassTLSClientCert says about a certificate: chosen facts in one line, `KEY="text"` joined by `;`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from config.middlewares_auth import ClientCertificateInfo, IssuerInfo, SubjectInfo

_EVERY: Final = (
    ("domain_component", NameOID.DOMAIN_COMPONENT, "DC"),
    ("country", NameOID.COUNTRY_NAME, "C"),
    ("province", NameOID.STATE_OR_PROVINCE_NAME, "ST"),
    ("locality", NameOID.LOCALITY_NAME, "L"),
    ("organization", NameOID.ORGANIZATION_NAME, "O"),
    ("organizational_unit", NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
)
_LAST: Final = (
    ("serial_number", NameOID.SERIAL_NUMBER, "SN"),
    ("common_name", NameOID.COMMON_NAME, "CN"),
)
"""Of these only the last one in a name counts."""


def certificate_info(certificate: x509.Certificate, wanted: ClientCertificateInfo) -> str:
    """The wanted facts that the certificate has, in a fixed order, nothing escaped."""
    return ";".join(f'{key}="{text}"' for key, text in _fields(certificate, wanted) if text)


def _fields(certificate: x509.Certificate, wanted: ClientCertificateInfo) -> Iterator[tuple[str, str]]:
    if wanted.subject is not None:
        yield "Subject", _name(certificate.subject, wanted.subject)
    if wanted.issuer is not None:
        yield "Issuer", _name(certificate.issuer, wanted.issuer)
    if wanted.serial_number:
        yield "SerialNumber", str(certificate.serial_number)
    if wanted.not_before:
        yield "NB", str(int(certificate.not_valid_before_utc.timestamp()))
    if wanted.not_after:
        yield "NA", str(int(certificate.not_valid_after_utc.timestamp()))
    if wanted.sans:
        yield "SAN", ",".join(_alternative_names(certificate))


def _name(name: x509.Name, wanted: SubjectInfo | IssuerInfo) -> str:
    parts = []
    for option, oid, key in _EVERY:
        if getattr(wanted, option, False):
            parts += [f"{key}={value}" for value in _values(name, oid)]
    for option, oid, key in _LAST:
        if getattr(wanted, option):
            parts += [f"{key}={value}" for value in _values(name, oid)[-1:]]
    return ",".join(parts)


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [value for one in name.get_attributes_for_oid(oid) if (value := one.value) and isinstance(value, str)]


def _alternative_names(certificate: x509.Certificate) -> Iterable[str]:
    """Names, mail addresses, IP addresses, URIs; none where the extension is missing or cannot be read."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return
    for kind in (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier):
        yield from map(str, names.get_values_for_type(kind))
