"""The server behind both proxies: it answers with what it received, so that the two can be compared.

A path `/as/503/x` is answered so with that status.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from types import TracebackType


class _Handler(socketserver.StreamRequestHandler):
    """One connection of keep-alive requests. Paths select odd answers, see `_special`."""

    def handle(self) -> None:
        self.connection.settimeout(20)
        try:
            while self._one():
                pass
        except (OSError, ValueError):
            pass

    def _one(self) -> bool:
        line = self.rfile.readline(65536)
        if not line:
            return False
        headers = []
        while (raw := self.rfile.readline(65536)) not in (b"\r\n", b"\n", b""):
            name, _, value = raw.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        known = {name.lower(): value for name, value in headers}
        body = self._body(known)
        method, target = line.decode("latin-1").split(" ")[:2]
        return self._answer(method, target, headers, body)

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self.rfile.read(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return b""
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b"\n", b""):
            pass
        return body

    def _answer(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> bool:
        answers: dict[str, bytes] = self.server.answers  # type: ignore[attr-defined]
        for path, raw in answers.items():
            if target.startswith(path):
                self.wfile.write(raw)
                return False
        seen = {
            "server": self.server.name,  # type: ignore[attr-defined]
            "method": method,
            "target": target,
            "headers": headers,
            "body": body.decode("latin-1"),
        }
        text = json.dumps(seen).encode()
        status = target[4:7] if target.startswith("/as/") else "200"
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self.wfile.write(head.encode() + (b"" if method == "HEAD" else text))
        return True


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, answers: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.answers = answers
        self.open: set[socket.socket] = set()

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        self.open.discard(request)
        super().shutdown_request(request)


class EchoServer:
    """Context manager; `port` is where it listens. `answers` maps a path prefix to raw response bytes."""

    def __init__(self, name: str, answers: dict[str, bytes] | None = None) -> None:
        self._server = _Server(name, answers or {})
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

    def __enter__(self) -> EchoServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._server.shutdown()
        for one in list(self._server.open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()
        self._thread.join(10)
