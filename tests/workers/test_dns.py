"""DNS messages: the question for an alias, and what an answer may say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.dns import Alias, DNSError, alias_in, is_answer, question

ASKED = question(7, b"www.a.test")
CODED = b"\x03www\x01a\x04test\0"


def answer(
    record: bytes = b"", *, count: int = 1, code: int = 0, flags: int = 0x8180, asked: bytes = ASKED
) -> bytes:
    head = asked[:2] + struct.pack(">5H", flags | code, 1, count, 0, 0)
    return head + asked[12:] + record


def cname(target: bytes, owner: bytes = b"\xc0\x0c", ttl: int = 60, kind: int = 5, place: int = 1) -> bytes:
    return owner + struct.pack(">HHIH", kind, place, ttl, len(target)) + target


def test_a_question() -> None:
    assert ASKED == b"\0\x07\x01\0\0\x01\0\0\0\0\0\0" + CODED + b"\0\x05\0\x01"


@pytest.mark.parametrize(
    "name", [b"", b".", b"a..b", b"a.", b"x" * 64, b"a." * 127 + b"a", b"a b", b"\xc3\xa4.test"]
)
def test_no_question_for_what_is_no_host_name(name: bytes) -> None:
    with pytest.raises(DNSError):
        question(0, name)


def test_the_alias() -> None:
    data = answer(cname(b"\x02LB\x05other\xc0\x12"))
    assert is_answer(data, ASKED)
    assert alias_in(data, ASKED) == Alias(b"lb.other.test", 60)
    assert alias_in(answer(cname(b"\x02lb\0", CODED.upper(), 2**31)), ASKED) == Alias(b"lb", 0)


@pytest.mark.parametrize("code", [0, 3])
def test_no_alias(code: int) -> None:
    assert alias_in(answer(count=0, code=code), ASKED) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ASKED,
        answer(flags=0x0100),
        answer(asked=question(8, b"www.a.test")),
        answer(asked=question(7, b"www.b.test")),
        answer()[:20],
    ],
)
def test_what_does_not_answer_the_question(data: bytes) -> None:
    assert not is_answer(data, ASKED)


@pytest.mark.parametrize(
    "data",
    [
        answer(count=0, code=2),
        answer(count=0, code=5),
        answer(),
        answer(cname(b"\x02lb\0")[:-1]),
        answer(cname(b"\x02lb\0", kind=1)),
        answer(cname(b"\x02lb\0", place=3)),
        answer(cname(b"\x02lb\0", owner=b"\x05other\0")),
        answer(cname(b"\0")),
        answer(cname(b"\x02lb\0x")),
        answer(cname(b"\x03a.b\0")),
        answer(cname(b"\x02\xc3\xa4\0")),
        answer(cname(b"\x40" + b"a" * 64 + b"\0")),
        answer(cname(b"\xc0\xff")),
        answer(cname(b"\xc0\x28")),
        answer(b"\xc0\x1c" + cname(b"\x02lb\0")[2:]),
        answer(cname((b"\x3f" + b"a" * 63) * 4 + b"\0")),
        answer(cname(b"\xc0")),
    ],
)
def test_answers_that_say_nothing_usable(data: bytes) -> None:
    with pytest.raises(DNSError):
        alias_in(data, ASKED)


@given(st.binary(max_size=80), st.integers(0, 3))
def test_no_bytes_do_harm(record: bytes, count: int) -> None:
    data = answer(record, count=count)
    assert is_answer(data, ASKED)
    try:
        alias = alias_in(data, ASKED)
    except DNSError:
        return
    assert alias is None or (0 < len(alias.name) <= 253 and alias.name == alias.name.lower())
