"""The first bytes of a connection: is it TLS, and which name, protocols and versions does the client offer?

Pure: bytes in, an outcome out, no sockets. RFC 8446 section 4.1.2 and RFC 6066 section 3. The answer decides
option and certificate before OpenSSL sees the connection, so everything doubtful is Malformed (close, never
guess): several names, duplicated extensions, lengths that do not add up. A hello may come in any number of
segments and records; nothing beyond LARGEST_BYTES is kept.
"""

from __future__ import annotations

import enum
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


class _Reader:
    """A cursor over one message; every read is checked."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise _Broken("truncated ClientHello")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> _Reader:
        """A length of `width` bytes and as many bytes behind it."""
        return _Reader(self.take(self.number(width)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    def __bool__(self) -> bool:
        return self._position < len(self._data)


def _client_hello(handshake: bytes) -> ClientHello:
    message = _Reader(handshake)
    message.take(1)
    body = message.vector(3)
    if message:
        raise _Broken("bytes behind the ClientHello in its record")
    legacy_version = body.number(2)
    body.take(32)
    session = body.vector(1).rest()
    suites = body.vector(2).rest()
    compressions = body.vector(1).rest()
    if len(session) > 32 or not suites or len(suites) % 2 or not compressions:
        raise _Broken("bad ClientHello fields")
    extensions = _extensions(body)
    return ClientHello(
        server_name=_server_name(extensions.get(_SERVER_NAME)),
        alpn=_alpn(extensions.get(_ALPN)),
        versions=_versions(extensions.get(_SUPPORTED_VERSIONS), legacy_version),
    )


def _extensions(body: _Reader) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    if not body:
        return found
    block = body.vector(2)
    if body:
        raise _Broken("bytes behind the extensions")
    while block:
        kind = block.number(2)
        value = block.vector(2).rest()
        if kind in found:
            raise _Broken(f"extension {kind} given twice")
        found[kind] = value
    return found


def _server_name(value: bytes | None) -> str:
    """One host name exactly, as OpenSSL demands; anything else could be read in two ways."""
    if value is None:
        return ""
    extension = _Reader(value)
    names = extension.vector(2)
    kind = names.number(1)
    host = names.vector(2).rest()
    if extension or names or kind != 0 or not 0 < len(host) <= 255:
        raise _Broken("bad server name")
    if not all(0x21 <= byte <= 0x7E for byte in host):
        raise _Broken("server name is not printable ASCII")
    name = normalize_server_name(host.decode("ascii"))
    if not name:
        raise _Broken("empty server name")
    return name


def _alpn(value: bytes | None) -> tuple[bytes, ...]:
    if value is None:
        return ()
    extension = _Reader(value)
    block = extension.vector(2)
    protocols = []
    while block:
        protocols.append(block.vector(1).rest())
    if extension or not protocols or b"" in protocols:
        raise _Broken("bad list of protocols")
    return tuple(protocols)


def _versions(value: bytes | None, legacy: int) -> tuple[int, ...]:
    if value is None:
        return (legacy,)
    extension = _Reader(value)
    block = extension.vector(1)
    versions = []
    while block:
        versions.append(block.number(2))
    if extension or not versions:
        raise _Broken("bad list of versions")
    return tuple(versions)
