"""Variable-length integers, frames in any pieces, settings, and header blocks that unfold to too much."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pylsqpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.http2.hpack import FIELD_OVERHEAD_BYTES
from workers.http3 import frames, qpack
from workers.http3.codes import ConnectionFault, ErrorCode

EDGES = (0, 63, 64, 16383, 16384, (1 << 30) - 1, 1 << 30, (1 << 62) - 1)


@pytest.mark.parametrize("value", EDGES)
def test_integers_at_their_edges(value: int) -> None:
    encoded = frames.integer(value)
    assert frames.integer_at(encoded, 0) == (value, len(encoded))
    assert frames.integer_at(encoded[:-1], 0)[1] == -1
    assert len(encoded) in (1, 2, 4, 8)


def fed(data: bytes, cuts: Sequence[int] = ()) -> list[tuple[int, bytes]]:
    """What a reader gives for the bytes cut at these places, pieces of bodies joined."""
    reader = frames.RequestReader(1000)
    places = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    found = [part for a, b in itertools.pairwise(places) for part in reader.feed(data[a:b])]
    assert reader.is_between_frames
    assert reader.held_bytes == 0
    joined: list[tuple[int, bytes]] = []
    for kind, payload in found:
        if joined and joined[-1][0] == kind == frames.DATA:
            joined[-1] = (kind, joined[-1][1] + payload)
        else:
            joined.append((kind, payload))
    return joined


@given(
    st.lists(st.binary(max_size=300), max_size=4),
    st.booleans(),
    st.integers(0x21, 1 << 40),
    st.lists(st.integers(0, 2000)),
)
def test_a_request_is_the_same_in_all_pieces(
    bodies: list[bytes], has_trailers: bool, grease: int, cuts: list[int]
) -> None:
    data = frames.frame(frames.HEADERS, b"head") + frames.frame(grease, b"x" * 70) + frames.frame(grease, b"")
    data += b"".join(frames.frame(frames.DATA, body) for body in bodies)
    expected = [(frames.HEADERS, b"head")]
    if body := b"".join(bodies):
        expected.append((frames.DATA, body))
    if has_trailers:
        data += frames.frame(frames.HEADERS, b"tail")
        expected.append((frames.HEADERS, b"tail"))
    assert fed(data, cuts) == expected


HEAD = frames.frame(frames.HEADERS, b"x")
FAULTS = {
    "a body without a head": (frames.frame(frames.DATA, b"x"), ErrorCode.FRAME_UNEXPECTED),
    "a third head": (3 * HEAD, ErrorCode.FRAME_UNEXPECTED),
    "a body behind trailers": (2 * HEAD + frames.frame(frames.DATA, b""), ErrorCode.FRAME_UNEXPECTED),
    "settings": (frames.settings({}), ErrorCode.FRAME_UNEXPECTED),
    "a push": (frames.frame(frames.PUSH_PROMISE, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    "goaway": (frames.frame(frames.GOAWAY, b"\0"), ErrorCode.FRAME_UNEXPECTED),
    "priority of HTTP/2": (frames.frame(2, b""), ErrorCode.FRAME_UNEXPECTED),
    "an empty block": (frames.frame(frames.HEADERS, b""), ErrorCode.QPACK_DECOMPRESSION_FAILED),
    "a block too large": (frames.integer(frames.HEADERS) + frames.integer(1001), ErrorCode.EXCESSIVE_LOAD),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_request_must_not_have(name: str) -> None:
    data, code = FAULTS[name]
    with pytest.raises(ConnectionFault) as caught:
        list(frames.RequestReader(1000).feed(data))
    assert caught.value.code is code


def test_settings_come_back_and_odd_ones_do_not() -> None:
    values = {0x6: 1 << 20, 0x1: 0, 0x21: 7}
    data = frames.settings(values)
    assert frames.settings_in(data[2:]) == values
    for bad, code in (
        (frames.integer(6) + b"\0" + frames.integer(6) + b"\0", ErrorCode.SETTINGS_ERROR),
        (b"\x02\x00", ErrorCode.SETTINGS_ERROR),
        (b"\x06", ErrorCode.FRAME_ERROR),
    ):
        with pytest.raises(ConnectionFault) as caught:
            frames.settings_in(bad)
        assert caught.value.code is code


def block(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    encoder = pylsqpack.Encoder()
    encoder.apply_settings(max_table_capacity=0, blocked_streams=0)
    return bytes(encoder.encode(0, list(fields))[1])


names = st.binary(min_size=1, max_size=40)


@given(st.lists(st.tuples(names, st.binary(max_size=200)), min_size=1, max_size=20))
def test_the_bound_of_a_block_holds(fields: list[tuple[bytes, bytes]]) -> None:
    data = block(fields)
    size = sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in fields)
    assert qpack._size_of(data) >= size
    assert [(name, value) for name, value, _ in qpack.Decoder(1 << 20).decode(0, data)] == fields


def test_a_block_of_few_bytes_that_means_many_is_not_unfolded() -> None:
    bomb = b"\0\0" + b"\xff\x16" * 10_000  # content-security-policy, ten thousand times
    with pytest.raises(qpack.OversizedList):
        qpack.Decoder(100_000).decode(0, bomb)


BAD_BLOCKS = {
    "a table that is not there": b"\x02\0\x80",
    "behind the table's end": b"\0\0\x10",
    "truncated": block([(b"a", b"b" * 50)])[:-1],
    "an integer without end": b"\0\0\xff" + b"\xff" * 20,
    "no static entry": b"\0\0\xff\x7f",
}


@pytest.mark.parametrize("most_bytes", [1, 1 << 20])
@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_unreadable_blocks(name: str, most_bytes: int) -> None:
    with pytest.raises((ConnectionFault, qpack.OversizedList)) as caught:
        qpack.Decoder(most_bytes).decode(0, BAD_BLOCKS[name])
    if most_bytes > 1:
        assert isinstance(caught.value, ConnectionFault)
        assert caught.value.code is ErrorCode.QPACK_DECOMPRESSION_FAILED
