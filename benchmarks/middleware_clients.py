"""Clients for the rows of benchmarks/middlewares.py that wrk cannot ask for.

Each opens connections for benchmarks/closed_loop.py: with answers to a digest's challenge, which differ from one
request to the next, or with a client's certificate.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import socket
import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

from benchmarks.certificates import issue
from benchmarks.closed_loop import PATIENCE_SECONDS, Line, Requests, exchange
from benchmarks.setting import HOST

_FIELD = re.compile(rb'(\w+)="([^"]*)"')
_CNONCE = b"0a4f113b"


class Client(Protocol):
    """How to connect, and what to ask on a connection."""

    def connect(self, port: int) -> socket.socket:
        """Blocking. Raises OSError."""
        ...

    def questions(self, connection: socket.socket, path: str) -> Callable[[], bytes]:
        """What makes one request after the other; may have asked something on the connection already."""
        ...


def opened(client: Client, port: int, path: str) -> Line:
    """A connection that can be used. Raises OSError."""
    connection = client.connect(port)
    try:
        return Line(connection, Requests(client.questions(connection, path)))
    except BaseException:
        connection.close()
        raise


def get(path: str, *lines: bytes) -> bytes:
    """A request with further header lines."""
    return b"\r\n".join([f"GET {path} HTTP/1.1\r\nHost: {HOST}".encode(), *lines, b"", b""])


class WithNothing:
    """The same request again and again, as wrk asks."""

    def connect(self, port: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def questions(self, connection: socket.socket, path: str) -> Callable[[], bytes]:
        request = get(path)
        return lambda: request


class WithDigest(WithNothing):
    """A nonce for each connection, used again with a count that grows (RFC 7616, section 3.4)."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user.encode()
        self._password = password.encode()

    def questions(self, connection: socket.socket, path: str) -> Callable[[], bytes]:
        head = exchange(connection, get(path))
        given = dict(_FIELD.findall(head))
        if b"nonce" not in given:
            raise ConnectionError(f"no challenge: {head.decode(errors='replace')}")
        secret = _md5(b":".join((self._user, given[b"realm"], self._password)))
        what = _md5(b"GET:" + path.encode())
        form = b'Authorization: Digest username="%b", realm="%b", nonce="%b", uri="%b", opaque="%b", ' % (
            self._user,
            given[b"realm"],
            given[b"nonce"],
            path.encode(),
            given.get(b"opaque", b""),
        )
        counts = itertools.count(1)

        def question() -> bytes:
            count = b"%08x" % next(counts)
            answer = _md5(b":".join((secret, given[b"nonce"], count, _CNONCE, b"auth", what)))
            rest = b'algorithm=MD5, qop=auth, nc=%b, cnonce="%b", response="%b"' % (count, _CNONCE, answer)
            return get(path, form + rest)

        return question


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


class WithCertificate(WithNothing):
    """TLS, with a certificate of its own for whoever asks."""

    def connect(self, port: int) -> socket.socket:
        plain = super().connect(port)
        try:
            return _context().wrap_socket(plain, server_hostname=HOST)
        except BaseException:
            plain.close()
            raise


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with tempfile.TemporaryDirectory() as name:
        pair = Path(name) / "client.pem"
        pair.write_bytes(b"".join(issue("client.bench.example")))
        context.load_cert_chain(pair)
    return context
