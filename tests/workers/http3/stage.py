"""An entry point with HTTP/3 in the test's own hub, and clients of it."""

from __future__ import annotations

import logging
import socket as plain_socket
from types import TracebackType
from typing import Any, Self

import gevent
from gevent import socket

from config.http3_twins import SUFFIX
from master.bound import lane_socket
from tests.http3_client import Http3Client
from tests.playbook import Stage
from tests.waiting import wait_until
from tests.workers.secure import engine, table
from tls.parsed import ParsedPairs
from workers.http3.identifiers import Identifiers
from workers.http3.relay import Relay
from workers.http3.server import Http3Server

ENGINE = engine()


class Http3Stage:
    """`here.tcp` is the entry point as other protocols see it: its table, its clock, its log."""

    def __init__(self, script: Any = None, *, host: str = "127.0.0.1", **members: Any) -> None:
        """`host`: what the socket is bound to; clients come to 127.0.0.1 in any case."""
        given: dict[str, Any] = {"tls": ENGINE, "tls_table": table()}
        self.tcp = Stage(script, **(given | members))
        self.sock = lane_socket(host, 0, plain_socket.SOCK_DGRAM)
        self.address = ("127.0.0.1", self.sock.getsockname()[1])
        self.server = Http3Server(
            "web" + SUFFIX,
            self.tcp.server,
            self.sock,
            Identifiers(0, 0, ENGINE.secret),
            Relay(0, {}, self.tcp.page),
            ParsedPairs(),
            logging.getLogger("tests"),
        )
        self.server.start()
        self._clients: list[Http3Client] = []

    def client(self, server_name: str | None = "a.test", **members: Any) -> Http3Client:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(self.address)
        client = Http3Client(sock, server_name, **members)
        self._clients.append(client)
        return client

    def __enter__(self) -> Self:
        self.tcp.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
            client.sock.close()
        self.server.abort()
        self.sock.close()
        try:
            if error is None:
                wait_until(lambda: not self.server.connections, what="no connection left", pause=gevent.sleep)
                assert self.server.half_open == 0
                assert not self.server._by_id
        finally:
            self.tcp.__exit__(kind, error, trace)
