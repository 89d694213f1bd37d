"""How TCP servers are reached: connect, say who the client is, shake hands where the server wants TLS.

One `TCPTransport` for each servers transport of the configuration; it lives as long as that stays the same, with
its TLS context and what its resolver remembers. What cannot be honoured is a BuildError of the services that name
the transport, never a weaker connection.
"""

from __future__ import annotations

import socket
from typing import Final, NamedTuple

from OpenSSL import SSL

from config.layer4 import ProxyProtocol, TCPServersTransport, TLSClientConfig
from config.units import DurationError, parse_go_duration
from tls.certificates import Certificate, CertificateError
from tls.client import ClientContext, ClientSettings, client_settings
from workers.building import BuildError
from workers.errors import UNREACHABLE, ProxyError
from workers.proxy_protocol import Endpoint, write
from workers.stream import Stream
from workers.timers import NEVER, TimerWheel, current_wheel
from workers.tls_stream import TLSStream
from workers.upstream.dial import Address, Resolver, connect, numeric_address

KEEP_ALIVE_SECONDS: Final = 15.0
HANDSHAKE_SECONDS: Final = 10.0
"""How long a server's handshake may take where dialling has no limit of its own."""
_VERSIONS: Final = (1, 2)
_LARGEST_PORT: Final = 65535


class TCPServer(NamedTuple):
    """Where connections go. `address` None: `host` is a name, asked for anew by each."""

    name: str
    host: str
    port: int
    is_tls: bool
    address: Address | None

    @classmethod
    def of(cls, address: str, is_tls: bool = False) -> TCPServer:
        """Split `host:port` or `[IPv6]:port`; no host is this machine. Raises ValueError saying what is wrong."""
        host, colon, port = address.rpartition(":")
        if not colon:
            raise ValueError("missing port in address")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("too many colons in address")
        if not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) <= _LARGEST_PORT:
            raise ValueError(f"invalid port {port!r}")
        host = host or "localhost"
        return cls(address, host, int(port), is_tls, numeric_address(host, int(port)))


class TCPTransport:
    """Dials. Immutable but for what the resolver remembers; made in the worker."""

    __slots__ = (
        "_context",
        "_dial_seconds",
        "_keep_alive_seconds",
        "_resolver",
        "config",
        "delay_seconds",
        "version",
    )

    def __init__(self, config: TCPServersTransport, wheel: TimerWheel | None = None) -> None:
        """Raises BuildError."""
        self.config = config
        self._dial_seconds = _seconds("dialTimeout", config.dial_timeout)
        self._keep_alive_seconds = _seconds("dialKeepAlive", config.dial_keep_alive) or KEEP_ALIVE_SECONDS
        self.delay_seconds = _seconds("terminationDelay", config.termination_delay)
        """How long a side may still send after the other has ended: see Tunnel."""
        self.version = proxy_version(config.proxy_protocol)
        self._context = ClientContext(_tls(config.tls or TLSClientConfig()))
        self._resolver = Resolver(wheel or current_wheel())

    def dial(self, server: TCPServer, wheel: TimerWheel, header: bytes) -> Stream:
        """A stream to `server`, with `header` written before anything else. Raises ProxyError, StreamError.

        The wheel must have a user, so that it ticks.
        """
        if server.is_tls:
            self._check_verifiable()
        seconds = self._dial_seconds
        deadline = wheel.tick + TimerWheel.ticks(seconds) if seconds > 0 else NEVER
        addresses = (
            [server.address] if server.address else self._resolver.resolve(server.host, server.port, seconds)
        )
        stream = connect(addresses, deadline, wheel)
        try:
            self._set_keep_alive(stream.sock)
            until = wheel.tick + TimerWheel.ticks(seconds if seconds > 0 else HANDSHAKE_SECONDS)
            stream.set_read_deadline(until)
            stream.set_write_deadline(until)
            if header:
                stream.write(header)
            return self._secured(stream, until) if server.is_tls else stream
        except BaseException:
            stream.close()
            raise

    def _set_keep_alive(self, sock: socket.socket) -> None:
        seconds = self._keep_alive_seconds
        if seconds < 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            return
        whole = min(max(round(seconds), 1), 32767)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, whole)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, whole)

    def _check_verifiable(self) -> None:
        settings = self._context.settings
        if not settings.server_name and not settings.insecure_skip_verify:
            raise ProxyError(
                UNREACHABLE, "TLS to a server needs serverName or insecureSkipVerify in its transport"
            )

    def _secured(self, stream: Stream, until: int) -> Stream:
        sock, wheel = stream.sock, stream.wheel
        try:
            secured = TLSStream(sock, wheel, self._context.connect("", sock))
        except SSL.Error as error:
            raise ProxyError(UNREACHABLE, f"TLS: {error!r}") from error
        stream.detach()
        secured.set_read_deadline(until)
        secured.set_write_deadline(until)
        try:
            secured.handshake()
        except SSL.Error as error:
            secured.close()
            raise ProxyError(UNREACHABLE, f"TLS handshake: {error!r}") from error
        except BaseException:
            secured.close()
            raise
        return secured

    def __repr__(self) -> str:
        return f"<TCPTransport {self._dial_seconds:g} s>"


class Dialling(NamedTuple):
    """A transport and what a load balancer may say in its stead. `version` 0: no PROXY header."""

    transport: TCPTransport
    version: int
    delay_seconds: float

    def dial(self, server: TCPServer, wheel: TimerWheel, client: Endpoint, local: Endpoint | None) -> Stream:
        """As TCPTransport.dial. Unless `local` is None the server is told of `client`, who connected to it."""
        header = write(self.version, client, local) if local is not None else b""
        return self.transport.dial(server, wheel, header)


def proxy_version(config: ProxyProtocol | None) -> int:
    """Version of the header that servers get, 0 for none. Raises BuildError."""
    if config is None:
        return 0
    if config.version not in _VERSIONS:
        raise BuildError(f"unknown proxyProtocol version: {config.version}")
    return config.version


def _seconds(field: str, text: str) -> float:
    try:
        return parse_go_duration(text) if text else 0.0
    except DurationError as error:
        raise BuildError(f"{field}: {error}") from error


def _tls(config: TLSClientConfig) -> ClientSettings:
    if config.spiffe is not None:
        raise BuildError("spiffe is not served by this version of Pointsman; write rootCAs and peerCertURI")
    certificates = []
    for place, pair in enumerate(config.certificates):
        try:
            certificates.append(Certificate.load(pair.cert_file.encode(), pair.key_file.encode()))
        except CertificateError as error:
            raise BuildError(f"tls.certificates[{place}]: {error}") from error
    return client_settings(
        server_name=config.server_name,
        insecure_skip_verify=config.insecure_skip_verify,
        root_cas=config.root_cas,
        certificates=certificates,
        peer_cert_uri=config.peer_cert_uri,
        alpn_protocols=(),
    )
