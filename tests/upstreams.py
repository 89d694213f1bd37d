"""Upstream servers that do exactly what a script says, rude and slow ones included.

A script is a function that gets a Peer for each connection and speaks bytes; it runs in a greenlet of the
test's own hub. What goes wrong in a script (an expectation that fails, too) fails the test at the end of the
`with` block.
"""

from __future__ import annotations

import socket as plain_socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import gevent
from gevent import socket

PATIENCE_SECONDS = 15.0


class Peer:
    """One end of a connection, for scripts and test clients: blocking for the greenlet, bounded in time."""

    def __init__(self, connection: Any) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE_SECONDS)
        self.unread = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def dribble(self, data: bytes, size: int = 1) -> None:
        """Send in pieces of `size` bytes, each on its own."""
        for start in range(0, len(data), size):
            self.socket.sendall(data[start : start + size])
            gevent.sleep(0.001)

    def read_some(self) -> bytes:
        """Whatever comes next; b"" at the end."""
        if self.unread:
            data, self.unread = self.unread, b""
            return data
        data = self.socket.recv(65536)
        assert isinstance(data, bytes)
        return data

    def read_until(self, marker: bytes) -> bytes:
        """Up to and with `marker`; fails if the connection ends before."""
        while marker not in self.unread:
            more = self.socket.recv(65536)
            assert more, f"the connection ended after {self.unread!r}, before {marker!r}"
            self.unread += more
        end = self.unread.index(marker) + len(marker)
        data, self.unread = self.unread[:end], self.unread[end:]
        return data

    def read_head(self) -> bytes:
        return self.read_until(b"\r\n\r\n")

    def read_exactly(self, count: int) -> bytes:
        while len(self.unread) < count:
            more = self.socket.recv(65536)
            assert more, f"the connection ended {count - len(self.unread)} bytes early"
            self.unread += more
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def read_to_end(self) -> bytes:
        """Everything to the end of the connection; raises ConnectionResetError if it is reset."""
        data, self.unread = self.unread, b""
        while more := self.socket.recv(65536):
            data += more
        return data

    def hears_nothing(self, seconds: float) -> bool:
        """Does nothing come, not even an end, for so long?"""
        self.socket.settimeout(seconds)
        try:
            self.unread += self.socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_SECONDS)
        return False

    def half_close(self) -> None:
        self.socket.shutdown(plain_socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


Script = Callable[[Peer], None]


class Upstream:
    """Listens on port zero and plays `script` with everybody who comes."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections = 0
        self._group: list[Any] = []
        self._acceptor = gevent.spawn(self._accept)
        self.failures: list[BaseException] = []

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self.connections += 1
            self._group.append(gevent.spawn(self._play, Peer(connection)))

    def _play(self, peer: Peer) -> None:
        try:
            self._script(peer)
        except (OSError, AssertionError) as error:
            self.failures.append(error)
        finally:
            peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gevent.killall([self._acceptor, *self._group])
        self._listener.close()
        assertions = [one for one in self.failures if isinstance(one, AssertionError)]
        if assertions and error is None:
            raise assertions[0]


def answering(*answers: bytes) -> Script:
    """Read a head, send the next answer, and so on over one connection; then wait for its end."""

    def script(peer: Peer) -> None:
        for answer in answers:
            peer.read_head()
            peer.send(answer)
        peer.read_to_end()

    return script


def body_of(head: bytes, peer: Peer) -> bytes:
    """The body that `head` announces, read from `peer`; chunks are left in their frames."""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while True:
            line = peer.read_until(b"\r\n")
            body += line
            size = int(line, 16)
            body += peer.read_exactly(size + 2)
            if not size:
                return body
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return peer.read_exactly(int(line.partition(b":")[2]))
    return b""


def echo(peer: Peer) -> None:
    """Answer every request with 200 and the request itself, head and body as they came."""
    while True:
        if not peer.unread:
            peer.unread = peer.socket.recv(65536)
            if not peer.unread:
                return
        head = peer.read_head()
        if b"expect: 100-continue" in head.lower():
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen = head + body_of(head, peer)
        body = b"" if head.startswith(b"HEAD ") else seen
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(seen), body))
