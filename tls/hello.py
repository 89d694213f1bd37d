"""The first bytes of a connection: is it TLS, and which name, protocols and versions does the client offer?

Pure: bytes in, an outcome out, no sockets. RFC 8446 section 4.1.2 and RFC 6066 section 3. The answer decides
option and certificate before OpenSSL sees the connection, so everything doubtful is Malformed (close, never
guess): several names, duplicated extensions, lengths that do not add up. A hello may come in any number of
segments and records; nothing beyond LARGEST_BYTES is kept.
"""

from __future__ import annotations

import enum
import re
import struct
from typing import Final, NamedTuple, TypeAlias

from tls.server_names import normalize_server_name

LARGEST_BYTES: Final = 64 * 1024
POSTGRES_SSL_REQUEST: Final = bytes((0, 0, 0, 8, 4, 210, 22, 47))
"""What a PostgreSQL client sends before its ClientHello, asking for TLS."""
POSTGRES_SSL_ACCEPTED: Final = b"S"

_HANDSHAKE: Final = 0x16
_SSL_2: Final = 0x80
_CLIENT_HELLO: Final = 1
_LARGEST_RECORD: Final = 16384
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_SUPPORTED_VERSIONS: Final = 43
_NAME_HEAD: Final = struct.Struct(">HBH")
"""Length of the list, kind of the name, length of the name."""
_extension_head: Final = struct.Struct(">HH").unpack_from
_is_printable: Final = re.compile(rb"[\x21-\x7e]+").fullmatch


class ClientHello(NamedTuple):
    """`server_name`: normalized, empty if none was sent. `alpn`: as offered, client's order.

    `versions`: wire numbers the client accepts, from supported_versions or else the legacy field.
    """

    server_name: str
    alpn: tuple[bytes, ...] = ()
    versions: tuple[int, ...] = ()


class Malformed(NamedTuple):
    """It began like TLS and is not a ClientHello that can be trusted; the connection must be closed."""

    reason: str


class Sniffed(enum.Enum):
    MORE = "more bytes are needed"
    NOT_TLS = "not TLS"


Outcome: TypeAlias = ClientHello | Malformed | Sniffed


class _Broken(Exception):
    """Internal: becomes Malformed at the only exit."""


class HelloSniffer:
    """Feed it what arrives until it answers anything but Sniffed.MORE; that answer is final.

    Every byte is looked at once: a client that sends one byte a segment costs no more than its bytes.
    """

    __slots__ = ("_handshake", "_outcome", "_pending", "_size")

    def __init__(self) -> None:
        self._pending = bytearray()  # an incomplete record
        self._handshake = bytearray()  # the payloads of complete ones
        self._size = 0
        self._outcome: Outcome = Sniffed.MORE

    def feed(self, data: bytes) -> Outcome:
        """Take the next bytes (never ones given before). Raises nothing."""
        if self._outcome is not Sniffed.MORE or not data:
            return self._outcome
        room = LARGEST_BYTES - self._size
        self._size += len(data)
        self._pending += data[:room]
        try:
            self._outcome = self._advance()
        except _Broken as broken:
            self._outcome = Malformed(str(broken))
        if self._outcome is Sniffed.MORE and self._size >= LARGEST_BYTES:
            self._outcome = Malformed(f"ClientHello above {LARGEST_BYTES} bytes")
        if self._outcome is not Sniffed.MORE:
            self._pending, self._handshake = bytearray(), bytearray()
        return self._outcome

    def _advance(self) -> Outcome:
        if not self._handshake and self._pending[0] not in (_HANDSHAKE, _SSL_2):
            return Sniffed.NOT_TLS
        position = 0
        # what follows the hello (early data, say) is not looked at: OpenSSL judges it
        while not _is_complete(self._handshake):
            end = _record_end(self._pending, position)
            if not end:
                del self._pending[:position]
                return Sniffed.MORE
            self._handshake += self._pending[position + 5 : end]
            position = end
        return _client_hello(bytes(self._handshake))


def sniff(data: bytes) -> Outcome:
    """One look at bytes that are all there is so far, as a peek at a socket gives them."""
    return HelloSniffer().feed(data)


def read_message(message: bytes) -> ClientHello | Malformed:
    """A whole handshake message, its head included, as it comes without records (in QUIC: RFC 9001 section 4)."""
    try:
        return _client_hello(message)
    except _Broken as broken:
        return Malformed(str(broken))


def _record_end(data: bytearray, position: int) -> int:
    """Where the record at `position` ends; 0 if it is not all there. Checked as early as its bytes arrive."""
    header = data[position : position + 5]
    if header and header[0] != _HANDSHAKE:
        raise _Broken("SSL 2 hello" if header[0] == _SSL_2 else "not a handshake record")
    if len(header) > 1 and header[1] != 3:
        raise _Broken("unknown record version")
    if len(header) < 5:
        return 0
    length = header[3] << 8 | header[4]
    if not 0 < length <= _LARGEST_RECORD:
        raise _Broken("bad record length")
    end = position + 5 + length
    return end if end <= len(data) else 0


def _is_complete(handshake: bytearray) -> bool:
    if handshake and handshake[0] != _CLIENT_HELLO:
        raise _Broken("the first message is not a ClientHello")
    if len(handshake) < 4:
        return False
    length = int.from_bytes(handshake[1:4], "big")
    if length > LARGEST_BYTES:
        raise _Broken(f"ClientHello above {LARGEST_BYTES} bytes")
    return len(handshake) >= 4 + length


def _client_hello(message: bytes) -> ClientHello:
    """`message`: a whole handshake message, its head included."""
    size = len(message)
    if size != 4 + int.from_bytes(message[1:4], "big"):
        raise _Broken("bytes behind the ClientHello in its record")
    try:
        session_bytes = message[38]
        position = 39 + session_bytes
        suites_bytes = message[position] << 8 | message[position + 1]
        position += 2 + suites_bytes
        compressions = message[position]
        position += 1 + compressions
        extensions = _extensions(message, position) if position < size else {}
    except (IndexError, struct.error):
        raise _Broken("truncated ClientHello") from None
    if position > size or session_bytes > 32 or not suites_bytes or suites_bytes % 2 or not compressions:
        raise _Broken("bad ClientHello fields")
    return ClientHello(
        _server_name(extensions.get(_SERVER_NAME)),
        _alpn(extensions.get(_ALPN)),
        _versions(extensions.get(_SUPPORTED_VERSIONS), message[4] << 8 | message[5]),
    )


def _extensions(message: bytes, position: int) -> dict[int, bytes]:
    """Contents by kind, from the length of the block to the message's end. IndexError, struct.error: truncated."""
    found: dict[int, bytes] = {}
    size = len(message)
    if (message[position] << 8 | message[position + 1]) != size - position - 2:
        raise _Broken("the extensions do not end with the ClientHello")
    position += 2
    while position < size:
        kind, length = _extension_head(message, position)
        begin = position + 4
        position = begin + length
        if kind in found:
            raise _Broken(f"extension {kind} given twice")
        found[kind] = message[begin:position]
    if position != size:
        raise _Broken("truncated ClientHello")
    return found


def _server_name(value: bytes | None) -> str:
    """One host name exactly, as OpenSSL demands; anything else could be read in two ways."""
    if value is None:
        return ""
    host = value[_NAME_HEAD.size :]
    if not host:
        raise _Broken("bad server name")
    listed, kind, length = _NAME_HEAD.unpack_from(value)
    if listed != len(value) - 2 or kind != 0 or length != len(host) or length > 255:
        raise _Broken("bad server name")
    if not _is_printable(host):
        raise _Broken("server name is not printable ASCII")
    name = normalize_server_name(host.decode("ascii"))
    if not name:
        raise _Broken("empty server name")
    return name


def _alpn(value: bytes | None) -> tuple[bytes, ...]:
    if value is None:
        return ()
    size = len(value)
    if size < 2 or (value[0] << 8 | value[1]) != size - 2:
        raise _Broken("bad list of protocols")
    protocols = []
    position = 2
    while position < size:
        begin = position + 1
        position = begin + value[position]
        protocols.append(value[begin:position])
    if position != size or not protocols or b"" in protocols:
        raise _Broken("bad list of protocols")
    return tuple(protocols)


def _versions(value: bytes | None, legacy: int) -> tuple[int, ...]:
    if value is None:
        return (legacy,)
    size = len(value) - 1
    if size < 2 or size % 2 or value[0] != size:
        raise _Broken("bad list of versions")
    return struct.unpack(f">{size // 2}H", value[1:])
