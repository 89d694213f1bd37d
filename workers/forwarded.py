"""X-Forwarded-* and X-Real-Ip: whose word counts at an entry point, and what it adds for the server.

For a peer that is not trusted, or brought none of these headers, the added lines depend on connection and Host
alone: they are kept as one block of bytes that ends a head.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from config.networks import Network, address_of, parse_network
from config.static import EntryPoint
from workers.exchange import Header, Request
from workers.headers import ALIASING, MANAGED, WITH_UNDERSCORE, encode

if TYPE_CHECKING:
    from tls.server import ServerConnection as TLSConnection
    from workers.upstream.own import Own
_LONGEST_REMEMBERED_BYTES: Final = 262
"""Hosts up to this length are remembered: an idle connection must not hold a header of a megabyte."""


class ForwardedPolicy:
    """Whose X-Forwarded-* count at one entry point, and which names of headers are not wanted there. Immutable.

    `unwanted_names` finds something in these names (None: all are welcome); with `rejects` one of them is the end
    of the request, else the header is left out.
    """

    __slots__ = (
        "_insecure",
        "_networks",
        "append_peer",
        "kept_by_connection",
        "rejects",
        "server",
        "unwanted_names",
    )

    def __init__(self, options: EntryPoint, hostname: str = "") -> None:
        forwarded = options.forwarded_headers
        self._insecure = forwarded.insecure
        self._networks: Sequence[Network] = [parse_network(text) for text in forwarded.trusted_ips]
        self.append_peer = not forwarded.not_append_x_forwarded_for
        self.kept_by_connection = frozenset(name.lower().encode() for name in forwarded.connection)
        aliases, underscores = options.http.alias_headers_strategy, options.http.underscore_headers_strategy
        self.unwanted_names: re.Pattern[bytes] | None = None
        if (aliases or underscores) in ("delete", "reject"):
            self.unwanted_names = ALIASING if aliases else WITH_UNDERSCORE
        self.rejects = (aliases or underscores) == "reject"
        self.server = (hostname or socket.gethostname()).encode()

    def trusts(self, ip: str) -> bool:
        """Are this peer's X-Forwarded-* to be believed? Asked once a connection."""
        if self._insecure or not self._networks:
            return self._insecure
        address = address_of(ip)
        return address is not None and any(network.contains(address) for network in self._networks)


class Client:
    """The other end of one client connection, with what follows from it for all its requests."""

    __slots__ = (
        "_block",
        "_block_host",
        "admission",
        "entry_point",
        "ip",
        "is_tls",
        "own",
        "plain_ip",
        "policy",
        "port",
        "tls",
        "trusted",
    )

    def __init__(
        self,
        ip: str,
        port: int,
        is_tls: bool,
        entry_point: str,
        policy: ForwardedPolicy,
        tls: TLSConnection | None = None,
    ) -> None:
        self.ip = ip
        self.port = port
        self.is_tls = is_tls
        self.tls = tls
        """For questions about certificates and the session; None without TLS."""
        self.admission = tls.selection.settings.admission if tls is not None else None
        """The TLS option that the connection was made with, as far as it decides who is let in."""
        self.entry_point = entry_point
        self.policy = policy
        self.own: Own | None = None
        """Server connections that are this client connection's alone; None as long as there are none."""
        self.plain_ip = ip.partition("%")[0].encode()
        self.trusted = policy.trusts(ip)
        self._block_host: bytes | None = None
        self._block = b""

    def forwarded_block(self, host: bytes) -> bytes:
        """All X-Forwarded-* lines of a request that brought none, to the end of the head."""
        if host != self._block_host:
            headers = [*_additions(self, host, {}, b"https" if self.is_tls else b"http")]
            if self.policy.append_peer:
                headers.append((b"X-Forwarded-For", self.ip.encode()))
            block = encode(headers) + b"\r\n"
            if len(host) > _LONGEST_REMEMBERED_BYTES:
                return block
            self._block, self._block_host = block, host
        return self._block

    def __repr__(self) -> str:
        return f"<Client {self.ip}:{self.port}{' trusted' if self.trusted else ''}>"


def _additions(client: Client, host: bytes, given: dict[bytes, bytes], proto: bytes) -> Iterable[Header]:
    """The managed headers that are missing in `given`; X-Forwarded-Server always."""
    if not given.get(b"x-real-ip"):
        yield b"X-Real-Ip", client.plain_ip
    proto = given.get(b"x-forwarded-proto") or proto
    if not given.get(b"x-forwarded-proto"):
        yield b"X-Forwarded-Proto", proto
    if not given.get(b"x-forwarded-port"):
        yield b"X-Forwarded-Port", _port(host, client.is_tls or proto in (b"https", b"wss"))
    if host and not given.get(b"x-forwarded-host"):
        yield b"X-Forwarded-Host", host
    yield b"X-Forwarded-Server", client.policy.server


def _port(host: bytes, secure: bool) -> bytes:
    _, colon, port = host.rpartition(b":")
    if colon and port and not port.endswith(b"]"):
        return port
    return b"443" if secure else b"80"


def forwarded_headers(request: Request) -> list[Header]:
    """What the entry point adds to an admitted request; the peer is appended to X-Forwarded-For later."""
    given = {}
    if request.marks & MANAGED:
        given = {name.lower(): value for name, value in reversed(request._headers)}
    return list(_additions(request.client, request.host_header, given, _proto(request)))


def _proto(request: Request) -> bytes:
    if request.upgrade.lower() == b"websocket":
        return b"wss" if request.client.is_tls else b"ws"
    return b"https" if request.client.is_tls else b"http"
