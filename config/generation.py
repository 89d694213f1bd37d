"""A configuration generation: what its sections say, how they are encoded, and the reader.

See `generation_layout` and `generation_table` for the bytes around the sections and how these are found, and
`generation_writing` for the writer.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from config.findings import Finding
from config.generation_layout import LAYOUT, SHARD_COUNT, GenerationRefused, SectionKey, digest_of
from config.generation_table import (
    DELTA,
    META,
    NO_ROWS,
    Comparison,
    Section,
    Table,
    compare,
    read_table,
)
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


class Delta(Shape, frozen=True, kw_only=True):
    """How `endpoints` differs from that of the generation `base`, whose header has this `digest`.

    Servers by qualified service name, encoded; nil: the service has none any more. All that differs is here, and
    what does not may be. Who has that very generation in force need not read `endpoints`; others do. `alone`: of
    the sections that serve, no other differs, so there is nothing else to read but `meta`.
    """

    base: int
    digest: bytes
    servers: dict[str, msgspec.Raw]
    alone: bool = False


_DECODERS: Final[Mapping[str, msgspec.msgpack.Decoder[Any]]] = {
    "meta": msgspec.msgpack.Decoder(Meta),
    "routing": msgspec.msgpack.Decoder(RoutingShard),
    "endpoints": msgspec.msgpack.Decoder(EndpointsShard),
    "tls": msgspec.msgpack.Decoder(TLSShard),
    "findings": msgspec.msgpack.Decoder(list[Finding]),
    "delta": msgspec.msgpack.Decoder(Delta),
}

_ENCODER: Final = msgspec.msgpack.Encoder(order="sorted")
_RAW_ENDPOINTS: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_SERVERS: Final = msgspec.msgpack.Decoder(list[Server])
_SERVERS_OR_NONE: Final = msgspec.msgpack.Decoder(list[Server] | None)


def shard_of(name: str) -> int:
    """Shard of a qualified name; stable over processes and releases of the same layout."""
    return zlib.crc32(name.encode()) % SHARD_COUNT


def encode_section(value: Any) -> bytes:
    """msgpack bytes of a struct or of plain data; equal values give equal bytes (maps are sorted by key)."""
    return _ENCODER.encode(value)


def decode_section(section: str, data: bytes | memoryview) -> Any:
    """Undo encode_section. Raises GenerationRefused if the bytes are not what the section promises."""
    try:
        return _DECODERS[section].decode(data)
    except msgspec.MsgspecError as error:
        raise GenerationRefused(f"section {section}: {error}") from error


def decode_servers(data: msgspec.Raw) -> list[Server]:
    """Those of one service, as `Generation.read_endpoints` has them. Raises GenerationRefused."""
    try:
        return _SERVERS.decode(data)
    except msgspec.MsgspecError as error:
        raise GenerationRefused(f"section endpoints: {error}") from error


def decode_changed_servers(data: msgspec.Raw) -> list[Server] | None:
    """Those of one service, as a Delta has them. Raises GenerationRefused."""
    try:
        servers: list[Server] | None = _SERVERS_OR_NONE.decode(data)
    except msgspec.MsgspecError as error:
        raise GenerationRefused(f"section delta: {error}") from error
    return servers


class Generation:
    """A verified generation. Close it when its sections are decoded.

    Read piece by piece and not mapped: of a large one a change concerns little, and the pages of a mapping take a
    millisecond to be found and let go. `descriptors` are those of its files, its own first; they stay the caller's
    and may be closed right after. `before`, open or closed, makes it cheap to look at a table where most is as it
    was there. `pause` is called now and then.

    Raises GenerationRefused when seals, layout, lengths or digests do not hold. Of the table only what leads to
    META and DELTA is looked at; what asks for more raises it, too, if the rows do not hold.
    """

    __slots__ = ("_descriptors", "_table")

    def __init__(
        self,
        descriptors: Sequence[int] | int,
        before: Generation | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        given = [descriptors] if isinstance(descriptors, int) else descriptors
        self._descriptors: list[int] = []
        try:
            for descriptor in given:  # before any pause: somebody else might take the last free place
                self._descriptors.append(os.dup(descriptor))
            former = before._table if before is not None else None
            self._table: Table = read_table(self._descriptors, former, pause)
        except BaseException:
            self.close()
            raise

    @property
    def number(self) -> int:
        return self._table.files[0].number

    @property
    def digest(self) -> bytes:
        """Of header and table, and so of all sections."""
        return self._table.files[0].digest

    @property
    def sections(self) -> Mapping[SectionKey, Section]:
        """Raises GenerationRefused if the rows of the table do not hold."""
        return self._table.rows(lambda: None).sections

    def verify(self) -> None:
        """Look at all rows of the table. Raises GenerationRefused if they do not hold."""
        self._table.rows(lambda: None)

    def compared(self, before: Generation | None, pause: Callable[[], None] = lambda: None) -> Comparison:
        """What differs from that one, open or closed. Raises GenerationRefused if rows of either do not hold."""
        if before is None:
            return compare(NO_ROWS, self._table.rows(pause))
        former = before._table.rows(pause)
        now = self._table.rows(pause, before._table)
        pause()
        return compare(former, now)

    def delta(self) -> Delta | None:
        """Of META and DELTA it is known where they are without a look at the other rows."""
        if self._table.find(DELTA) is None:
            return None
        delta: Delta = self.read(DELTA)
        return delta

    def read(self, key: SectionKey) -> Any:
        """Decode one section after checking its digest. Raises KeyError if there is none."""
        return decode_section(key.section, self._checked(key))

    def read_endpoints(self, key: SectionKey) -> dict[str, msgspec.Raw]:
        """As `read`, of an endpoints section; what it has of each service is left for `decode_servers`.

        Empty, if there is no such section.
        """
        if self._table.find(key) is None:
            return {}
        try:
            return _RAW_ENDPOINTS.decode(self._checked(key))
        except msgspec.MsgspecError as error:
            raise GenerationRefused(f"section {key.section}: {error}") from error

    def _checked(self, key: SectionKey) -> bytes:
        row = self._table.find(key)
        if row is None:
            raise KeyError(key)
        data = os.pread(self._descriptor_of(row.file), row.length, row.offset)
        if digest_of(data) != row.digest:
            raise GenerationRefused(f"section {key.section}/{key.shard} does not match its digest")
        return data

    def _descriptor_of(self, number: int) -> int:
        for file, descriptor in zip(self._table.files, self._descriptors, strict=False):
            if file.number == number:
                return descriptor
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def close(self) -> None:
        """Any thread; more than once does no harm."""
        descriptors, self._descriptors = self._descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        files = self._table.files
        return f"<Generation {self.number}, {files[0].row_count} sections in {len(files)} files>"


__all__ = [
    "DELTA",
    "LAYOUT",
    "META",
    "SHARD_COUNT",
    "Comparison",
    "Delta",
    "EndpointsShard",
    "Generation",
    "GenerationRefused",
    "Meta",
    "RoutingShard",
    "SectionKey",
    "TLSShard",
    "decode_changed_servers",
    "decode_section",
    "decode_servers",
    "digest_of",
    "encode_section",
    "shard_of",
]
