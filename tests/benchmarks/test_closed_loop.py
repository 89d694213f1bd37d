"""The load generator of this process, against servers that answer in pieces, wrongly or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.closed_loop import Line, Requests, Tally, converse, exchange
from benchmarks.echo import Client, accept_value
from benchmarks.websocket import Messages

QUESTION = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@contextmanager
def answering(serve: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """The client's end of a pair whose other end a thread serves."""
    client, server = socket.socketpair()
    thread = threading.Thread(target=serve, args=(server,))
    thread.start()
    with client, server:
        yield client
        client.close()
        thread.join()


def in_pieces(*pieces: bytes) -> Callable[[socket.socket], None]:
    def serve(server: socket.socket) -> None:
        while server.recv(1000):
            for piece in pieces:
                server.sendall(piece)

    return serve


def ask(serve: Callable[[socket.socket], None]) -> Tally:
    with answering(serve) as client:
        return converse([Line(client, Requests(lambda: QUESTION))], 0.05)


def test_answers_are_counted_whole_however_they_come() -> None:
    tally = ask(in_pieces(GOOD[:10], GOOD[10:-1], GOOD[-1:]))
    assert tally.answers > 1
    assert tally.failed == 0
    assert tally.seconds >= 0.05


def test_another_status_has_failed() -> None:
    tally = ask(in_pieces(GOOD.replace(b"200", b"503")))
    assert tally.answers == 0
    assert tally.failed > 1


def test_a_connection_that_ends_has_failed_once() -> None:
    def serve(server: socket.socket) -> None:
        server.recv(1000)
        server.shutdown(socket.SHUT_RDWR)

    tally = ask(serve)
    assert (tally.answers, tally.failed) == (0, 1)


def test_an_exchange_reads_the_body_too() -> None:
    with answering(in_pieces(GOOD[:-1], GOOD[-1:])) as client:
        assert exchange(client, QUESTION).startswith(b"HTTP/1.1 200 OK")
        assert exchange(client, QUESTION) == GOOD.partition(b"\r\n\r\n")[0]


def test_an_exchange_with_nobody() -> None:
    def serve(server: socket.socket) -> None:
        server.recv(1000)
        server.shutdown(socket.SHUT_RDWR)

    with answering(serve) as client, pytest.raises(ConnectionError):
        exchange(client, QUESTION)


def test_the_accept_value_of_the_rfc() -> None:
    """RFC 6455, section 1.3."""
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_messages_come_back_whole_from_the_echo() -> None:
    def serve(server: socket.socket) -> None:
        one = Client(server)
        while one.turn():
            pass

    with answering(serve) as client:
        greeting = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        assert exchange(client, greeting).startswith(b"HTTP/1.1 101 ")
        tally = converse([Line(client, Messages(40))], 0.05)
    assert tally.answers > 1
    assert tally.failed == 0


def test_another_message_has_failed() -> None:
    messages = Messages(3)
    assert messages.heard(b"\x81\x03ab") is None
    assert messages.heard(b"c") is False
    assert messages.heard(b"\x81\x03xxx") is True
