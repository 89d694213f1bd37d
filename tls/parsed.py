"""Certificates as objects, for a TLS stack that is not OpenSSL's: pairs to show, and clients' chains to judge.

HTTP/3 needs both. A pair is parsed at its first handshake and kept under a bound; what a chain must be is what
OpenSSL demands for the other protocols (`tls/contexts.py`): the same authorities, a client's purpose, no signature
that is too weak for security level 1.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import crypto

from tls import openssl
from tls.certificates import Certificate, certificates_in

PAIRS_KEPT: Final = 1024
_WEAK_HASHES: Final = frozenset({"md5", "sha1"})
_SHORTEST_RSA_BITS: Final = 1024


class Pair(NamedTuple):
    """A leaf, the rest of its chain, and the leaf's key."""

    leaf: x509.Certificate
    chain: list[x509.Certificate]
    key: PrivateKeyTypes


class ParsedPairs:
    """Pairs by certificate, least recently used dropped. One per process, across generations."""

    def __init__(self, kept: int = PAIRS_KEPT) -> None:
        self._kept = kept
        self._pairs: OrderedDict[bytes, Pair] = OrderedDict()

    def get(self, certificate: Certificate) -> Pair:
        pair = self._pairs.get(certificate.digest)
        if pair is not None:
            self._pairs.move_to_end(certificate.digest)
            return pair
        leaf, *chain = x509.load_pem_x509_certificates(certificate.chain_pem)
        key = load_pem_private_key(certificate.key_pem, None, unsafe_skip_rsa_key_validation=True)
        pair = self._pairs[certificate.digest] = Pair(leaf, chain, key)
        while len(self._pairs) > self._kept:
            self._pairs.popitem(last=False)
        return pair

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"<ParsedPairs {len(self)} of {self._kept}>"


class ChainRefused(Exception):
    """A client's certificate does not count; the message says why."""


def judge_client(chain: Sequence[x509.Certificate], authority_pems: tuple[str, ...]) -> None:
    """Does the chain (the client's own certificate first) lead to one of the authorities? Raises ChainRefused."""
    try:
        for certificate in chain:
            _judge_strength(certificate)
        own, *others = (crypto.X509.from_cryptography(one) for one in chain)
        crypto.X509StoreContext(_authorities(authority_pems), own, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        raise ChainRefused(str(error)) from error
    except (ValueError, x509.UnsupportedGeneralNameType, crypto.Error) as error:
        raise ChainRefused(f"unreadable: {error}") from error


def _judge_strength(certificate: x509.Certificate) -> None:
    """As OpenSSL's security level 1. The signature of an authority by itself says nothing."""
    algorithm, key = certificate.signature_hash_algorithm, certificate.public_key()
    if algorithm is not None and algorithm.name in _WEAK_HASHES and certificate.issuer != certificate.subject:
        raise ChainRefused(f"signed with {algorithm.name}")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SHORTEST_RSA_BITS:
        raise ChainRefused(f"an RSA key of {key.key_size} bits")


@functools.lru_cache(maxsize=64)
def _authorities(pem_texts: tuple[str, ...]) -> crypto.X509Store:
    """Every certificate in the texts is an anchor, intermediates too, as a Go pool has it."""
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    openssl.ask_for_clients(store)
    for text in pem_texts:
        for certificate in certificates_in(text.encode()):
            store.add_cert(crypto.X509.from_cryptography(certificate))
    return store
