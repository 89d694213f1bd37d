"""Ports for programs that must be told a number, taken so that parallel tests never meet.

Where a test can bind port zero itself it should. Where a process has to be given a port before it starts, a
reservation holds it: a socket that is bound but does not listen. Linux hands such a port neither to a bind to
port zero nor to an outgoing connection, while a server that sets SO_REUSEADDR or SO_REUSEPORT (as nearly
every server does) can still bind and listen on it. Connections are refused until it does.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self


class PortReservation:
    """Holds one TCP port of an address for the length of a `with` block, or until `release`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((host, 0))
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back; calling it again does nothing."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
