"""An upstream server for whole-tree tests: says hello, or begins a response and goes on when told or later."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Upstream:
    """`/slow/<seconds>` sends its head and `begun `, waits, then sends `done`. On a port of 127.0.0.1."""

    def __init__(self) -> None:
        upstream = self
        self.requests, self.counting = 0, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with upstream.counting:
                    upstream.requests += 1
                pieces = [b"hello"]
                if self.path.startswith("/slow/"):
                    pieces = [b"begun ", b"done"]
                self.send_response(200)
                self.send_header("Content-Length", str(sum(map(len, pieces))))
                self.end_headers()
                self.wfile.write(pieces[0])
                if len(pieces) > 1:
                    upstream.stopping.wait(float(self.path.removeprefix("/slow/")))
                    self.wfile.write(pieces[1])

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Cut connections are what some tests are about."""

        self.stopping = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
