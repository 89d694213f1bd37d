"""The door to the raw binding: reading and writing a connection without pyOpenSSL's own detours."""

from __future__ import annotations

import contextlib
import threading

import pytest
from OpenSSL import SSL

from config.tls import TLSOptions
from tests.tls.pki import Authority
from tls import openssl
from tls.contexts import ContextCache
from tls.openssl import RECORD_BYTES, Transfer, transfer
from tls.options import resolve
from tls.server import Selection, ServerBase
from tls.store import Bundle

BUNDLE = Bundle([Authority().issue("a.test").loaded()])


class Ends:
    """A finished handshake in memory: `server` is ours, `client` pyOpenSSL's."""

    def __init__(self) -> None:
        selection = Selection(resolve(TLSOptions()), BUNDLE, "")
        self.server: SSL.Connection = ServerBase().connect(selection, ContextCache(), None)
        self.client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
        self.client.set_connect_state()
        for _ in range(4):
            for one, other in ((self.client, self.server), (self.server, self.client)):
                with contextlib.suppress(SSL.WantReadError):
                    one.do_handshake()
                self.carry(one, other)

    @staticmethod
    def carry(sender: SSL.Connection, receiver: SSL.Connection) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                receiver.bio_write(sender.bio_read(65536))

    def send(self, data: bytes) -> None:
        """From the client to the server."""
        self.client.sendall(data)
        self.carry(self.client, self.server)


@pytest.fixture
def ends() -> Ends:
    return Ends()


def test_what_was_sent_is_received(ends: Ends) -> None:
    receive, _ = transfer(ends.server)
    ends.send(b"first" + bytes(RECORD_BYTES))
    assert receive(5) == b"first"
    assert receive(RECORD_BYTES) + receive(RECORD_BYTES) == bytes(RECORD_BYTES)


def test_no_more_than_a_record_is_taken_whatever_is_asked_for(ends: Ends) -> None:
    """The buffer holds no more, and OpenSSL believes what it is told."""
    receive, _ = transfer(ends.server)
    ends.send(bytes(3 * RECORD_BYTES))
    assert receive(1 << 30) == bytes(RECORD_BYTES)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_is_sent_may_be_any_buffer(ends: Ends, kind: type) -> None:
    assert transfer(ends.server).send(kind(b"hello")) == 5
    ends.carry(ends.server, ends.client)
    assert ends.client.recv(10) == b"hello"


def test_failures_are_those_of_pyopenssl(ends: Ends) -> None:
    receive, send = transfer(ends.server)
    with pytest.raises(SSL.WantReadError):
        receive(1)
    ends.client.shutdown()
    ends.carry(ends.client, ends.server)
    with pytest.raises(SSL.ZeroReturnError):
        receive(1)
    ends.server.shutdown()
    with pytest.raises(SSL.Error):
        send(b"too late")
    openssl.clear_errors()


def test_what_was_received_stays_as_it_is(ends: Ends) -> None:
    """All connections of a thread read through the same memory."""
    others = Ends()
    ends.send(b"ours")
    others.send(b"theirs")
    ours = transfer(ends.server).receive(10)
    assert transfer(others.server).receive(10) == b"theirs"
    assert ours == b"ours"


def test_threads_do_not_share_memory(ends: Ends) -> None:
    """OpenSSL runs without the interpreter's lock."""
    found: list[Transfer] = [transfer(ends.server)]
    thread = threading.Thread(target=lambda: found.append(transfer(ends.server)))
    thread.start()
    thread.join()
    memories = [one.receive.__closure__ or () for one in found]
    buffers = [[cell.cell_contents for cell in cells] for cells in memories]
    views = [one for contents in buffers for one in contents if isinstance(one, openssl._ffi.buffer)]
    assert len(views) == 2
    assert views[0] is not views[1]
