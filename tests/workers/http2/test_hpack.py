"""Both HPACK codecs against each other and against what is malformed: the same lists, the same refusals."""

from __future__ import annotations

import hpack as reference
import pytest
from hpack.huffman_constants import REQUEST_CODES_LENGTH
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.http2 import hpack
from workers.http2.blocks import CODE_LENGTHS, MalformedBlock, find_literals

BOTH = [pytest.param(True, id="compiled"), pytest.param(False, id="pure")]
REQUEST = [(b":method", b"GET", False), (b":path", b"/a?b=c", False), (b"x-long", b"y" * 300, False)]
NAMES = st.sampled_from([b":path", b"accept", b"cookie", b"x-a", b"x-b", b"content-length", b"a"])
FIELDS = st.tuples(NAMES, st.binary(max_size=60), st.booleans())
LISTS = st.lists(st.lists(FIELDS, max_size=12), min_size=1, max_size=8)


def bare(fields: object) -> list[tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value, _ in fields]  # type: ignore[attr-defined]


def test_the_compiled_one_is_there() -> None:
    assert hpack.IS_COMPILED


def test_code_lengths_are_those_of_the_rfc() -> None:
    assert list(CODE_LENGTHS) == list(REQUEST_CODES_LENGTH[:256])


@pytest.mark.parametrize("encodes", BOTH)
@pytest.mark.parametrize("decodes", BOTH)
@settings(deadline=None, max_examples=60)
@given(lists=LISTS, sizes=st.lists(st.integers(0, 4096), max_size=3))
def test_what_one_says_the_other_understands(
    encodes: bool, decodes: bool, lists: list[list[tuple[bytes, bytes, bool]]], sizes: list[int]
) -> None:
    """In order, over the tables, with table sizes that change on the way."""
    encoder, decoder = hpack.new_encoder(is_compiled=encodes), hpack.Decoder(1 << 20, is_compiled=decodes)
    for number, fields in enumerate(lists):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        block = encoder.encode(fields)
        assert bare(decoder.decode(block)) == bare(fields)


@settings(deadline=None, max_examples=300)
@given(blocks=st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_any_bytes_decode_alike_or_are_refused(blocks: list[bytes]) -> None:
    """The compiled decoder never crashes, and gives nothing that the pure one does not give."""
    ours, pure = hpack.Decoder(1 << 16, is_compiled=True), hpack.Decoder(1 << 16, is_compiled=False)
    for block in blocks:
        outcomes: list[list[tuple[bytes, bytes]] | None] = []
        for decoder in (ours, pure):
            try:
                outcomes.append(bare(decoder.decode(block)))
            except (MalformedBlock, hpack.OversizedList):
                outcomes.append(None)
        assert outcomes[0] == outcomes[1]
        if outcomes[0] is None:
            return


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xfe",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x40",
        b"\x40\x01",
        b"\x40\x01a",
        b"\x40\x01a\x05abc",
        b"\x40\x85abc\x01b",
        b"\x40\x01a\xff",
        b"\x40\x01a\x7f\xff\xff\xff\xff\xff\x01",
        b"\x82\x3f\x01",
        b"\x3f\xe2\x1f",
        b"\x3f",
        b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
        b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90",
        b"\x40\x01a\x84\xff\xff\xff\xff",
        b"\x40\x01a\x82\x1f\xff",
        b"\x40\x01a\x81\x18",
        b"\x40\x81\x18\x01a",
    ],
)
def test_malformed_blocks(block: bytes, is_compiled: bool) -> None:
    with pytest.raises(MalformedBlock):
        hpack.Decoder(1 << 16, is_compiled=is_compiled).decode(block)


@pytest.mark.parametrize("is_compiled", BOTH)
def test_lists_above_the_limit(is_compiled: bool) -> None:
    block = reference.Encoder().encode([(b"x", b"y" * 4000)])
    decoder = hpack.Decoder(8000, is_compiled=is_compiled)
    assert len(decoder.decode(block)) == 1
    with pytest.raises(hpack.OversizedList):
        decoder.decode(b"\xbe" * 1000)


@pytest.mark.parametrize("is_compiled", BOTH)
def test_secrets_are_not_indexed(is_compiled: bool) -> None:
    encoder = hpack.new_encoder(is_compiled=is_compiled)
    first = encoder.encode([(b"set-cookie", b"secret", True)])
    assert encoder.encode([(b"set-cookie", b"secret", True)]) == first
    assert first[0] & 0xF0 == 0x10


@pytest.mark.parametrize("is_compiled", BOTH)
def test_a_table_of_nothing(is_compiled: bool) -> None:
    """A peer that wants no table gets none, and is told so."""
    encoder = hpack.new_encoder(is_compiled=is_compiled)
    encoder.encode(REQUEST)
    encoder.header_table_size = 0
    block = encoder.encode(REQUEST)
    assert block[0] == 0x20
    decoder = reference.Decoder()
    decoder.max_allowed_table_size = 0
    decoder.decode(block, raw=True)


def test_a_block_of_references_alone_needs_no_look() -> None:
    assert find_literals(b"\x82\x84\x86\xbe\xc0") == ()
