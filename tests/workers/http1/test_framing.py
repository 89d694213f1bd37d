"""Bodies: lengths and chunks, in one piece and byte by byte, and everything that is not a chunk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.http1.framing import (
    LAST_CHUNK,
    LONGEST_CHUNK_LINE_BYTES,
    LONGEST_TRAILERS_BYTES,
    MOST_EXTENSION_BYTES,
    ChunkedDecoder,
    CloseDecoder,
    Decoder,
    FramingError,
    LengthDecoder,
    chunk,
    last_chunk,
)


def byte_by_byte(decoder: Decoder, data: bytes) -> bytes:
    body = b""
    for number in range(len(data)):
        if decoder.done:
            break
        body += decoder.feed(data[number : number + 1])
    return body


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=10))
def test_decoding_undoes_encoding(pieces: list[bytes], rest: bytes) -> None:
    wire = b"".join(map(chunk, pieces)) + LAST_CHUNK
    decoder = ChunkedDecoder()
    assert decoder.feed(wire + rest) == b"".join(pieces)
    assert decoder.done
    assert decoder.rest == rest
    slow = ChunkedDecoder()
    assert byte_by_byte(slow, wire) == b"".join(pieces)
    assert slow.done


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_the_same_way_however_they_are_cut(data: bytes) -> None:
    def run(feed: bytes, slow: bool) -> tuple[bytes, bool] | None:
        decoder = ChunkedDecoder()
        try:
            body = byte_by_byte(decoder, feed) if slow else decoder.feed(feed)
        except FramingError:
            return None
        return body, decoder.done

    for wire in (data, b"3\r\nabc" + data, b"0\r\n" + data):
        assert run(wire, slow=False) == run(wire, slow=True)


@pytest.mark.parametrize(
    "wire",
    [
        b"3\nabc\n0\n\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3\r\nabcX",
        b"3\r\nabc\rX",
        b"-3\r\nabc",
        b"+3\r\nabc",
        b"0x3\r\nabc",
        b" 3\r\nabc",
        b"3 4\r\nabc",
        b"3_0\r\n",
        b"\r\n",
        b";x\r\n",
        b"g\r\n",
        b"3;a\x00b\r\n",
        b"3;a\nb\r\n",
        b"3;a\rb\r\n",
        b"fffffffffffffffff\r\n",
        b"0\r\nA: 1\n\r\n",
        b"0\r\nA : 1\r\n\r\n",
        b"0\r\nA: 1\r\n 2\r\n\r\n",
        b"0\r\nA\r\n\r\n",
        b"0\r\n\n",
    ],
)
def test_malformed_chunks(wire: bytes) -> None:
    """ADV-D: no two readings of a chunked body."""
    with pytest.raises(FramingError):
        ChunkedDecoder().feed(wire + b"\r\n\r\n")
    with pytest.raises(FramingError):
        byte_by_byte(ChunkedDecoder(), wire + b"\r\n\r\n")


def test_extensions_are_thrown_away() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b'3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n') == b"abc"
    assert decoder.done


def test_long_chunk_headers_are_refused() -> None:
    """ADV-F"""
    with pytest.raises(FramingError):
        ChunkedDecoder().feed(b"3;" + b"a" * LONGEST_CHUNK_LINE_BYTES)
    decoder = ChunkedDecoder()
    wire = (b"1;" + b"x" * 100 + b"\r\na\r\n") * (MOST_EXTENSION_BYTES // 100 + 1)
    with pytest.raises(FramingError):
        byte_by_byte(decoder, wire)


def test_trailers() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"0\r\nX-T: 1\r\nContent-Length: 5\r\nHost: b\r\nx-u:2\r\n\r\n")
    assert list(decoder.trailers()) == [(b"X-T", b"1"), (b"x-u", b"2")]
    assert last_chunk(decoder.trailers()) == b"0\r\nX-T: 1\r\nx-u: 2\r\n\r\n"


def test_trailers_are_bounded() -> None:
    """ADV-F"""
    decoder = ChunkedDecoder()
    decoder.feed(b"0\r\n")
    with pytest.raises(FramingError):
        decoder.feed(b"A: 1\r\n" * (LONGEST_TRAILERS_BYTES // 6 + 1))


@given(st.binary(max_size=50), st.integers(0, 60), st.binary(max_size=10))
def test_length(body: bytes, cut: int, rest: bytes) -> None:
    decoder = LengthDecoder(len(body))
    wire = body + rest
    first, second = wire[:cut], wire[cut:]
    seen = b""
    for data in (first, second):
        if not decoder.done:
            seen += decoder.feed(data)
    assert seen == body
    assert decoder.done


def test_length_leaves_the_rest() -> None:
    decoder = LengthDecoder(3)
    assert (decoder.feed(b"abcdef"), decoder.rest, decoder.left) == (b"abc", b"def", 0)


def test_close_is_never_done() -> None:
    decoder = CloseDecoder()
    assert decoder.feed(b"abc") == b"abc"
    assert not decoder.done
