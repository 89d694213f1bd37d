"""A small certificate authority for tests: everything made on the spot, nothing on disk."""

from __future__ import annotations

import datetime
import functools
import ipaddress
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tls.certificates import Certificate

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Kind = Literal["rsa", "ecdsa", "ed25519"]
Usage = Literal["server", "client"]
DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """PEM texts: `chain` begins with the leaf."""

    chain: bytes
    key: bytes

    def loaded(self) -> Certificate:
        return Certificate.load(self.chain, self.key)


@functools.cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """RSA keys are slow to draw: the same number gives the same key."""
    assert number >= 0
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_key(kind: Kind) -> PrivateKey:
    if kind == "rsa":
        return rsa_key()
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else ed25519.Ed25519PrivateKey.generate()


def key_pem(key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


class Authority:
    """A self-signed root, or an intermediate made by `intermediate`."""

    def __init__(self, name: str = "test root", issuer: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.issuer = issuer
        signer = issuer or self
        builder = _builder(self.name, signer.name, self.key, DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def intermediate(self, name: str) -> Authority:
        return Authority(name, self)

    def issue(
        self,
        *names: str,
        kind: Kind = "ecdsa",
        common_name: str = "",
        usage: Usage = "server",
        valid: datetime.timedelta = DAY,
        key: PrivateKey | None = None,
        uris: tuple[str, ...] = (),
    ) -> Pair:
        """A leaf for `names` (addresses recognised). A negative `valid` makes one that expired that long ago."""
        key = key or new_key(kind)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else [])
        builder = _builder(subject, self.name, key, valid)
        alternatives = [_general_name(name) for name in names] + [x509.UniformResourceIdentifier(u) for u in uris]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if usage == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        leaf = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return Pair(leaf + self._chain_above(), key_pem(key))

    def _chain_above(self) -> bytes:
        if self.issuer is None:
            return b""
        return self.certificate.public_bytes(Encoding.PEM) + self.issuer._chain_above()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, valid: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + valid) - DAY)
        .not_valid_after(now + valid)
    )
