"""The PROXY protocol as bytes: what is read, what is refused, and that no input does anything else."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.proxy_protocol import (
    LARGEST_V1_BYTES,
    SIGNATURE,
    BadHeader,
    Endpoint,
    Header,
    Incomplete,
    NoHeader,
    Outcome,
    parse,
    write,
)

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ENDPOINTS = st.builds(Endpoint, ADDRESSES, st.integers(0, 65535))


def v2(command: int = 0x21, family: int = 0x11, body: bytes = bytes(12), length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(body) if length is None else length) + body


ENDS_4 = bytes((192, 0, 2, 1, 192, 0, 2, 2, 0x10, 0x92, 0, 80))
FROM_4 = Endpoint("192.0.2.1", 4242)
TO_4 = Endpoint("192.0.2.2", 80)


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET", Endpoint("1.2.3.4", 1)),
        (b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", Endpoint("2001:db8::1", 65535)),
        (b"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", Endpoint("1.2.3.4", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 anything 1 2\r\n", None),
        (v2(body=ENDS_4), FROM_4),
        (v2(body=ENDS_4 + b"\x03\x00\x04TLVs"), FROM_4),
        (v2(0x20, body=ENDS_4), None),
        (v2(0x20, 0, b""), None),
        (v2(0x21, 0, b""), None),
        (v2(0x21, 0x12, ENDS_4), None),
        (v2(0x21, 0x31, bytes(216)), None),
    ],
)
def test_headers(data: bytes, source: Endpoint | None) -> None:
    outcome = parse(data)
    assert isinstance(outcome, Header)
    assert outcome.source == source
    assert outcome.size_bytes == (data.index(b"\r\n") + 2 if data.startswith(b"PROXY") else len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY \r\n",
        b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 \xb2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n" + bytes(LARGEST_V1_BYTES),
        b"PROXY UNKNOWN " + b"a" * LARGEST_V1_BYTES + b"\r\n",
        v2(0x11, body=ENDS_4),
        v2(0x22, body=ENDS_4),
        v2(0x21, 0x41, ENDS_4),
        v2(0x21, 0x13, ENDS_4),
        v2(body=ENDS_4[:11]),
        v2(0x21, 0x21, ENDS_4),
    ],
)
def test_malformed_headers_are_refused(data: bytes) -> None:
    assert isinstance(parse(data), BadHeader)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"POST", b"PROXX", b"\x16\x03\x01", b"\r\n\r\n\0\r\nQUIR", b"\r\nGET"]
)
def test_other_protocols_have_no_header(data: bytes) -> None:
    assert parse(data) is NoHeader.NONE


@given(ENDPOINTS, ENDPOINTS, st.sampled_from([1, 2]), st.binary(max_size=20))
def test_what_is_written_is_read(source: Endpoint, destination: Endpoint, version: int, rest: bytes) -> None:
    header = write(version, source, destination)
    outcome = parse(header + rest)
    assert isinstance(outcome, Header)
    assert outcome.size_bytes == len(header)
    assert [outcome.source, outcome.destination] == [_plain(source), _plain(destination)]


def _plain(end: Endpoint) -> Endpoint:
    """An IPv4 address in IPv6 form is the IPv4 address."""
    address = ipaddress.ip_address(end.ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Endpoint(str(mapped or address), end.port)


@given(ENDPOINTS, ENDPOINTS, st.sampled_from([1, 2]))
def test_every_beginning_of_a_header_asks_for_more(source: Endpoint, destination: Endpoint, version: int) -> None:
    header = write(version, source, destination)
    for end in range(len(header)):
        outcome = parse(header[:end])
        assert isinstance(outcome, Incomplete)
        assert end < outcome.wanted_bytes <= len(header)


def _never_changes_its_mind(data: bytes) -> None:
    """What is decided on some bytes stays decided with more of them, and a header lies within its bounds."""
    decided: Outcome | None = None
    for end in range(1, len(data) + 1):
        outcome = parse(data[:end])
        if decided is not None:
            assert outcome == decided
        elif not isinstance(outcome, Incomplete):
            decided = outcome
        else:
            assert outcome.wanted_bytes > end


@given(st.binary(max_size=80))
def test_any_bytes_behind_a_signature(rest: bytes) -> None:
    _never_changes_its_mind(SIGNATURE + rest)


@given(st.text("0123456789abcdef.: \r\nTCPUDN46xX%+-", max_size=120))
def test_any_line(rest: str) -> None:
    _never_changes_its_mind(b"PROXY " + rest.encode())


def test_zones_are_left_out_and_both_ends_are_of_one_family() -> None:
    outcome = parse(write(1, Endpoint("fe80::1%eth0", 1), Endpoint("1.2.3.4", 2)))
    assert isinstance(outcome, Header)
    assert (outcome.source, outcome.destination) == (Endpoint("fe80::1", 1), Endpoint("1.2.3.4", 2))
    assert write(1, Endpoint("fe80::1%eth0", 1), Endpoint("1.2.3.4", 2)).startswith(b"PROXY TCP6 fe80::1 ")
