"""ClientHellos that somebody made up: whatever is read from one, OpenSSL reads the same, or nobody is served.

The option of a connection is chosen from our own reading of the ClientHello (`tls/hello.py`); a name that OpenSSL
and the routes see and we do not would be a way around a client certificate. So both read what hypothesis makes
up, and a protected name is either seen as itself or refused.
"""

from __future__ import annotations

import contextlib
import functools
import random
import ssl
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from config.tls import ClientAuth, TLSOptions
from tests.tls.handshakes import client_context
from tests.tls.pki import Authority
from tls import openssl
from tls.alerts import HandshakeRefused
from tls.contexts import ContextCache
from tls.hello import ClientHello, HelloSniffer
from tls.options import resolve
from tls.selection import TLSTable
from tls.server import Selection, ServerBase, ServerConnection
from tls.server_names import NameTable, normalize_server_name
from tls.store import Bundle, CertificateStore

ROOT = Authority()
PROTECTED = {"m.test": "mtls", "www.wild.test": "wild", "gone.test": "gone"}
"""Names, and the option that each must get."""


@functools.cache
def table() -> TLSTable:
    demands = TLSOptions(client_auth=ClientAuth(ca_files=[ROOT.pem]))
    bundle = Bundle([ROOT.issue("any.test").loaded()])
    options = {
        "default": resolve(TLSOptions()),
        "mtls": resolve(demands, "mtls"),
        "wild": resolve(demands, "wild"),
    }
    hosts = NameTable([("m.test", "mtls"), ("*.wild.test", "wild"), ("gone.test", "gone")])
    return TLSTable(CertificateStore(default=bundle), options, hosts)


BASE, CONTEXTS = ServerBase(), ContextCache()


@functools.cache
def genuine(name: str | None) -> tuple[bytes, tuple[bytes, ...]]:
    """A hello of OpenSSL's: what stands before the extensions, and these one by one."""
    outgoing = ssl.MemoryBIO()
    context = client_context(alpn=["http/1.1"])
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    body = outgoing.read()[9:]
    at = 35 + body[34]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    fixed, block = body[:at], body[at + 2 :]
    found = []
    while block:
        length = 4 + int.from_bytes(block[2:4], "big")
        found.append(block[:length])
        block = block[length:]
    return fixed, tuple(found)


def server_name(host: bytes) -> bytes:
    names = b"\0" + struct.pack(">H", len(host)) + host
    value = struct.pack(">H", len(names)) + names
    return struct.pack(">HH", 0, len(value)) + value


def hello(fixed: bytes, extensions: list[bytes], record_bytes: int = 16384) -> bytes:
    """The bytes of a connection's beginning."""
    block = b"".join(extensions)
    body = fixed + struct.pack(">H", len(block)) + block
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    pieces = [message[at : at + record_bytes] for at in range(0, len(message), record_bytes)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(piece)) + piece for piece in pieces)


def choose(data: bytes, segment_bytes: int = 1 << 16) -> Selection | None:
    """As a worker does; None if the client is turned away."""
    sniffer = HelloSniffer()
    for at in range(0, len(data), segment_bytes):
        outcome = sniffer.feed(data[at : at + segment_bytes])
    if not isinstance(outcome, ClientHello):
        return None
    try:
        return table().select(outcome)
    except HandshakeRefused:
        return None


def accepted(selection: Selection, data: bytes) -> ServerConnection | None:
    """The connection if OpenSSL answers the hello with anything but an alert."""
    connection = BASE.connect(selection, CONTEXTS, None)
    if data:
        connection.bio_write(data)
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        with contextlib.suppress(SSL.WantReadError):
            return connection if connection.bio_read(1) == b"\x16" else None
    except SSL.Error:
        openssl.clear_errors()
    return None


SPELLINGS = st.tuples(st.sampled_from(sorted(PROTECTED)), st.integers(0, 1 << 16), st.sampled_from(["", "."])).map(
    lambda drawn: (
        "".join(letter.upper() if drawn[1] >> at & 1 else letter for at, letter in enumerate(drawn[0])) + drawn[2]
    )
)
OTHERS = st.lists(
    st.tuples(st.sampled_from([0x0A0A, 21, 17513, 0xFE0D, 65281]), st.binary(max_size=300)).map(
        lambda drawn: struct.pack(">HH", drawn[0], len(drawn[1])) + drawn[1]
    ),
    max_size=3,
    unique_by=lambda whole: whole[:2],
)


@given(SPELLINGS, OTHERS, st.integers(0, 1000), st.integers(1, 600), st.integers(1, 600))
@pytest.mark.behaviour("ADV-C-4")
def test_adv_c_no_spelling_order_padding_or_cut_weakens_a_protected_name(
    spelled: str, others: list[bytes], seed: int, record_bytes: int, segment_bytes: int
) -> None:
    fixed, extensions = genuine("placeholder.test")
    extensions = (server_name(spelled.encode()), *(one for one in extensions if one[:2] != b"\0\0"), *others)
    extensions = tuple({one[:2]: one for one in extensions}.values())
    shuffled = random.Random(seed).sample(extensions, len(extensions))
    selection = choose(hello(fixed, shuffled, record_bytes), segment_bytes)
    wanted = PROTECTED[normalize_server_name(spelled)]
    if wanted == "gone":
        assert selection is None
    else:
        assert selection is not None
        assert selection.settings.name == wanted


@settings(deadline=None)
@given(
    st.sampled_from([*PROTECTED, "open.test", None]),
    st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=4)), max_size=4),
    st.lists(st.integers(0, 20), max_size=3),
)
def test_adv_c_openssl_never_reads_another_name_than_we_do(
    name: str | None, damage: list[tuple[int, bytes]], repeated: list[int]
) -> None:
    """Bytes overwritten anywhere, extensions repeated."""
    fixed, extensions = genuine(name)
    extensions += tuple(extensions[at % len(extensions)] for at in repeated)
    data = bytearray(hello(fixed, list(extensions)))
    for anywhere, noise in damage:
        at = 5 + anywhere % (len(data) - 5)
        data[at : at + len(noise)] = noise[: len(data) - at]
    selection = choose(bytes(data))
    if selection is None:
        return
    connection = accepted(selection, bytes(data))
    if connection is not None:
        theirs = (connection.get_servername() or b"").decode("latin-1")
        assert normalize_server_name(theirs) == selection.server_name
        assert table().option_name(selection.server_name) == selection.settings.name


@given(st.binary(max_size=200), st.integers(0, 5))
def test_openssl_survives_whatever_it_is_given(noise: bytes, kept: int) -> None:
    """Its error is an error of ours, and the next connection is none the worse."""
    fixed, extensions = genuine("open.test")
    data = hello(fixed, list(extensions))
    selection = choose(data)
    assert selection is not None
    accepted(selection, data[: len(data) * kept // 5] + noise)
    assert accepted(selection, data) is not None


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.behaviour("ADV-E-6")
def test_no_ticket_allows_early_data(version: int) -> None:
    """ADV-E: clients learn from their ticket how much they may send, and that is nothing."""
    session = _converse(_client(version), ServerBase())
    assert openssl._lib.SSL_SESSION_get_max_early_data(session._session) == 0


@pytest.mark.behaviour("ADV-E-6")
def test_early_data_that_nobody_asked_for_is_never_read() -> None:
    """ADV-E: announced in the hello and sent all the same."""
    fixed, extensions = genuine("open.test")
    data = hello(fixed, [*extensions, struct.pack(">HH", 42, 0)])
    selection = choose(data)
    assert selection is not None
    connection = BASE.connect(selection, CONTEXTS, None)
    connection.bio_write(data + b"\x17\x03\x03\x00\x15GET /early HTTP/1.1\r\n")
    with pytest.raises(SSL.Error):
        connection.do_handshake()
    with pytest.raises(SSL.Error):
        connection.recv(100)
    openssl.clear_errors()


def test_renegotiation_is_refused() -> None:
    client = _client(SSL.TLS1_2_VERSION)
    base = ServerBase()
    server = _accepting(base)
    _shake(client, server)
    client.renegotiate()
    with contextlib.suppress(SSL.Error):
        client.do_handshake()
    _carry(client, server)
    with pytest.raises(SSL.Error):
        server.recv(100)
    with contextlib.suppress(SSL.WantReadError):
        client.bio_write(server.bio_read(65536))
    with pytest.raises(SSL.Error):
        client.do_handshake()
    assert server.total_renegotiations() == 0
    openssl.clear_errors()


@functools.cache
def _client_context(version: int) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    return context


def _client(version: int = SSL.TLS1_3_VERSION) -> SSL.Connection:
    client = SSL.Connection(_client_context(version))
    client.set_tlsext_host_name(b"open.test")
    client.set_connect_state()
    return client


def _accepting(base: ServerBase) -> ServerConnection:
    selection = table().select(ClientHello("open.test"))
    return base.connect(selection, CONTEXTS, None)


def _carry(sender: SSL.Connection, receiver: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        while True:
            receiver.bio_write(sender.bio_read(65536))


def _shake(client: SSL.Connection, server: SSL.Connection) -> None:
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            _carry(one, other)


def _converse(client: SSL.Connection, base: ServerBase) -> SSL.Session:
    """A handshake, then a word each way: the client's session."""
    server = _accepting(base)
    _shake(client, server)
    client.send(b"?")
    _carry(client, server)
    assert server.recv(1) == b"?"
    server.send(b"!")
    _carry(server, client)
    assert client.recv(1) == b"!"
    session = client.get_session()
    assert session is not None
    return session
