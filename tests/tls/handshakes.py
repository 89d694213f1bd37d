"""A TLS conversation in memory: Python's ssl as the client, ours as the server, one thread, no sockets.

The server side does what a worker does: sniff the first bytes, select, connect or refuse, shake hands.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from OpenSSL import SSL

from config.tls import TLSOptions as Options
from tests.tls.pki import Pair
from tls.alerts import HandshakeRefused
from tls.contexts import ContextCache
from tls.hello import ClientHello, HelloSniffer, Sniffed
from tls.options import TLSSettings, resolve
from tls.selection import TLSTable
from tls.server import ServerBase, ServerConnection
from tls.server_names import NameTable
from tls.store import Bundle, CertificateStore

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3


def client_context(
    *,
    only: ssl.TLSVersion | None = None,
    alpn: Sequence[str] = (),
    certificate: Pair | None = None,
    ciphers: str = "",
) -> ssl.SSLContext:
    """A client that looks at what it is shown and judges nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if only is not None:
        context.minimum_version = only
        context.maximum_version = only
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if ciphers:
        context.set_ciphers(ciphers)
    if certificate is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "client.pem")
            path.write_bytes(certificate.key + certificate.chain)
            context.load_cert_chain(path)
    return context


@dataclass
class Result:
    """`error`: what the client saw, empty if all went well; `refused`: what the server said to itself."""

    error: str = ""
    refused: str = ""
    resumed: bool = False
    session: ssl.SSLSession | None = None
    certificate: bytes = b""
    alpn: str | None = None
    version: str | None = None
    cipher: str = ""
    server: ServerConnection | None = None
    option: str = ""
    silent: bool = False

    @property
    def alert(self) -> str:
        """The alert the client got, in OpenSSL's words: `protocol version`; empty if there was none."""
        found = re.search(r"alert ([a-z ]+?) \(", self.error) or re.search(
            r"tlsv1 (unrecognized name)", self.error
        )
        return found[1] if found else ""

    @property
    def ok(self) -> bool:
        return not self.error and not self.refused


@dataclass
class Server:
    """One process' worth of TLS: base, cached contexts, table."""

    store: CertificateStore
    options: dict[str, TLSSettings] = field(default_factory=lambda: {"default": resolve(Options())})
    hosts: NameTable[str] = field(default_factory=NameTable)
    challenges: dict[str, Bundle] = field(default_factory=dict)
    base: ServerBase = field(default_factory=ServerBase)
    contexts: ContextCache = field(default_factory=ContextCache)
    local_ip: str = ""

    @property
    def table(self) -> TLSTable:
        return TLSTable(self.store, self.options, self.hosts, challenges=self.challenges)

    def shake(
        self,
        server_name: str | None = None,
        client: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Result:
        """One connection: handshake, a byte each way (which brings the tickets of TLS 1.3), no farewell."""
        return _Conversation(self, server_name, client or client_context(), session).run()


class _Conversation:
    def __init__(
        self, server: Server, name: str | None, context: ssl.SSLContext, session: ssl.SSLSession | None
    ) -> None:
        self.server = server
        self.to_client = ssl.MemoryBIO()
        self.from_client = ssl.MemoryBIO()
        self.client = context.wrap_bio(self.to_client, self.from_client, server_hostname=name, session=session)
        self.sniffer = HelloSniffer()
        self.connection: ServerConnection | None = None
        self.result = Result()
        self.server_done = False

    def run(self) -> Result:
        for _round in range(12):
            client_done = self._client_step()
            if not self.result.refused:
                self._server_step()
            if self.result.error or (client_done and self.server_done):
                break
        self._note()
        return self.result

    def _client_step(self) -> bool:
        try:
            self.client.do_handshake()
            if not self.server_done:
                self.client.write(b"?")
            elif self.client.read(1) == b"!":
                self.result.session = self.client.session
                return True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.result.error = str(error)
        return False

    def _server_step(self) -> None:
        received = self.from_client.read()
        if self.connection is None:
            self.connection = self._connect(received)
        elif received:
            self.connection.bio_write(received)
        if self.connection is not None and not self.server_done:
            self._server_shake(self.connection)
            self._flush(self.connection)

    def _connect(self, received: bytes) -> ServerConnection | None:
        outcome = self.sniffer.feed(received)
        if outcome is Sniffed.MORE:
            return None
        assert isinstance(outcome, ClientHello), outcome
        try:
            selection = self.server.table.select(outcome, self.server.local_ip)
        except HandshakeRefused as refused:
            self.result.refused = refused.reason
            self.result.silent = not refused.record
            self.to_client.write(refused.record)
            self.to_client.write_eof()
            return None
        connection = self.server.base.connect(selection, self.server.contexts, None)
        self.result.option = selection.settings.name
        connection.bio_write(received)
        return connection

    def _server_shake(self, connection: ServerConnection) -> None:
        try:
            connection.do_handshake()
            if connection.recv(1):
                connection.send(b"!")
                self.server_done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.result.refused = repr(error)

    def _flush(self, connection: ServerConnection) -> None:
        try:
            while True:
                self.to_client.write(connection.bio_read(65536))
        except SSL.WantReadError:
            pass

    def _note(self) -> None:
        result = self.result
        result.server = self.connection
        if result.ok:
            assert self.connection is not None
            assert self.client.session_reused == self.connection.resumed
            result.resumed = bool(self.client.session_reused)
            result.certificate = self.client.getpeercert(True) or b""
            result.alpn = self.client.selected_alpn_protocol()
            result.version = self.client.version()
            cipher = self.client.cipher()
            result.cipher = cipher[0] if cipher else ""
