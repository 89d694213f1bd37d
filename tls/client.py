"""TLS towards servers: a servers transport's values become settings, a context and connections.

Verification is Go's: a chain to the given authorities (or the system's), server authentication, dates, and the
host among the subject alternative names. `insecureSkipVerify` alone turns it off; together with a peer URI the
chain is still verified and the URI stands in for the host.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from cryptography import x509
from OpenSSL import SSL

from tls import ciphers, openssl
from tls.certificates import Certificate, certificates_in
from tls.contexts import offer_groups, security_level, trust_only, use_certificate
from tls.options import cipher_string, version_range


class PeerRefused(SSL.Error):
    """The server's certificate is not acceptable; `reason` is fit for a log line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ClientSettings(NamedTuple):
    """Checked values. `identity` covers all others but the warnings: part of a connection pool's key.

    `root_ca_pems` None: the system's authorities; empty: none, so every server is refused.
    """

    identity: bytes
    server_name: str
    insecure_skip_verify: bool
    root_ca_pems: tuple[str, ...] | None
    certificates: tuple[Certificate, ...]
    peer_cert_uri: str
    min_version: int
    max_version: int
    cipher_list: str
    alpn: tuple[bytes, ...]
    warnings: tuple[str, ...]


def client_settings(
    *,
    server_name: str = "",
    insecure_skip_verify: bool = False,
    root_cas: Sequence[str] = (),
    certificates: Sequence[Certificate] = (),
    cipher_suites: Sequence[str] | None = None,
    min_version: str = "",
    max_version: str = "",
    peer_cert_uri: str = "",
    alpn_protocols: Sequence[str] = ("http/1.1",),
) -> ClientSettings:
    """`root_cas`: PEM texts; unreadable ones are passed over with a warning. Raises OptionError."""
    warnings: list[str] = []
    low, high = version_range(min_version, max_version, warnings)
    for position, pem in enumerate(root_cas):
        if not certificates_in(pem.encode()):
            warnings.append(f"rootCAs[{position}]: no readable certificate; passed over")
    cipher_list = cipher_string(cipher_suites, warnings)
    if not cipher_list:
        low = ciphers.HIGHEST
    settings = ClientSettings(
        identity=b"",
        server_name=server_name,
        insecure_skip_verify=insecure_skip_verify,
        root_ca_pems=tuple(root_cas) if root_cas else None,
        certificates=tuple(certificates),
        peer_cert_uri=peer_cert_uri,
        min_version=low,
        max_version=high,
        cipher_list=cipher_list,
        alpn=tuple(protocol.encode() for protocol in alpn_protocols),
        warnings=tuple(warnings),
    )
    return settings._replace(identity=_identity(settings))


def with_alpn(settings: ClientSettings, protocols: Sequence[str]) -> ClientSettings:
    """The same settings offering other protocols."""
    changed = settings._replace(identity=b"", alpn=tuple(protocol.encode() for protocol in protocols))
    return changed._replace(identity=_identity(changed))


class ClientConnection(SSL.Connection):
    """A client side of TLS. Call `do_handshake` until it returns before sending anything."""

    peer_cert_uri = ""

    def do_handshake(self) -> None:
        """Raises what pyOpenSSL raises, and PeerRefused where the server's certificate is the reason."""
        try:
            super().do_handshake()
        except (SSL.WantReadError, SSL.WantWriteError, SSL.SysCallError, SSL.ZeroReturnError):
            raise
        except SSL.Error as error:
            if reason := openssl.verify_failure(self):
                raise PeerRefused(reason) from error
            raise
        if self.peer_cert_uri:
            self._check_uri()

    def _check_uri(self) -> None:
        peer = self.get_peer_certificate(as_cryptography=True)
        if peer is None or self.peer_cert_uri not in _uris(peer):
            raise PeerRefused(f"certificate does not hold the URI {self.peer_cert_uri}")


class ClientContext:
    """The context of one servers transport, made at first use; connections share it."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._context: SSL.Context | None = None

    def connect(self, host: str, transport: socket.socket | None) -> ClientConnection:
        """A connection to `host` (name or address from the URL) ready for `do_handshake`.

        The transport's server name, if set, is sent and verified in its place. Raises SSL.Error.
        """
        if self._context is None:
            self._context = _build(self.settings)
        connection = ClientConnection(self._context, transport)
        connection.peer_cert_uri = self.settings.peer_cert_uri
        name = (self.settings.server_name or host).removesuffix(".")
        if name and not _is_address(name):
            connection.set_tlsext_host_name(name.encode("ascii" if name.isascii() else "idna"))
        if not self.settings.insecure_skip_verify:
            openssl.expect_host(connection, name)
        connection.set_connect_state()
        return connection


def _build(settings: ClientSettings) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    names = settings.cipher_list or ":".join(ciphers.CIPHERS[name] for name in ciphers.DEFAULT_CIPHERS)
    context.set_cipher_list(f"{names}:@SECLEVEL={security_level(settings.min_version)}".encode())
    context.set_tls13_ciphersuites(":".join(ciphers.FIXED_CIPHERS).encode())
    context.set_min_proto_version(settings.min_version)
    context.set_max_proto_version(settings.max_version)
    context.set_options(SSL.OP_NO_COMPRESSION | openssl.OP_NO_RENEGOTIATION)
    context.set_mode(openssl.MODE_RELEASE_BUFFERS)
    offer_groups(context)
    if settings.root_ca_pems is None:
        context.set_default_verify_paths()
    trust_only(context, settings.root_ca_pems or ())
    verifies = not settings.insecure_skip_verify or bool(settings.peer_cert_uri)
    context.set_verify(SSL.VERIFY_PEER if verifies else SSL.VERIFY_NONE)
    for certificate in settings.certificates:
        use_certificate(context, certificate)
    if settings.alpn:
        context.set_alpn_protos(list(settings.alpn))
    return context


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _uris(peer: x509.Certificate) -> list[str]:
    try:
        names = peer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _identity(settings: ClientSettings) -> bytes:
    digests = [certificate.digest for certificate in settings.certificates]
    fields = settings._replace(certificates=(), warnings=())
    return hashlib.sha256(msgspec.msgpack.encode((tuple(fields), digests))).digest()
