"""A PEM pair becomes a value: what the store needs to know, and the bytes until a handshake needs more.

A cluster may bring ten thousand certificates of which a worker shows a handful. So each pair is parsed once, for
its names, dates and the check that the key belongs to it; the parsed objects are dropped and the PEM kept. The
private key never appears in a repr or an error.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import time
import warnings
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tls.server_names import normalize_server_name

KeyType: TypeAlias = Literal["rsa", "ecdsa", "ed25519", "ed448"]
"""One context holds one certificate of each type: these are OpenSSL's slots."""

_KEY_TYPES: Final[tuple[tuple[type, KeyType], ...]] = (
    (rsa.RSAPublicKey, "rsa"),
    (ec.EllipticCurvePublicKey, "ecdsa"),
    (ed25519.Ed25519PublicKey, "ed25519"),
    (ed448.Ed448PublicKey, "ed448"),
)
_BLOCK: Final = re.compile(
    rb"-----BEGIN (?P<label>[A-Z0-9 ]{1,40})-----[ \t]*\r?\n.*?-----END (?P=label)-----", re.DOTALL
)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class CertificateError(Exception):
    """This pair cannot be served; the message says what is wrong with which half, never what it contains."""


class Certificate:
    """One leaf with its chain and private key. Equal when chain and key are; never prints the key.

    `names`: CN, DNS names and addresses, normalized, sorted, each once. `key`: these names joined by commas, by
    which the original orders certificates. Dates in Unix seconds.
    """

    __slots__ = ("chain_pem", "digest", "key", "key_pem", "key_type", "names", "not_after", "not_before")

    def __init__(
        self,
        chain_pem: bytes,
        key_pem: bytes,
        *,
        names: tuple[str, ...],
        key_type: KeyType,
        not_before: float,
        not_after: float,
    ) -> None:
        self.chain_pem = chain_pem
        self.key_pem = key_pem
        self.names = names
        self.key = ",".join(names)
        self.key_type: KeyType = key_type
        self.not_before = not_before
        self.not_after = not_after
        self.digest = hashlib.blake2b(chain_pem + b"\0" + key_pem, digest_size=16).digest()

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> Certificate:
        """Parse and check a pair; about 0.2 ms. Dates are not judged: see `expiry_warning`.

        Raises CertificateError for anything that no handshake could use.
        """
        chain_pem = _certificate_blocks(certificate_pem)
        key_block = _private_key_block(key_pem)
        with _quiet():
            chain = _parse_chain(chain_pem)
            leaf = chain[0]
            _check_pair(chain, _public_key_of(key_block))
            return cls(
                chain_pem,
                key_block,
                names=_names(leaf),
                key_type=_key_type(leaf),
                not_before=leaf.not_valid_before_utc.timestamp(),
                not_after=leaf.not_valid_after_utc.timestamp(),
            )

    @property
    def leaf(self) -> x509.Certificate:
        """Parsed anew at every use: for pages and checks, not for the hot path."""
        return x509.load_pem_x509_certificate(self.chain_pem)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the leaf's DER bytes, lower-case hexadecimal, as browsers and `openssl x509` show it."""
        return hashlib.sha256(self.leaf.public_bytes(Encoding.DER)).hexdigest()

    @property
    def serial(self) -> int:
        return self.leaf.serial_number

    def expiry_warning(self, now: float | None = None) -> str:
        """A sentence if the certificate is not valid at `now` (Unix seconds), else empty. It is served anyway."""
        moment = time.time() if now is None else now
        if moment > self.not_after:
            return f"certificate for {self.key or 'no name'} expired on {_day(self.not_after)}; it is still served"
        if moment < self.not_before:
            return f"certificate for {self.key or 'no name'} is not valid before {_day(self.not_before)}"
        return ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Certificate {self.key or '(no name)'} {self.key_type} until {_day(self.not_after)}>"


def certificates_in(pem: bytes) -> list[x509.Certificate]:
    """Every readable certificate of a CA bundle; unreadable blocks are passed over as Go's pool does."""
    found = []
    for label, block in _blocks(pem):
        if label == b"CERTIFICATE":
            try:
                with _quiet():
                    found.append(x509.load_pem_x509_certificate(block))
            except _UNREADABLE:
                continue
    return found


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()


def _quiet() -> warnings.catch_warnings[None]:
    # cryptography warns about odd serial numbers and encodings that clients accept all the same
    return warnings.catch_warnings(action="ignore")


def _blocks(pem: bytes) -> list[tuple[bytes, bytes]]:
    return [(match["label"], match[0]) for match in _BLOCK.finditer(pem)]


def _certificate_blocks(pem: bytes) -> bytes:
    blocks = [block for label, block in _blocks(pem) if label == b"CERTIFICATE"]
    if not blocks:
        raise CertificateError("no PEM block CERTIFICATE in the certificate")
    return b"\n".join(blocks) + b"\n"


def _private_key_block(pem: bytes) -> bytes:
    for label, block in _blocks(pem):
        if label == b"ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in block:
            raise CertificateError("the private key is encrypted; store it without a pass phrase")
        if label.endswith(b"PRIVATE KEY"):
            return block + b"\n"
    raise CertificateError("no PEM block PRIVATE KEY in the key")


def _parse_chain(chain_pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(chain_pem)
    except _UNREADABLE as error:
        raise CertificateError(f"the certificate cannot be read: {error}") from error


def _public_key_of(key_block: bytes) -> bytes:
    try:
        # The primes of an RSA key are not tested again (100 ms a key): a wrong one fails the comparison below.
        key = load_pem_private_key(key_block, None, unsafe_skip_rsa_key_validation=True)
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE:
        # the parser's own words might quote the key
        raise CertificateError("the private key cannot be read") from None


def _check_pair(chain: list[x509.Certificate], public_key: bytes) -> None:
    for position, certificate in enumerate(chain):
        if _subject_key(certificate) == public_key:
            if position:
                raise CertificateError(
                    f"the private key belongs to certificate {position + 1} of the chain; put that one first"
                )
            return
    raise CertificateError("the private key does not belong to the certificate")


def _subject_key(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE as error:
        raise CertificateError(f"the key of the certificate cannot be read: {error}") from error


def _key_type(leaf: x509.Certificate) -> KeyType:
    public_key = leaf.public_key()
    for kind, name in _KEY_TYPES:
        if isinstance(public_key, kind):
            return name
    raise CertificateError(f"keys of the type {type(public_key).__name__} are not served; use ECDSA or RSA")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        common = [str(item.value) for item in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        names = common + _alternative_names(leaf)
    except _UNREADABLE as error:
        raise CertificateError(f"the names of the certificate cannot be read: {error}") from error
    return tuple(sorted({normalize_server_name(name) for name in names if name.strip()}))


def _alternative_names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return found.get_values_for_type(x509.DNSName) + addresses
