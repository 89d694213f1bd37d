from __future__ import annotations

import ssl
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tls.hello import (
    LARGEST_BYTES,
    POSTGRES_SSL_REQUEST,
    ClientHello,
    HelloSniffer,
    Malformed,
    Outcome,
    Sniffed,
    sniff,
)


def real_hello(name: str | None = "WWW.Example.com", alpn: tuple[str, ...] = ("h2", "http/1.1")) -> bytes:
    """What OpenSSL sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, data)


def server_name(host: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(2, bytes((kind,)) + vector(2, host)))


def message(*extensions: bytes, tail: bytes = b"", bare: bool = False) -> bytes:
    """A handshake message made by hand."""
    body = b"\x03\x03" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
    if not bare:
        body += vector(2, b"".join(extensions))
    return b"\x01" + vector(3, body + tail)


def records(handshake: bytes, size: int = 16384) -> bytes:
    pieces = [handshake[at : at + size] for at in range(0, len(handshake), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def by_bytes(data: bytes) -> Outcome:
    sniffer = HelloSniffer()
    outcome: Outcome = Sniffed.MORE
    for byte in data:
        outcome = sniffer.feed(bytes((byte,)))
    return outcome


def test_what_openssl_sends() -> None:
    hello = sniff(real_hello())
    assert hello == ClientHello("www.example.com", (b"h2", b"http/1.1"), (0x0304, 0x0303))
    assert sniff(real_hello(None, ())) == ClientHello("", (), (0x0304, 0x0303))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 300])
@pytest.mark.behaviour("ADV-C-4")
def test_adv_c_a_hello_in_many_records_is_read_whole(size: int) -> None:
    """A router must not lose the name, and with it the option, because the hello was cut up."""
    whole = real_hello()
    cut = records(whole[5:], size)
    assert sniff(cut) == by_bytes(cut) == sniff(whole)


def test_every_prefix_needs_more_and_every_byte_is_fed_once() -> None:
    whole = real_hello()
    for end in range(len(whole)):
        assert sniff(whole[:end]) is Sniffed.MORE
    assert by_bytes(whole) == sniff(whole)


@pytest.mark.parametrize(
    ("host", "name"),
    [(b"A.TEST", "a.test"), (b"a.test.", "a.test"), (b"_x.a.test", "_x.a.test")],
    ids=["ADV-C-upper", "ADV-C-dot", "underscore"],
)
def test_names_are_normalized(host: bytes, name: str) -> None:
    assert sniff(records(message(server_name(host)))) == ClientHello(name, (), (0x0303,))


def test_no_extensions_at_all() -> None:
    assert sniff(records(message(bare=True))) == ClientHello("", (), (0x0303,))
    assert sniff(records(message())) == ClientHello("", (), (0x0303,))


def test_padding_and_unknown_extensions_are_passed_over() -> None:
    padded = message(
        extension(0x0A0A, b""), extension(21, bytes(20000)), server_name(b"a.test"), extension(41, b"x")
    )
    assert sniff(records(padded)) == ClientHello("a.test", (), (0x0303,))


def test_what_follows_the_hello_is_not_ours_to_judge() -> None:
    whole = real_hello()
    assert sniff(whole + b"\x14\x03\x03\x00\x01\x01" + b"\x17 early data") == sniff(whole)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0", POSTGRES_SSL_REQUEST, b"\0", b"SSH-2.0"]
)
def test_not_tls(data: bytes) -> None:
    assert sniff(data) is Sniffed.NOT_TLS
    assert sniff(data[:1]) is Sniffed.NOT_TLS


BAD = {
    "SSL 2": b"\x80\x2e\x01\x03\x01",
    "record version": b"\x16\x02",
    "empty record": b"\x16\x03\x01\0\0",
    "long record": b"\x16\x03\x01\x40\x01",
    "alert between": records(message(server_name(b"a.test")), 50)[:55] + b"\x15\x03\x01\0\x02\x02\x28",
    "other message": records(b"\x02" + bytes(40)),
    "too long": records(b"\x01\x02\0\0"),
    "two messages": records(message() + b"\x01"),
    "bytes behind the extensions": records(message(tail=b"x")),
    "name twice": records(message(server_name(b"a.test"), server_name(b"b.test"))),
    "two names": records(message(extension(0, vector(2, b"\0" + vector(2, b"a") + b"\0" + vector(2, b"b"))))),
    "other name type": records(message(server_name(b"a.test", 1))),
    "empty name": records(message(server_name(b""))),
    "only a dot": records(message(server_name(b"."))),
    "NUL in the name": records(message(server_name(b"a.test\0.b"))),
    "blank in the name": records(message(server_name(b"a.test "))),
    "name not ASCII": records(message(server_name("bücher.test".encode()))),
    "long name": records(message(server_name(b"a" * 256))),
    "empty name list": records(message(extension(0, b""))),
    "bytes behind the name": records(message(extension(0, vector(2, b"\0" + vector(2, b"a")) + b"x"))),
    "empty protocol": records(message(extension(16, vector(2, b"\0")))),
    "no protocols": records(message(extension(16, vector(2, b"")))),
    "no versions": records(message(extension(43, b"\0"))),
    "odd versions": records(message(extension(43, b"\x03\x03\x04\x03"))),
    "truncated extension": records(message(b"\0\0\0\x40")),
}


@pytest.mark.parametrize("case", BAD)
def test_adv_c_doubtful_hellos_are_malformed(case: str) -> None:
    assert isinstance(sniff(BAD[case]), Malformed), sniff(BAD[case])
    assert isinstance(by_bytes(BAD[case]), Malformed)


def test_the_size_is_bounded() -> None:
    endless = records(b"\x01\x00\xff\xf0" + bytes(70000), 100)
    sniffer = HelloSniffer()
    for at in range(0, LARGEST_BYTES - 100, 100):
        assert sniffer.feed(endless[at : at + 100]) is Sniffed.MORE
    assert isinstance(sniffer.feed(endless[at + 100 : at + 1000]), Malformed)
    assert sniffer.feed(b"\x16") == Malformed(f"ClientHello above {LARGEST_BYTES} bytes")


def test_single_bytes_cost_no_more_than_their_number() -> None:
    """Adv F: 64 KiB, one byte a segment, one byte a record."""
    data = records(b"\x01\x00\xff\xf0" + bytes(10000), 1)
    started = time.process_time()
    by_bytes(data)
    assert time.process_time() - started < 2


@given(st.binary(max_size=400))
def test_any_bytes_have_an_outcome_and_pieces_do_not_matter(data: bytes) -> None:
    check_pieces(data)


@given(st.binary(max_size=40), st.integers(0, 600), st.integers(1, 600))
def test_damaged_hellos_too(noise: bytes, at: int, size: int) -> None:
    handshake = HELLO[5:]
    at = min(at, len(handshake))
    check_pieces(records(handshake[:at] + noise + handshake[at + len(noise) :], size))


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 16, 43, 21]), st.binary(max_size=20)).map(lambda pair: extension(*pair)),
        max_size=4,
    )
)
def test_any_extensions_too(extensions: list[bytes]) -> None:
    check_pieces(records(message(*extensions)))


HELLO = real_hello()


def check_pieces(data: bytes) -> None:
    whole = sniff(data)
    assert by_bytes(data) == whole
    if isinstance(whole, ClientHello):
        assert whole.server_name == whole.server_name.lower()
