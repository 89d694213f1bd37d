"""Byte layout of a configuration generation; writer and reader side by side.

A generation is an immutable, sealed memfd:

    header | section table | sections (msgpack)

Each row of the table names a section, its shard, its place and the digest of its bytes, so a reader decodes
only what changed. The header carries a digest over itself and the table: a torn, truncated or foreign file
is refused before a single section is looked at. All integers are little-endian.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgpack
import msgspec

from config.findings import Finding
from config.http import Router, Server, ServersTransport, Service
from config.layer4 import (
    TCPMiddleware,
    TCPRouter,
    TCPServersTransport,
    TCPService,
    UDPRouter,
    UDPService,
)
from config.middlewares import Middleware
from config.shape import Shape
from config.tls import StoredCertificate, TLSOptions, TLSStore

MAGIC: Final = b"PNTSMAN\0"
LAYOUT: Final = 1
SHARD_COUNT: Final = 256
SECTIONS: Final = ("meta", "routing", "endpoints", "tls", "findings")
REQUIRED_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
LARGEST_BYTES: Final = 1 << 30
"""A generation above this is refused: no honest cluster needs it and a worker must not be starved by it."""

_HEADER: Final = struct.Struct("<8sHHIQQ16s")  # magic, layout, reserved, rows, number, total bytes, digest
_ROW: Final = struct.Struct("<12sIQQ16s")  # section, shard, offset, length, digest
_WRITE_BYTES: Final = 64 << 10  # in one call, which nothing interrupts: pages come at 2 GB/s
_WRITE_PIECES: Final = 1024  # IOV_MAX
_ROWS_AT_ONCE: Final = 64
_LARGEST_ROWS: Final = len(SECTIONS) * SHARD_COUNT


class GenerationRefused(Exception):
    """The descriptor does not hold a generation that can be trusted; the message says why."""


class Meta(Shape, frozen=True, kw_only=True):
    """`complete`: every watched kind had been listed when this was built; `sources`: where it came from."""

    number: int
    created_unix_seconds: float
    complete: bool = True
    sources: list[str] = []


class RoutingShard(Shape, frozen=True, kw_only=True):
    """Objects by qualified name, those whose names fall into one shard. HTTP services leave their servers out.

    Fields may be added without a new LAYOUT, because a reader skips what it does not know. That is safe here:
    to a worker that knows no middlewares, say, a router that names one is a router with a missing middleware,
    which is disabled and never served without it.
    """

    routers: dict[str, Router] = {}
    services: dict[str, Service] = {}
    middlewares: dict[str, Middleware] = {}
    servers_transports: dict[str, ServersTransport] = {}
    tcp_routers: dict[str, TCPRouter] = {}
    tcp_services: dict[str, TCPService] = {}
    tcp_middlewares: dict[str, TCPMiddleware] = {}
    tcp_servers_transports: dict[str, TCPServersTransport] = {}
    udp_routers: dict[str, UDPRouter] = {}
    udp_services: dict[str, UDPService] = {}


class TLSShard(Shape, frozen=True, kw_only=True):
    """What handshakes with clients need; the private keys of server certificates are in no other section.

    Certificates are keyed by `namespace/secret`, options and stores by qualified name (or `default`).
    """

    certificates: dict[str, StoredCertificate] = {}
    options: dict[str, TLSOptions] = {}
    stores: dict[str, TLSStore] = {}


EndpointsShard = dict[str, list[Server]]
"""Servers by qualified service name; a scaling deployment changes only this."""

_DECODERS: Final[Mapping[str, msgspec.msgpack.Decoder[Any]]] = {
    "meta": msgspec.msgpack.Decoder(Meta),
    "routing": msgspec.msgpack.Decoder(RoutingShard),
    "endpoints": msgspec.msgpack.Decoder(EndpointsShard),
    "tls": msgspec.msgpack.Decoder(TLSShard),
    "findings": msgspec.msgpack.Decoder(list[Finding]),
}


_RAW_ENDPOINTS: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_SERVERS: Final = msgspec.msgpack.Decoder(list[Server])


class SectionKey(NamedTuple):
    section: str
    shard: int


class Section(NamedTuple):
    key: SectionKey
    offset: int
    length: int
    digest: bytes


def shard_of(name: str) -> int:
    """Shard of a qualified name; stable over processes and releases of the same layout."""
    return zlib.crc32(name.encode()) % SHARD_COUNT


def encode_section(value: Any) -> bytes:
    """msgpack bytes of a struct or of plain data; equal values give equal bytes (maps are sorted by key)."""
    packed: bytes = msgpack.packb(msgspec.to_builtins(value, order="sorted"))
    return packed


def decode_section(section: str, data: bytes | memoryview) -> Any:
    """Undo encode_section. Raises GenerationRefused if the bytes are not what the section promises."""
    try:
        return _DECODERS[section].decode(data)
    except msgspec.MsgspecError as error:
        raise GenerationRefused(f"section {section}: {error}") from error


def digest_of(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def write_generation(number: int, sections: Iterable[tuple[SectionKey, bytes, bytes]]) -> int:
    """Make a sealed memfd from (key, bytes, digest of bytes); the returned descriptor is the caller's.

    Used by the provider; any thread. The order of the sections does not matter.
    """
    rows, bodies = [], []
    listed = sorted(sections)
    offset = _HEADER.size + _ROW.size * len(listed)
    for key, body, digest in listed:
        rows.append(_ROW.pack(key.section.encode(), key.shard, offset, len(body), digest))
        bodies.append(body)
        offset += len(body)
    table = b"".join(rows)
    unsigned = _HEADER.pack(MAGIC, LAYOUT, 0, len(rows), number, offset, bytes(16))
    header = _HEADER.pack(MAGIC, LAYOUT, 0, len(rows), number, offset, digest_of(unsigned + table))
    return _sealed_memfd(f"pointsman-generation-{number}", [header, table, *bodies])


def _sealed_memfd(name: str, pieces: list[bytes]) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for some in _gathered(pieces):
            _write_all(descriptor, some)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, REQUIRED_SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _gathered(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many pieces as one write takes; a large one alone."""
    some: list[bytes] = []
    length = 0
    for piece in pieces:
        if some and (length + len(piece) > _WRITE_BYTES or len(some) == _WRITE_PIECES):
            yield some
            some, length = [], 0
        some.append(piece)
        length += len(piece)
    if some:
        yield some


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    """Gathered, without joining the pieces first; one write takes less than asked for only past 2 GiB."""
    written, total = os.writev(descriptor, pieces), sum(map(len, pieces))
    if written < total:
        raise OSError(f"the memory file took {written} of {total} bytes")


class Generation:
    """A verified generation. Close it when its sections are decoded.

    Read piece by piece and not mapped: of a large one a change concerns little, and the pages of a mapping take a
    millisecond to be found and let go. Raises GenerationRefused when seals, layout, lengths or digests do not
    hold. The descriptor stays the caller's and may be closed right after; before, `pause` is called now and then.
    """

    __slots__ = ("_descriptor", "number", "sections")

    def __init__(self, descriptor: int, pause: Callable[[], None] = lambda: None) -> None:
        self._descriptor = -1
        total = _checked_size(descriptor)
        self.number, self.sections = _read_table(descriptor, total, pause)
        self._descriptor = os.dup(descriptor)

    def read(self, key: SectionKey) -> Any:
        """Decode one section after checking its digest."""
        return decode_section(key.section, self._checked(key))

    def read_endpoints(self, key: SectionKey, before: Generation, known: EndpointsShard) -> EndpointsShard:
        """As `read`, of an endpoints section that `before` has too, where it was decoded to `known`.

        Servers whose bytes are the same are the objects in `known`; only the others are decoded.
        """
        try:
            now, was = _RAW_ENDPOINTS.decode(self._checked(key)), _RAW_ENDPOINTS.decode(before._checked(key))
            return {
                name: known[name] if was.get(name) == servers else _SERVERS.decode(servers)
                for name, servers in now.items()
            }
        except msgspec.MsgspecError as error:
            raise GenerationRefused(f"section {key.section}: {error}") from error

    def _checked(self, key: SectionKey) -> bytes:
        row = self.sections[key]
        data = os.pread(self._descriptor, row.length, row.offset)
        if digest_of(data) != row.digest:
            raise GenerationRefused(f"section {key.section}/{key.shard} does not match its digest")
        return data

    def close(self) -> None:
        """Any thread; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Generation {self.number}, {len(self.sections)} sections>"


def _checked_size(descriptor: int) -> int:
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as error:
        raise GenerationRefused(f"not a memfd: {error.strerror}") from error
    if seals & REQUIRED_SEALS != REQUIRED_SEALS:
        raise GenerationRefused("not sealed against write, shrink, grow and further seals")
    size = os.fstat(descriptor).st_size
    if not _HEADER.size <= size <= LARGEST_BYTES:
        raise GenerationRefused(f"{size} bytes cannot be a generation")
    return size


def _read_table(descriptor: int, size: int, pause: Callable[[], None]) -> tuple[int, dict[SectionKey, Section]]:
    header = os.pread(descriptor, _HEADER.size, 0)
    magic, layout, reserved, count, number, total, digest = _HEADER.unpack(header)
    if magic != MAGIC:
        raise GenerationRefused("wrong magic number")
    if layout != LAYOUT:
        raise GenerationRefused(f"layout {layout} where {LAYOUT} is understood")
    if total != size:
        raise GenerationRefused(f"holds {size} bytes where its header says {total}")
    end = _HEADER.size + count * _ROW.size
    if count > _LARGEST_ROWS or end > size:
        raise GenerationRefused(f"a table of {count} rows does not fit")
    table = os.pread(descriptor, end - _HEADER.size, _HEADER.size)
    unsigned = _HEADER.pack(magic, layout, reserved, count, number, total, bytes(16))
    if digest_of(unsigned + table) != digest:
        raise GenerationRefused("header digest does not match")
    sections: dict[SectionKey, Section] = {}
    for index, (name, shard, offset, length, digest) in enumerate(_ROW.iter_unpack(table)):
        if index % _ROWS_AT_ONCE == 0:
            pause()
        key = _key_of(name, shard)
        if offset < end or offset + length > size:
            raise GenerationRefused(f"section {key.section}/{key.shard} lies outside the file")
        if key in sections:
            raise GenerationRefused(f"section {key.section}/{key.shard} appears twice")
        sections[key] = Section(key, offset, length, digest)
    if SectionKey("meta", 0) not in sections:
        raise GenerationRefused("has no meta section")
    return number, sections


@lru_cache(_LARGEST_ROWS)
def _key_of(name: bytes, shard: int) -> SectionKey:
    """As the row of a table says it; remembered, since all generations have about the same rows."""
    section = name.rstrip(b"\0").decode("ascii", "replace")
    if section not in SECTIONS or shard >= SHARD_COUNT:
        raise GenerationRefused(f"unknown section {section!r}/{shard}")
    return SectionKey(section, shard)
