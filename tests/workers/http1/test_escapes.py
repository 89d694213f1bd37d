"""Paths of many escapes: the same results as one escape at a time, without a step of Python for each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.http1 import escapes
from workers.http1.target import normalize_path, routing_path, sanitize_path

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_IN_PATH = _UNRESERVED + b"!$&'()*+,;=:@/[]"
_RESERVED = b":/?#[]@!$&'()*+,;=%"
_MEGABYTE = 1 << 20


def normalized_slowly(path: bytes) -> bytes | None:
    result, position = b"", 0
    while position < len(path):
        byte = path[position]
        if byte == 37:
            digits = path[position + 1 : position + 3]
            if len(digits) < 2 or digits.translate(None, b"0123456789abcdefABCDEF"):
                return None
            byte = int(digits, 16)
            result += bytes((byte,)) if byte in _UNRESERVED else b"%%%02X" % byte
            position += 3
        else:
            result += bytes((byte,)) if byte in _IN_PATH else b"%%%02X" % byte
            position += 1
    return result


def routed_slowly(path: bytes) -> bytes:
    first, *rest = path.split(b"%")
    for piece in rest:
        byte = int(piece[:2], 16)
        first += (b"%" + piece[:2] if byte in _RESERVED else bytes((byte,))) + piece[2:]
    return first


def sanitized_slowly(path: bytes) -> bytes:
    segments: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            segments = segments[:-1]
        elif segment not in (b"", b"."):
            segments.append(segment)
    result = b"/" + b"/".join(segments)
    return result + b"/" if path.endswith(b"/") and segments else result


digits = st.text("0123456789abcdefABCDEF", min_size=2, max_size=2)
triplets = digits.map(lambda text: b"%" + text.encode())
marks = st.sampled_from([b"=", b"/", b".", b"..", b"%", b"a", b"0", b"?", b"#"])
pieces = st.one_of(triplets, triplets, marks, st.binary(max_size=3))
paths = st.lists(pieces, max_size=60).map(lambda parts: b"/" + b"".join(parts))


@given(paths)
@example(b"/" + b"%3D=%3d" * 20)
@example(b"/" + b"%\n" * 20)
@example(b"/" + b"%%" * 20)
@example(b"/" + b"%4" * 20)
@example(b"/=3D=" * 20 + b"%41")
@example(b"/" + bytes(range(256)).replace(b"%", b""))
@example(b"/" + b"".join(b"%%%02x" % byte for byte in range(256)))
def test_the_same_as_one_at_a_time(path: bytes) -> None:
    found = normalize_path(path)
    assert found == normalized_slowly(path)
    assert sanitize_path(path) == sanitized_slowly(path)
    if found is not None:
        assert routing_path(found) == routed_slowly(found)
        assert sanitize_path(found) == sanitized_slowly(found)


@pytest.mark.parametrize("piece", [b"%2f", b"%41", b"%C3%a9", b"\xff\x80|", b"%3d=", b"/a"])
@pytest.mark.parametrize("work", [normalize_path, routing_path], ids=["normalize", "route"])
def test_a_megabyte_takes_no_steps_of_its_own(piece: bytes, work: Callable[[bytes], bytes | None]) -> None:
    """Python executes about as many lines for a megabyte of escapes as for a hundred of them."""
    few, many = (normalize_path(piece * count) for count in (100, _MEGABYTE // len(piece)))
    assert few is not None
    assert many is not None
    work(few)  # tables are made at the first use
    assert _lines(work, many) <= _lines(work, few)


def _lines(work: Callable[[bytes], bytes | None], path: bytes) -> int:
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work(path)
    finally:
        sys.settrace(before)
    return count


def test_broken_escapes() -> None:
    kept = escapes.table_of(_RESERVED)
    assert escapes.respelled(b"/%4", kept) is None
    assert escapes.respelled(b"/%zz", kept) is None
    assert escapes.respelled(b"/%41%2f=%3f", kept) == b"/A%2F=%3F"
