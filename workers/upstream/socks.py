"""SOCKS 5 (RFC 1928) with user name and password (RFC 1929): ask a proxy to connect to a server.

Names are resolved by the proxy.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from workers.stream import Stream

if TYPE_CHECKING:
    from workers.upstream.outgoing import OutgoingProxy

_VERSION: Final = 5
_OPEN, _PASSWORD = 0, 2
_CONNECT: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_LONGEST: Final = 255
_REFUSALS: Final = (
    "",
    "general failure",
    "not allowed",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "TTL expired",
    "command not supported",
    "address type not supported",
)


class SocksError(Exception):
    """The proxy does not do it, or does not speak SOCKS; the message is fit for a log line."""


def ask(stream: Stream, proxy: OutgoingProxy, host: str, port: int) -> None:
    """Have `stream` connected to the server. Raises SocksError, StreamError."""
    methods = (_OPEN, _PASSWORD) if proxy.authorization else (_OPEN,)
    stream.write(bytes([_VERSION, len(methods), *methods]))
    version, method = _take(stream, 2)
    if version != _VERSION or method not in methods:
        raise SocksError("no way to authenticate that both know" if version == _VERSION else "no SOCKS 5")
    if method == _PASSWORD:
        _authenticate(stream, proxy.user, proxy.password)
    stream.write(bytes([_VERSION, _CONNECT, 0]) + _place(host) + port.to_bytes(2, "big"))
    version, code, _, kind = _take(stream, 4)
    if version != _VERSION or code:
        raise SocksError(_REFUSALS[code] if code < len(_REFUSALS) else f"refused with code {code}")
    if kind not in (_IPV4, _NAME, _IPV6):
        raise SocksError("an address of no known type in its answer")
    size = 4 if kind == _IPV4 else 16 if kind == _IPV6 else _take(stream, 1)[0]
    _take(stream, size + 2)


def _authenticate(stream: Stream, user: bytes, password: bytes) -> None:
    if not 0 < len(user) <= _LONGEST or not 0 < len(password) <= _LONGEST:
        raise SocksError("user name and password must have 1 to 255 bytes")
    stream.write(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
    if _take(stream, 2)[1]:
        raise SocksError("user name or password refused")


def _place(host: str) -> bytes:
    try:
        address = ip_address(host.partition("%")[0])  # a zone is this machine's own affair
    except ValueError:
        name = host.encode("idna")
        if len(name) > _LONGEST:
            raise SocksError("the server's name is too long") from None
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed


def _take(stream: Stream, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        piece = stream.read(size - len(data))
        if not piece:
            raise SocksError("the proxy closed the connection")
        data += piece
    return data
