"""The one door to HPACK (RFC 7541): jh2's compiled codec, or the pure-Python `hpack` where that is not to be had.

Fields go in and come out as (name, value, is_sensitive); sensitive ones are never put into a table. The compiled
decoder is fast and trusting, so a block is looked through before it gets it (blocks.py), and what it made of the
Huffman codes is checked afterwards. A list much larger than allowed is an error: an HPACK bomb does not unfold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import hpack as pure

from workers.http2.blocks import MalformedBlock, check_codes, find_literals

try:
    from jh2 import _hazmat as compiled
except ImportError:  # no wheel for this machine
    compiled = None

Field = tuple[bytes, bytes, bool]

DEFAULT_TABLE_BYTES: Final = 4096
FIELD_OVERHEAD_BYTES: Final = 32
"""What each field counts besides its name and value (RFC 9113 section 6.5.2)."""
IS_COMPILED: Final = compiled is not None


class OversizedList(Exception):
    """The fields of a block are more than the decoder's limit."""


class Encoder(Protocol):
    """`header_table_size` may be set at any time; the next block tells the peer."""

    header_table_size: int

    def encode(self, fields: list[Field], /) -> bytes: ...


class Codec(Protocol):
    """A decoder as the libraries have it."""

    def decode(self, block: bytes, raw: bool, /) -> Sequence[Any]: ...


class PureEncoder:
    """The twin of jh2's encoder."""

    def __init__(self) -> None:
        self._encoder = pure.Encoder()

    @property
    def header_table_size(self) -> int:
        return int(self._encoder.header_table_size)

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self._encoder.header_table_size = value

    def encode(self, fields: list[Field], /) -> bytes:
        return bytes(self._encoder.encode(fields))


class _PureCodec:
    def __init__(self, limit_bytes: int, table_bytes: int) -> None:
        self._decoder: Any = pure.Decoder(max_header_list_size=limit_bytes)
        self._decoder.max_allowed_table_size = table_bytes

    def decode(self, block: bytes, raw: bool, /) -> Sequence[Field]:
        return [(name, value, False) for name, value in self._decoder.decode(block, raw=raw)]


def _compiled_codec(limit_bytes: int, table_bytes: int) -> Codec:
    codec = compiled.Decoder(limit_bytes)
    codec.max_allowed_table_size = table_bytes
    found: Codec = codec
    return found


_OVERSIZED: Final[tuple[type[Exception], ...]] = (
    pure.OversizedHeaderListError,
    *((compiled.OversizedHeaderListError,) if IS_COMPILED else ()),
)


class Decoder:
    """Decodes the blocks of one connection in their order. After an error it is of no use any more."""

    __slots__ = ("_decode",)

    def __init__(
        self, limit_bytes: int, table_bytes: int = DEFAULT_TABLE_BYTES, *, is_compiled: bool = IS_COMPILED
    ) -> None:
        """`limit_bytes` of a whole list; `table_bytes` as announced in our SETTINGS."""
        make = _compiled_codec if is_compiled else _PureCodec
        self._decode = make(limit_bytes, table_bytes).decode

    def decode(self, block: bytes) -> Sequence[Field]:
        """The fields of one block. Raises MalformedBlock, OversizedList."""
        literals = find_literals(block)
        try:
            fields = self._decode(block, True)
        except _OVERSIZED as error:
            raise OversizedList from error
        except Exception as error:
            raise MalformedBlock(str(error)) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise MalformedBlock("the decoder gave up") from error
        if literals:
            check_codes(literals, fields)
        return fields


def new_encoder(*, is_compiled: bool = IS_COMPILED) -> Encoder:
    encoder: Encoder = compiled.Encoder() if is_compiled else PureEncoder()
    return encoder
