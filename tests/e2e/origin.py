"""An origin server for tests with real clients: bodies of any size, trailers, events on command, WebSockets.

It speaks HTTP/1.1 from threads and knows these paths: `/bytes/<n>` and `/chunks/<n>` (downloads with and without
a length), `/upload` (answers with length and hash of what came), `/trailers`, `/events` (one event for each
call of `tell`), `/ws` (a WebSocket that echoes).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import queue
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PATTERN: Final = bytes(range(256)) * 256
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


def pattern(size: int) -> bytes:
    """The body of `/bytes/<size>`."""
    return (_PATTERN * (size // len(_PATTERN) + 1))[:size]


def digest(body: bytes) -> str:
    """What `/upload` answers to a body."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}"


class Origin:
    """A context manager; `port` of 127.0.0.1."""

    def __init__(self) -> None:
        self._words: queue.Queue[bytes] = queue.Queue()
        origin = self

        class Handler(_Handler):
            words = origin._words

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: object, client_address: object) -> None:
                """Clients that go away are what some tests are about."""

            def process_request(self, request: Any, client_address: Any) -> None:
                origin._open.add(request)
                super().process_request(request, client_address)

            def shutdown_request(self, request: Any) -> None:
                origin._open.discard(request)
                super().shutdown_request(request)

        self._open: set[socket.socket] = set()
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def tell(self, word: bytes) -> None:
        """Let whoever reads `/events` see one more; an empty word ends it."""
        self._words.put(word)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._words.put(b"")
        self._server.shutdown()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    words: queue.Queue[bytes]

    def do_GET(self) -> None:
        _, kind, *rest = self.path.split("/")
        if kind == "bytes":
            self._head(("Content-Length", rest[0]))
            self.wfile.write(pattern(int(rest[0])))
        elif kind == "chunks":
            self._chunked(pattern(int(rest[0])))
        elif kind == "trailers":
            self._chunked(b"hello", b"X-T: 1\r\n", ("Trailer", "X-T"))
        elif kind == "events":
            self._events()
        elif kind == "ws":
            _Echo(self).run()
        else:
            self._head(("Content-Length", "5"))
            self.wfile.write(b"hello")

    def do_POST(self) -> None:
        body = digest(self._body()).encode()
        self._head(("Content-Length", str(len(body))))
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.do_POST()

    def _body(self) -> bytes:
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _head(self, *headers: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _chunked(self, body: bytes, trailers: bytes = b"", *headers: tuple[str, str]) -> None:
        self._head(("Transfer-Encoding", "chunked"), *headers)
        for start in range(0, len(body), 30000):
            piece = body[start : start + 30000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n%b\r\n" % trailers)

    def _events(self) -> None:
        self._head(("Content-Type", "text/event-stream"))
        self.close_connection = True
        while word := self.words.get():
            self.wfile.write(b"data: %b\n\n" % word)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Echo:
    """The server's end of a WebSocket (RFC 6455): every message comes back, a close is answered with its code."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler

    def run(self) -> None:
        handler = self._handler
        key = handler.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        handler.close_connection = True
        handler.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        while self._frame():
            pass

    def _frame(self) -> bool:
        read, write = self._handler.rfile.read, self._handler.wfile.write
        head = read(2)
        if len(head) < 2:
            return False
        kind, size = head[0] & 15, head[1] & 127
        if size > 125:
            size = int.from_bytes(read(2 if size == 126 else 8), "big")
        mask = read(4)
        data = _unmasked(read(size), mask)
        answer = bytes((head[0] & 0xF0 | (_PONG if kind == _PING else kind),))
        if size < 126:
            answer += bytes((size,))
        else:
            answer += b"\x7f" + struct.pack(">Q", size)
        write(answer + data)
        return kind != _CLOSE


def _unmasked(data: bytes, mask: bytes) -> bytes:
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")
