"""A flag that another thread can raise and that `poll` can wait for together with sockets."""

from __future__ import annotations

import contextlib
import socket


class Wake:
    """Set by any thread, cleared by the one thread that waits. Look at the shared state after `clear`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._raised = False

    def fileno(self) -> int:
        return self._reader.fileno()

    def set(self) -> None:
        if not self._raised:
            self._raised = True
            with contextlib.suppress(OSError):
                self._writer.send(b"\0")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
        self._raised = False

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
