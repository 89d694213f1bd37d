"""gzip, brotli and zstd, each fed in pieces. The one door to the compression libraries.

Windows are smaller than the libraries' own: what one response holds in memory is bounded by less than two
megabytes, and no client needs a larger window than these to read it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import brotli
import zstandard


class Encoder(Protocol):
    """One body being compressed."""

    def feed(self, data: bytes) -> bytes:
        """Compress; what comes out may be less, or nothing yet."""
        ...

    def flush(self) -> bytes:
        """The rest of what can be read so far: everything fed becomes readable for the client."""
        ...

    def finish(self) -> bytes:
        """The end."""
        ...


class Gzip:
    def __init__(self) -> None:
        self._engine = zlib.compressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        return self._engine.compress(data)

    def flush(self) -> bytes:
        return self._engine.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._engine.flush(zlib.Z_FINISH)


class Brotli:
    def __init__(self) -> None:
        self._engine: Any = brotli.Compressor(quality=6, lgwin=19)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._engine.process(data))

    def flush(self) -> bytes:
        return bytes(self._engine.flush())

    def finish(self) -> bytes:
        return bytes(self._engine.finish())


_ZSTD: Final = zstandard.ZstdCompressionParameters.from_level(
    3, window_log=19, hash_log=17, chain_log=16, write_checksum=False, write_content_size=False
)


class Zstd:
    def __init__(self) -> None:
        self._engine = zstandard.ZstdCompressor(compression_params=_ZSTD).compressobj()

    def feed(self, data: bytes) -> bytes:
        return self._engine.compress(data)

    def flush(self) -> bytes:
        return self._engine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._engine.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


ENCODERS: Final[Mapping[str, Callable[[], Encoder]]] = {"gzip": Gzip, "br": Brotli, "zstd": Zstd}
"""By the name that HTTP has for them."""
