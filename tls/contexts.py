"""Settings and a bundle become an OpenSSL context, made at first use and kept under a bound.

A context here carries certificates, cipher list, ALPN choice, client authorities and the session id context.
It is never the start of a connection: see `tls/server.py` for how it is put on one, and why.
"""

from __future__ import annotations

import functools
import os
from collections import OrderedDict
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from tls import ciphers, openssl
from tls.certificates import Certificate, certificates_in
from tls.options import ClientAuthType, TLSSettings
from tls.store import Bundle

CONTEXTS_KEPT: Final = 1024
"""About 25 KiB each, half a millisecond to make: a worker that serves more names at once makes some again."""

_FORBID: Final = {
    0x0301: SSL.OP_NO_TLSv1,
    0x0302: SSL.OP_NO_TLSv1_1,
    0x0303: SSL.OP_NO_TLSv1_2,
    0x0304: SSL.OP_NO_TLSv1_3,
}
_VERIFY: Final = {
    ClientAuthType.NONE: SSL.VERIFY_NONE,
    ClientAuthType.REQUEST: SSL.VERIFY_PEER,
    ClientAuthType.REQUIRE_ANY: SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
    ClientAuthType.VERIFY_IF_GIVEN: SSL.VERIFY_PEER,
    ClientAuthType.REQUIRE_AND_VERIFY: SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}


class NoCommonProtocol(SSL.Error):
    """The client offers ALPN and nothing of ours; OpenSSL has sent the alert no_application_protocol."""


class ContextCache:
    """Contexts by settings and bundle, least recently used dropped. One per process, across generations.

    A dropped context lives on in the connections that use it.
    """

    def __init__(self, kept: int = CONTEXTS_KEPT) -> None:
        self._kept = kept
        self._contexts: OrderedDict[bytes, SSL.Context] = OrderedDict()

    def get(self, settings: TLSSettings, bundle: Bundle) -> SSL.Context:
        """Raises SSL.Error if OpenSSL refuses the certificates or settings."""
        key = settings.identity + bundle.digest
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = build_context(settings, bundle)
            while len(self._contexts) > self._kept:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(key)
        return context

    def __len__(self) -> int:
        return len(self._contexts)


def build_context(settings: TLSSettings, bundle: Bundle) -> SSL.Context:
    """One server context for `settings` showing `bundle`. Raises SSL.Error and nothing else."""
    try:
        return _build(settings, bundle)
    except (crypto.Error, ValueError, TypeError) as error:
        raise SSL.Error(f"no context for {bundle!r}: {type(error).__name__}") from error


def _build(settings: TLSSettings, bundle: Bundle) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    # the level comes first: it decides which keys may be loaded
    context.set_cipher_list(_cipher_list(settings).encode())
    context.set_tls13_ciphersuites(":".join(ciphers.FIXED_CIPHERS).encode())
    context.set_session_id(settings.identity)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(connection_options(settings.min_version, settings.max_version, settings.tickets))
    context.set_verify(verify_mode(settings.client_auth), verify_callback(settings.client_auth))
    _trust(context, settings.client_ca_pems)
    for certificate in bundle.certificates:
        use_certificate(context, certificate)
    if settings.alpn:
        context.set_alpn_select_callback(_alpn_choice(settings.alpn))
    return context


@functools.lru_cache(maxsize=64)
def connection_options(lowest: int, highest: int, tickets: bool) -> int:
    """OpenSSL's option bits: versions outside the range, no tickets."""
    bits = sum(bit for version, bit in _FORBID.items() if not lowest <= version <= highest)
    return bits if tickets else bits | SSL.OP_NO_TICKET


def verify_mode(kind: ClientAuthType) -> int:
    return _VERIFY[kind]


def verify_callback(kind: ClientAuthType) -> SSL._VerifyCallback | None:
    """None: OpenSSL's own verdict counts. The kinds that do not verify take any certificate."""
    if kind.verifies or kind is ClientAuthType.NONE:
        return None
    return _accept_any


def use_certificate(context: SSL.Context, certificate: Certificate) -> None:
    """Add a certificate with its own chain and key; one of each key type fits. Raises SSL.Error.

    Only OpenSSL's file call keeps a chain for each certificate (extra chain certificates are one list for all of
    a context), so the public half goes through an anonymous file in memory.
    """
    descriptor = os.memfd_create("chain", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(certificate.chain_pem)
        context.use_certificate_chain_file(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    key = load_pem_private_key(certificate.key_pem, None, unsafe_skip_rsa_key_validation=True)
    context.use_privatekey(key)  # type: ignore[arg-type]


def trust_only(context: SSL.Context, pem_texts: tuple[str, ...]) -> list[x509.Certificate]:
    """Make every certificate in `pem_texts` a trust anchor, intermediates too, as a Go pool does."""
    store = context.get_cert_store()
    assert store is not None
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    anchors = []
    for text in pem_texts:
        for certificate in certificates_in(text.encode()):
            store.add_cert(crypto.X509.from_cryptography(certificate))
            anchors.append(certificate)
    return anchors


def security_level(min_version: int) -> int:
    """Level 0 where TLS 1.0 or 1.1 is asked for (their signatures are SHA-1), else Go's demands: level 1."""
    return 0 if min_version < 0x0303 else 1


def _cipher_list(settings: TLSSettings) -> str:
    # the list must not be empty even where the versions leave TLS 1.3 alone, which ignores it
    names = settings.cipher_list or ":".join(ciphers.CIPHERS[name] for name in ciphers.DEFAULT_CIPHERS)
    return f"{names}:@SECLEVEL={security_level(settings.min_version)}"


def _trust(context: SSL.Context, pem_texts: tuple[str, ...]) -> None:
    for anchor in trust_only(context, pem_texts):
        context.add_client_ca(anchor)


def _accept_any(_connection: SSL.Connection, _peer: crypto.X509, _error: int, _depth: int, _ok: int) -> bool:
    return True


def _alpn_choice(ours: tuple[bytes, ...]) -> SSL._ALPNSelectCallback:
    def choose(_connection: SSL.Connection, theirs: list[bytes]) -> bytes:
        for protocol in ours:
            if protocol in theirs:
                return protocol
        # an exception is the one way to an alert; pyOpenSSL raises it from do_handshake
        raise NoCommonProtocol(f"client offers {theirs!r} only")

    return choose


def offer_groups(context: SSL.Context) -> None:
    """The default groups for connections made from `context`, in Go's order."""
    if not openssl.set_context_groups(context, ciphers.DEFAULT_CURVES):
        openssl.set_context_groups(context, ciphers.CLASSIC_CURVES)
