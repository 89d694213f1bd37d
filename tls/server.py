"""How a connection gets its option and certificate, and how sessions resume across workers, never across options.

What OpenSSL does (probed, and pinned by the tests of this file):
- Ticket keys belong to the context that a connection was *made* from and stay with it when the context is
  switched. pyOpenSSL cannot set ticket keys. So every connection is made from one base context, which is made
  before the fork: all workers share its keys and a ticket of one is good at every other.
- Certificates, cipher list, ALPN callback, authorities and session id context come from the context *switched
  to*; versions, verify mode, options and groups do not, they stay the connection's own.
- A ticket is judged while the ClientHello is parsed, before the servername callback runs. A switch in that
  callback is too late: the session id context compared would be that of the base.

So nothing happens in callbacks: the ClientHello is sniffed first, option and certificate are chosen from it, then
the connection is made from the base, switched before its handshake begins, and given the rest of the settings
itself. The session id context is the identity of the settings (a digest of the option's name and all its
fields): a ticket earned without a client certificate, under other authorities or before an option changed
means a full handshake. Should OpenSSL read another server name than was sniffed (a second ClientHello may differ
from the first), the handshake fails at its end. Keys live as long as the base, so as long as
the master; an upgrade makes new ones.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cryptography import x509
from OpenSSL import SSL

from tls import ciphers, openssl
from tls.contexts import ContextCache, connection_options, offer_groups, verify_callback, verify_mode
from tls.options import ClientAuthType, TLSSettings
from tls.server_names import normalize_server_name
from tls.store import Bundle

SESSION_SECONDS: Final = 2 * 3600
"""How long a ticket is good: what a stolen ticket key would open."""


class Selection(NamedTuple):
    """Everything decided for a connection before its handshake. `server_name`: as sniffed, normalized."""

    settings: TLSSettings
    bundle: Bundle
    server_name: str


class ServerConnection(SSL.Connection):
    """A server side of TLS. Call `do_handshake` until it returns before reading or writing anything."""

    selection: Selection
    clock: Callable[[], float]

    def do_handshake(self) -> None:
        """Raises what pyOpenSSL raises, and SSL.Error if the finished handshake is not the one selected."""
        super().do_handshake()
        resumed = self.resumed
        # below TLS 1.3 there is one ClientHello, and a resumed session would answer with its own old name
        if not resumed or self.get_protocol_version() >= ciphers.HIGHEST:
            self._check_name()
        if resumed and self.selection.settings.client_auth.verifies:
            self._check_dates()

    @property
    def resumed(self) -> bool:
        """Whether the handshake took up an earlier session."""
        return openssl.was_resumed(self)

    @functools.cached_property
    def client_certificates(self) -> Sequence[x509.Certificate]:
        """What the client presented, its own certificate first; empty if it has none. After the handshake.

        Of a resumed session only the client's own: tickets do not carry the rest of the chain.
        """
        own = self.get_peer_certificate(as_cryptography=True)
        if own is None:
            return ()
        others = self.get_peer_cert_chain(as_cryptography=True) or ()
        return (own, *(one for one in others if one != own))

    @functools.cached_property
    def session_labels(self) -> tuple[bytes, bytes]:
        """Version (`1.3`) and IANA name of the cipher suite, or `unknown`. After the handshake."""
        version = self.get_protocol_version_name().removeprefix("TLSv")
        cipher = ciphers.IANA_NAMES.get(self.get_cipher_name() or "", "unknown")
        return (f"{version}.0" if version == "1" else version).encode(), cipher.encode()

    def _check_name(self) -> None:
        name = (self.get_servername() or b"").decode("latin-1")
        if normalize_server_name(name) != self.selection.server_name:
            raise SSL.Error("the server name changed during the handshake")

    def _check_dates(self) -> None:
        """A session remembers that the client's certificate was verified, not that it has expired since."""
        peer = self.get_peer_certificate(as_cryptography=True)
        if peer is not None and self.clock() > peer.not_valid_after_utc.timestamp():
            raise SSL.Error("the client certificate of the resumed session has expired")


class ServerBase:
    """The start of every server connection and owner of the ticket keys. Make it once, before the fork."""

    def __init__(self, session_seconds: int = SESSION_SECONDS, clock: Callable[[], float] = time.time) -> None:
        """`session_seconds`: how long a ticket is good. `clock`: Unix seconds."""
        self.clock = clock
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        # as wide as any option may ask for: each connection narrows it
        context.set_min_proto_version(ciphers.VERSIONS["VersionTLS10"])
        context.set_options(
            SSL.OP_CIPHER_SERVER_PREFERENCE
            | SSL.OP_NO_COMPRESSION
            | openssl.OP_PRIORITIZE_CHACHA
            | openssl.OP_NO_RENEGOTIATION
        )
        context.set_mode(openssl.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_timeout(session_seconds)
        # equal to no settings' identity: a connection that nobody switched resumes nothing of theirs
        context.set_session_id(b"pointsman base")
        offer_groups(context)
        self._context = context

    def connect(
        self, selection: Selection, contexts: ContextCache, transport: socket.socket | None
    ) -> ServerConnection:
        """A connection ready for `do_handshake`, over the descriptor of `transport` or memory (None).

        Raises SSL.Error if no context can be made; the client must then be closed, there is no fall-back.
        """
        settings = selection.settings
        context = contexts.get(settings, selection.bundle)
        connection = ServerConnection(self._context, transport)
        connection.selection = selection
        connection.clock = self.clock
        connection.set_context(context)
        connection.set_options(connection_options(settings.min_version, settings.max_version, settings.tickets))
        if settings.client_auth is not ClientAuthType.NONE:  # which is how the base is
            connection.set_verify(verify_mode(settings.client_auth), verify_callback(settings.client_auth))
        if settings.curves:
            openssl.set_groups(connection, settings.curves)
        connection.set_accept_state()
        return connection
