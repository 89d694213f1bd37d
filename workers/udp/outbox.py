"""Answers that found the way to the clients full: kept for a moment, the oldest dropped first.

The socket of an entry point is shared by all its sessions. The kernel takes datagrams until the socket's send
buffer is full, and says so when there is room again.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gevent import get_hub

from workers.udp.addressing import Ancillary, Peer

LARGEST_BYTES: Final = 1 << 20
_OVERHEAD_BYTES: Final = 256
"""What a waiting datagram costs besides its bytes."""
_SENDS_PER_WAKE: Final = 64
_WRITE: Final = 2

Datagram = tuple[bytes, Ancillary, Peer]


class Outbox:
    """Sends from one socket. All methods from the hub or its greenlets; none switches.

    `lost(error)` hears of each datagram given up: None for one that had no room, else what send(2) raised.
    """

    def __init__(self, sock: socket.socket, lost: Callable[[OSError | None], None]) -> None:
        self._socket = sock
        self._lost = lost
        self._waiting: deque[Datagram] = deque()
        self._bytes = 0
        self._watcher: Any = None

    def send(self, data: memoryview | bytes, ancillary: Ancillary, peer: Peer) -> None:
        """Send now if there is room, else when there is."""
        if self._waiting:
            self._keep(bytes(data), ancillary, peer)
        elif not self._try(data, ancillary, peer):
            self._keep(bytes(data), ancillary, peer)
            self._watch()

    def _try(self, data: memoryview | bytes, ancillary: Ancillary, peer: Peer) -> bool:
        """False if there is no room; every other failure costs the datagram."""
        try:
            if ancillary:
                self._socket.sendmsg((data,), ancillary, 0, peer)
            else:
                self._socket.sendto(data, peer)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lost(error)
        return True

    def _keep(self, data: bytes, ancillary: Ancillary, peer: Peer) -> None:
        self._waiting.append((data, ancillary, peer))
        self._bytes += len(data) + _OVERHEAD_BYTES
        while self._bytes > LARGEST_BYTES:
            self._bytes -= len(self._waiting.popleft()[0]) + _OVERHEAD_BYTES
            self._lost(None)

    def _watch(self) -> None:
        self._watcher = get_hub().loop.io(self._socket.fileno(), _WRITE)
        self._watcher.start(self._flush)

    def _flush(self) -> None:
        for _ in range(_SENDS_PER_WAKE):
            if not self._waiting:
                self.close()
                return
            if not self._try(*self._waiting[0]):
                return
            self._bytes -= len(self._waiting.popleft()[0]) + _OVERHEAD_BYTES

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def close(self) -> None:
        """Forget what waits and stop to watch; the outbox can be used again."""
        self._waiting.clear()
        self._bytes = 0
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
