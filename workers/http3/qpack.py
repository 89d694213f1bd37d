"""Header blocks (RFC 9204) by pylsqpack, and a bound on what a block of few bytes may unfold to.

Neither side has a dynamic table: the other HTTP/3 servers of this kind (quic-go's) do without as well, no stream
ever waits for another, and nobody's headers are in a table whose size answers questions. So a field costs its
sender a byte at least, but may still stand for a hundred: blocks that could unfold to too much are added up first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pylsqpack

from workers.http2.hpack import FIELD_OVERHEAD_BYTES, Field
from workers.http3.codes import ConnectionFault, ErrorCode

_MOST_PER_BYTE: Final = 108
"""No byte of a block stands for more: the longest fields of the static table, and their overhead."""


class OversizedList(Exception):
    """The list is much longer than allowed; it was not unfolded."""


class Decoder:
    """One connection's, for its client's blocks."""

    __slots__ = ("_decoder", "_most_bytes")

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: of a list, as RFC 9114 section 4.2.2 counts."""
        self._decoder = pylsqpack.Decoder(0, 0)
        self._most_bytes = most_bytes

    def decode(self, stream_id: int, block: bytes) -> Sequence[Field]:
        """Raises OversizedList, ConnectionFault."""
        if len(block) * _MOST_PER_BYTE > self._most_bytes and _size_of(block) > self._most_bytes:
            raise OversizedList
        try:
            _, fields = self._decoder.feed_header(stream_id, block)
        except (pylsqpack.DecompressionFailed, pylsqpack.StreamBlocked) as error:
            raise ConnectionFault(
                ErrorCode.QPACK_DECOMPRESSION_FAILED, "a header block nobody can read"
            ) from error
        return [(name, value, False) for name, value in fields]

    def feed(self, data: bytes) -> None:
        """From the client's encoder stream: it has no table to fill. Raises ConnectionFault."""
        try:
            self._decoder.feed_encoder(data)
        except pylsqpack.EncoderStreamError as error:
            raise ConnectionFault(ErrorCode.QPACK_ENCODER_STREAM_ERROR, "there is no dynamic table") from error


class Encoder:
    """One connection's, for our blocks: the static table alone."""

    __slots__ = ("_encoder",)

    def __init__(self) -> None:
        self._encoder = pylsqpack.Encoder()
        self._encoder.apply_settings(max_table_capacity=0, blocked_streams=0)

    def encode(self, stream_id: int, fields: Sequence[Field]) -> bytes:
        _, block = self._encoder.encode(stream_id, [(name, value) for name, value, _ in fields])
        return block

    def feed(self, data: bytes) -> None:
        """From the client's decoder stream, which has nothing to say. Raises ConnectionFault."""
        try:
            self._encoder.feed_decoder(data)
        except pylsqpack.DecoderStreamError as error:
            raise ConnectionFault(ErrorCode.QPACK_DECODER_STREAM_ERROR, "nothing is to be acknowledged") from error


def _size_of(block: bytes) -> int:
    """An upper bound of the list's size, found without unfolding it. Raises ConnectionFault."""
    total, end = 0, len(block)
    _, position = _integer(block, 0, 8)  # how many insertions it needs, and the base: any number of bytes each
    _, position = _integer(block, position, 7)
    while position < end:
        first = block[position]
        if first & 0x80:  # a field of the static table
            _, position = _integer(block, position, 6)
            total += _MOST_PER_BYTE
        elif first & 0x40:  # a name of the static table
            _, position = _integer(block, position, 4)
            size, position = _text(block, position, 7)
            total += _MOST_PER_BYTE + size
        elif first & 0x20:
            size, position = _text(block, position, 3)
            more, position = _text(block, position, 7)
            total += FIELD_OVERHEAD_BYTES + size + more
        else:
            raise ConnectionFault(ErrorCode.QPACK_DECOMPRESSION_FAILED, "there is no dynamic table")
    return total


def _text(block: bytes, position: int, prefix_bits: int) -> tuple[int, int]:
    """(at most so many bytes, position behind it): Huffman's shortest code has five bits."""
    if position >= len(block):
        raise ConnectionFault(ErrorCode.QPACK_DECOMPRESSION_FAILED, "a truncated header block")
    is_coded = block[position] >> prefix_bits & 1
    size, position = _integer(block, position, prefix_bits)
    return (size * 8 // 5 if is_coded else size), position + size


def _integer(block: bytes, position: int, prefix_bits: int) -> tuple[int, int]:
    """RFC 7541 section 5.1; nothing above 32 bits is believed."""
    if position >= len(block):
        raise ConnectionFault(ErrorCode.QPACK_DECOMPRESSION_FAILED, "a truncated header block")
    most = (1 << prefix_bits) - 1
    value = block[position] & most
    position += 1
    shift = 0
    if value == most:
        while True:
            if position >= len(block) or shift > 28:
                raise ConnectionFault(ErrorCode.QPACK_DECOMPRESSION_FAILED, "a bad integer")
            byte = block[position]
            position += 1
            value += (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
    return value, position
