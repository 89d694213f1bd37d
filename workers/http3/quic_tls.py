"""The TLS of a QUIC connection: aioquic's, with the choices of `tls/` in place of one certificate for all.

The ClientHello is read by the parser that reads it for TCP, before aioquic's, and the entry point's table says
which option and certificate it gets. Sessions are never resumed, so there is no early data to be replayed, and no
session of one option under another. TLS 1.3 only: an option that ends below it has no HTTP/3.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

from aioquic import tls
from aioquic._buffer import Buffer
from cryptography import x509

from tls.alerts import DECODE_ERROR, INTERNAL_ERROR, HandshakeRefused
from tls.ciphers import FIXED_CIPHERS, HIGHEST
from tls.hello import LARGEST_BYTES, ClientHello, Malformed, read_message
from tls.options import ClientAuthType
from tls.parsed import ChainRefused, ParsedPairs, judge_client
from tls.server import Selection

PROTOCOL: Final = "h3"
_BAD_CERTIFICATE: Final = 42
_PROTOCOL_VERSION: Final = 70
_CERTIFICATE_REQUIRED: Final = 116
_GROUPS: Final = {
    "X25519": tls.Group.X25519,
    "P-256": tls.Group.SECP256R1,
    "P-384": tls.Group.SECP384R1,
}

_SUITES: Final = [tls.CipherSuite[name.removeprefix("TLS_")] for name in FIXED_CIPHERS]

Choose = Callable[[ClientHello], Selection]
"""Option and certificate of a handshake. Raises HandshakeRefused."""


class Refusal(tls.Alert):
    """An alert by its number: RFC 8446 section 6."""

    def __init__(self, description: int, reason: str) -> None:
        super().__init__(reason)
        self.description = description  # type: ignore[assignment]


class ServerTLS(tls.Context):
    """One handshake. `selection` is there from the ClientHello on, `client_certificates` at its end."""

    def __init__(self, choose: Choose, pairs: ParsedPairs, logger: Any) -> None:
        super().__init__(
            is_client=False,
            alpn_protocols=[PROTOCOL],
            cipher_suites=_SUITES,
            logger=logger,
            verify_mode=int(ssl.CERT_NONE),
        )
        self.selection: Selection | None = None
        self._choose = choose
        self._pairs = pairs

    @property
    def client_certificates(self) -> Sequence[x509.Certificate]:
        """What the client presented, its own certificate first; empty if it has none."""
        own = self._peer_certificate
        return () if own is None else (own, *self._peer_certificate_chain)

    @property
    def session_labels(self) -> tuple[bytes, bytes]:
        """Version and IANA name of the cipher suite, as `tls.server.ServerConnection` has them."""
        schedule = self.key_schedule
        return b"1.3", b"unknown" if schedule is None else b"TLS_" + schedule.cipher_suite.name.encode()

    def handle_message(self, input_data: bytes, output_buf: dict[tls.Epoch, Buffer]) -> None:
        if len(self._receive_buffer) + len(input_data) > LARGEST_BYTES:
            raise Refusal(DECODE_ERROR, f"a message above {LARGEST_BYTES} bytes")
        super().handle_message(input_data, output_buf)

    def _server_handle_hello(self, input_buf: Buffer, initial_buf: Buffer, handshake_buf: Buffer) -> None:
        message = input_buf.data_slice(0, input_buf.capacity)
        self._select(message)
        super()._server_handle_hello(input_buf, initial_buf, handshake_buf)

    def _select(self, message: bytes) -> None:
        hello = read_message(message)
        if isinstance(hello, Malformed):
            raise Refusal(DECODE_ERROR, hello.reason)
        try:
            selection = self._choose(hello)
        except HandshakeRefused as refused:
            raise Refusal(INTERNAL_ERROR if refused.alert is None else refused.alert, refused.reason) from refused
        settings = selection.settings
        if settings.max_version < HIGHEST:
            raise Refusal(_PROTOCOL_VERSION, f"TLS option {settings.name} ends below TLS 1.3")
        self.selection = selection
        if settings.curves:
            names = settings.curves.split(":")
            self._supported_groups = [_GROUPS[name] for name in names if name in _GROUPS]
        self._request_client_certificate = settings.client_auth is not ClientAuthType.NONE
        self._show(selection, message)

    def _show(self, selection: Selection, message: bytes) -> None:
        """The first certificate that the client can verify; there is one for each type of key."""
        accepted = set(tls.pull_client_hello(Buffer(data=message)).signature_algorithms or ())
        for certificate in selection.bundle.certificates:
            pair = self._pairs.get(certificate)
            self.certificate, self.certificate_chain = pair.leaf, pair.chain
            self.certificate_private_key = pair.key  # type: ignore[assignment]
            if accepted.intersection(self._signature_algorithms_for_private_key()):
                return

    def _server_handle_certificate(self, input_buf: Buffer) -> None:
        super()._server_handle_certificate(input_buf)
        assert self.selection is not None
        if not self.client_certificates and self.selection.settings.client_auth.requires:
            raise Refusal(_CERTIFICATE_REQUIRED, "no client certificate")

    def _server_handle_certificate_verify(self, input_buf: Buffer) -> None:
        super()._server_handle_certificate_verify(input_buf)
        assert self.selection is not None
        settings = self.selection.settings
        if settings.client_auth.verifies:
            try:
                judge_client(self.client_certificates, settings.client_ca_pems)
            except ChainRefused as refused:
                raise Refusal(_BAD_CERTIFICATE, str(refused)) from refused
