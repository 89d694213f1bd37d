"""Servers of one service for whole-tree tests, and connections of which each goes to another worker."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

import psutil

from tests.e2e.tree import Tree

HEALTH_PATH = "/health"


class Member:
    """A server at `address`. It answers with its address and the body; `status` may be changed at any time.

    `hits` counts requests. A request for HEALTH_PATH is none: `probes` has the process of everyone who asked.
    """

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        member = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == HEALTH_PATH:
                    member.probes.append(member.who(self.client_address[1]))
                else:
                    with member.lock:
                        member.hits += 1
                        member.bodies[body] += 1
                self.send_response(member.status)
                text = address.encode() + b" " + body
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815 - the library's name

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """Killed workers cut connections."""

        self.address = address
        self.status = 200
        self.hits = 0
        self.bodies: Counter[bytes] = Counter()
        self.probes: list[int] = []
        self.who: Callable[[int], int] = lambda _: 0
        self.lock = threading.Lock()
        self._server = Server((address, port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Reply(NamedTuple):
    status: int
    body: bytes
    cookies: list[str]
    """Values of Set-Cookie."""

    @property
    def server(self) -> str:
        """Address of the Member that answered."""
        return self.body.partition(b" ")[0].decode()


class Line:
    """A kept-alive connection to one worker."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._connection.connect()
        self.port: int = self._connection.sock.getsockname()[1]

    def ask(self, host: str, method: str = "GET", body: bytes | None = None, cookie: str = "") -> Reply:
        headers = {"Host": host} | ({"Cookie": cookie} if cookie else {})
        self._connection.request(method, "/", body, headers)
        answer = self._connection.getresponse()
        return Reply(answer.status, answer.read(), answer.headers.get_all("Set-Cookie") or [])

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Lines:
    """One connection to each of the tree's workers, by pid. A context manager."""

    def __init__(self, tree: Tree, port: int, count: int) -> None:
        self.by_pid: dict[int, Line] = {}
        tree.wait_for(lambda: self._one_more(tree, port) >= count, f"a connection to each of {count} workers")

    def _one_more(self, tree: Tree, port: int) -> int:
        try:
            line = Line(port)
        except OSError:
            return len(self.by_pid)
        pid = owner(tree.workers(), line.port, peer=True)
        if pid and pid not in self.by_pid:
            self.by_pid[pid] = line
        else:
            line.close()
        return len(self.by_pid)

    def ask(self, host: str, cookie: str = "") -> list[Reply]:
        """The same question to every worker."""
        return [line.ask(host, cookie=cookie) for line in self.by_pid.values()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self.by_pid.values():
            line.close()


def owner(pids: Iterable[int], port: int, *, peer: bool = False) -> int:
    """Which of the processes holds a connection from `port` (with `peer`: to `port`); 0 for none."""
    for pid in pids:
        with suppress(psutil.Error):
            for one in psutil.Process(pid).net_connections("tcp"):
                end = one.raddr if peer else one.laddr
                if end and end.port == port and one.status != psutil.CONN_LISTEN:
                    return pid
    return 0


def free_port(*addresses: str) -> int:
    """A port that is free on all of these addresses, for servers of one EndpointSlice."""
    while True:
        sockets = [socket.socket() for _ in addresses]
        try:
            sockets[0].bind((addresses[0], 0))
            port: int = sockets[0].getsockname()[1]
            for one, address in zip(sockets[1:], addresses[1:], strict=True):
                one.bind((address, port))
        except OSError:
            continue
        else:
            return port
        finally:
            for one in sockets:
                one.close()
