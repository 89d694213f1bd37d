"""A small backend that tells what it was asked: for the demo, for trying out routes, for tests.

Answers in the manner of the well-known whoami image: one line a fact, then the request as it arrived.
"""

from __future__ import annotations

import signal
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final

import click

from master.commands.base import fail

_LARGEST_LINE_BYTES: Final = 65536


class WhoamiHandler(BaseHTTPRequestHandler):
    """Answers every method and path; a request's body is read and dropped so that connections stay alive."""

    protocol_version = "HTTP/1.1"
    server: WhoamiServer

    def answer(self) -> None:
        try:
            self._drop_body()
        except ValueError:
            self.send_error(400)
            self.close_connection = True
            return
        body = self._describe().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def _describe(self) -> str:
        host, port = self.client_address[:2]
        facts = [f"Name: {self.server.name}"] if self.server.name else []
        facts += [
            f"Hostname: {socket.gethostname()}",
            f"IP: {self.connection.getsockname()[0]}",
            f"RemoteAddr: {_joined(host, port)}",
            f"{self.command} {self.path} {self.request_version}",
        ]
        return "\n".join([*facts, *(f"{name}: {value}" for name, value in self.headers.items()), ""])

    def _drop_body(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(_LARGEST_LINE_BYTES).split(b";")[0], 16):
                self.rfile.read(size + 2)
            while self.rfile.readline(_LARGEST_LINE_BYTES).strip():
                pass
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who is curious has the proxy's log."""


class WhoamiServer(ThreadingHTTPServer):
    """Bound and listening once made; `serve_forever` answers. Port 0 lets the kernel choose."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, name: str = "") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.name = name
        super().__init__((host, port), WhoamiHandler)

    @property
    def url(self) -> str:
        return f"http://{_joined(*self.server_address[:2])}"

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's full name, which may wait for a name server."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)


def _joined(host: object, port: object) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


@click.command("whoami")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9101, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--name", default="", help="Shown as Name in every answer.")
def command(host: str, port: int, name: str) -> None:
    """Run a backend that answers with the request it got."""
    try:
        server = WhoamiServer(host, port, name)
    except OSError as error:
        fail(f"cannot listen on {_joined(host, port)}: {error.strerror}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server:
        try:
            click.echo(f"whoami listens on {server.url}")
            server.serve_forever()
        except KeyboardInterrupt:
            return
