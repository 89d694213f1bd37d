"""The PROXY protocol, versions 1 and 2: who a connection really comes from, told in its first bytes.

Pure: bytes in, an outcome out; and headers for servers (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt).
The reader is strict, as whoever speaks it is trusted with the client's address: one blank between the words, port
numbers without leading zeros, addresses of the family that was named. What follows the addresses of version 2
(TLVs) is passed over.
"""

from __future__ import annotations

import enum
import ipaddress
import struct
from typing import Final, NamedTuple, TypeAlias

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
LARGEST_V1_BYTES: Final = 107
LARGEST_V2_BYTES: Final = 16 + 65535
_WORD: Final = b"PROXY "
_HEAD_BYTES: Final = 16
_VERSION: Final = 0x20
_LOCAL, _PROXY = 0, 1
_STREAM_4, _STREAM_6 = 0x11, 0x21
_ADDRESSES_4: Final = struct.Struct(">4s4sHH")
_ADDRESSES_6: Final = struct.Struct(">16s16sHH")


class Endpoint(NamedTuple):
    """One end of a connection; an IPv4 address is never written in IPv6 form."""

    ip: str
    port: int


class Header(NamedTuple):
    """A complete header. `size_bytes` is what it takes up; `source` None: the socket's own addresses count."""

    size_bytes: int
    source: Endpoint | None = None
    destination: Endpoint | None = None


class Incomplete(NamedTuple):
    """The header goes on: at least so many bytes are needed from its start."""

    wanted_bytes: int


class BadHeader(NamedTuple):
    """It begins as a header and is none: the connection must be closed."""

    reason: str


class NoHeader(enum.Enum):
    """The connection begins with something else."""

    NONE = "no header"


Outcome: TypeAlias = Header | Incomplete | BadHeader | NoHeader


def parse(data: bytes) -> Outcome:
    """Look at the first bytes of a connection, all that there are so far. Raises nothing.

    A header of version 2 needs its first 16 bytes and those of its addresses here, the rest may be unread.

    >>> parse(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\\r\\nGET").source
    Endpoint(ip='192.0.2.1', port=4000)
    """
    if data.startswith(SIGNATURE):
        return _version_2(data)
    if data.startswith(_WORD):
        return _version_1(data)
    if SIGNATURE.startswith(data) or _WORD.startswith(data):
        return Incomplete(len(data) + 1)
    return NoHeader.NONE


def _version_1(data: bytes) -> Outcome:
    end = data.find(b"\r\n", 0, LARGEST_V1_BYTES)
    if end < 0:
        if len(data) >= LARGEST_V1_BYTES:
            return BadHeader("no end of line")
        return Incomplete(len(data) + 1)
    size = end + 2
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header(size)
    version = {b"TCP4": 4, b"TCP6": 6}.get(words[1])
    if version is None or len(words) != 6:
        return BadHeader("neither TCP4, TCP6 nor UNKNOWN with two addresses and two ports")
    try:
        ends = [Endpoint(_address(words[n], version), _port(words[n + 2])) for n in (2, 3)]
    except ValueError:
        return BadHeader("an address or port that is none")
    return Header(size, *ends)


def _address(text: bytes, version: int) -> str:
    address = ipaddress.ip_address(text.decode("ascii"))
    if address.version != version or b"%" in text:
        raise ValueError
    return _plain(address)


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _port(text: bytes) -> int:
    number = int(text) if text.isdigit() and len(text) <= 5 else -1
    if not 0 <= number <= 65535 or text != b"%d" % number:
        raise ValueError
    return number


def _version_2(data: bytes) -> Outcome:
    if len(data) < _HEAD_BYTES:
        return Incomplete(_HEAD_BYTES)
    command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (_VERSION | _LOCAL, _VERSION | _PROXY) or family >> 4 > 3 or family & 0x0F > 2:
        return BadHeader("unknown version, command, address family or protocol")
    size = _HEAD_BYTES + length
    layout = {_STREAM_4: _ADDRESSES_4, _STREAM_6: _ADDRESSES_6}.get(family)
    if command & 0x0F == _LOCAL or layout is None:  # the proxy's own connection, or no TCP over IP
        return Header(size)
    if length < layout.size:
        return BadHeader("too short for its addresses")
    if len(data) < _HEAD_BYTES + layout.size:
        return Incomplete(_HEAD_BYTES + layout.size)
    source, destination, source_port, destination_port = layout.unpack_from(data, _HEAD_BYTES)
    return Header(
        size,
        Endpoint(_plain(ipaddress.ip_address(source)), source_port),
        Endpoint(_plain(ipaddress.ip_address(destination)), destination_port),
    )


def write(version: int, source: Endpoint, destination: Endpoint) -> bytes:
    """The header that tells a server of `source`. `version` is 1 or 2; IPv6 zones are left out.

    Where one end is IPv4 and the other IPv6 both are written in IPv6 form.
    """
    ends = [ipaddress.ip_address(end.ip.partition("%")[0]) for end in (source, destination)]
    if any(end.version == 6 for end in ends):
        ends = [ipaddress.IPv6Address(end if end.version == 6 else f"::ffff:{end}") for end in ends]
    is_6 = ends[0].version == 6
    if version == 1:
        words = ["PROXY", "TCP6" if is_6 else "TCP4", *map(str, ends), str(source.port), str(destination.port)]
        return " ".join(words).encode("ascii") + b"\r\n"
    layout, family = (_ADDRESSES_6, _STREAM_6) if is_6 else (_ADDRESSES_4, _STREAM_4)
    addresses = layout.pack(ends[0].packed, ends[1].packed, source.port, destination.port)
    return SIGNATURE + struct.pack(">BBH", _VERSION | _PROXY, family, len(addresses)) + addresses
