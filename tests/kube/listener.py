"""The listening socket and the threads behind it: one that accepts, one a connection.

A stopped listener can hold its port, bound but not listening, so that connects are refused and nobody else
is given the port until it listens again.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading

from .connection import Connection, Handler, Network
from .wake import Wake

_JOIN_SECONDS = 10.0


class Listener:
    """Started and stopped any number of times on one port; `stop` returns when all threads have ended."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, handler: Handler) -> None:
        self.network = Network()
        self._host = host
        self._tls = tls
        self._handler = handler
        self._lock = threading.Lock()
        self._threads: dict[Connection, threading.Thread] = {}
        self._accepting: threading.Thread | None = None
        self._wake: Wake | None = None
        self._socket: socket.socket | None = None
        self.port = port
        self._bind()

    @property
    def listening(self) -> bool:
        return self._accepting is not None

    def _bind(self) -> socket.socket:
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            bound = socket.socket(family, socket.SOCK_STREAM)
            try:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind((self._host, self.port))
            except OSError:
                bound.close()
                raise
            self.port = bound.getsockname()[1]
            self._socket = bound
        return self._socket

    def start(self) -> None:
        if self._accepting is not None:
            return
        listening = self._bind()
        listening.listen(512)
        listening.setblocking(False)
        self._wake = Wake()
        name = f"kube-accept-{self.port}"
        self._accepting = threading.Thread(
            target=self._accept, args=(listening, self._wake), name=name, daemon=True
        )
        self._accepting.start()

    def stop(self, *, hold_port: bool = False) -> None:
        """Refuse connections, close the open ones, join every thread."""
        if self._accepting is not None and self._wake is not None:
            self._wake.set()
            self._accepting.join(_JOIN_SECONDS)
            self._wake.close()
        self._accepting = self._wake = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if hold_port:
            self._bind()
        if self.network.hang is not None:
            self.network.hang.set()
        self.close_connections()

    def close_connections(self) -> None:
        """Cut all open connections and wait until their threads are gone."""
        with self._lock:
            threads = dict(self._threads)
        for connection in threads:
            connection.close_soon()
        for thread in threads.values():
            thread.join(_JOIN_SECONDS)
        stuck = [thread.name for thread in threads.values() if thread.is_alive()]
        if stuck:
            raise RuntimeError(f"connection threads did not end: {stuck}")

    def _accept(self, listening: socket.socket, wake: Wake) -> None:
        poller = select.poll()
        poller.register(listening, select.POLLIN)
        poller.register(wake, select.POLLIN)
        while True:
            if any(descriptor == wake.fileno() for descriptor, _ in poller.poll()):
                return
            with contextlib.suppress(OSError):  # the client may be gone before it is accepted
                accepted, _ = listening.accept()
                accepted.setblocking(True)
                self._serve(accepted)

    def _serve(self, accepted: socket.socket) -> None:
        connection = Connection(accepted, self._tls, self._handler, self.network)
        thread = threading.Thread(
            target=self._run, args=(connection,), name=f"kube-connection-{self.port}", daemon=True
        )
        with self._lock:
            self._threads[connection] = thread
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                self._threads.pop(connection, None)
