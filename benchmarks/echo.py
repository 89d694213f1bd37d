"""A WebSocket server that sends every message back, for benchmarks/websocket.py.

    python -m benchmarks.echo PORT

It asks of its clients what the load generator does: whole frames of less than 126 bytes, whose mask is zero, so
that to unmask is to leave out the mask. Any other request gets a 200.
"""

from __future__ import annotations

import base64
import hashlib
import re
import select
import socket
import sys

READ_BYTES = 65536
MASKED_HEAD_BYTES = 6
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"(?i)\r\nsec-websocket-key: *([^\r]+)")


def accept_value(key: bytes) -> bytes:
    """Sec-WebSocket-Accept (RFC 6455, section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())


class Client:
    """One connection: first a request, then frames."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""
        self._is_upgraded = False

    def turn(self) -> bool:
        """Answer what has arrived; False at the end."""
        data = self.connection.recv(READ_BYTES)
        if not data:
            return False
        self._received += data
        answer = self._frames() if self._is_upgraded else self._greeting()
        if answer:
            self.connection.sendall(answer)
        return True

    def _frames(self) -> bytes:
        received, at, answer = self._received, 0, []
        while len(received) - at >= MASKED_HEAD_BYTES:
            size = received[at + 1] & 0x7F
            begin = at + MASKED_HEAD_BYTES
            if len(received) < begin + size:
                break
            answer.append(bytes((received[at], size)) + received[begin : begin + size])
            at = begin + size
        self._received = received[at:]
        return b"".join(answer)

    def _greeting(self) -> bytes:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return b""
        self._received = rest
        key = _KEY.search(head)
        if key is None:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self._is_upgraded = True
        accept = accept_value(key[1])
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept + self._frames()
        )


def serve(listener: socket.socket) -> None:
    """Until the process is ended."""
    clients: dict[int, Client] = {}
    with select.epoll() as poll:
        poll.register(listener.fileno(), select.EPOLLIN)
        while True:
            for descriptor, _ in poll.poll():
                client = clients.get(descriptor)
                if client is None:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    clients[connection.fileno()] = Client(connection)
                    poll.register(connection.fileno(), select.EPOLLIN)
                elif not _turn(client):
                    poll.unregister(descriptor)
                    clients.pop(descriptor).connection.close()


def _turn(client: Client) -> bool:
    try:
        return client.turn()
    except OSError:
        return False


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as listener:
        serve(listener)


if __name__ == "__main__":
    main()
