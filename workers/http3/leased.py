"""A UDP socket that several processes hold and one of them reads: see workers/udp/lease.py."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from time import perf_counter
from typing import Any, Final

from gevent import get_hub

from workers.udp.draining import HAND_OVER_SECONDS
from workers.udp.entrypoint import LEASE_SECONDS
from workers.udp.lease import Lease

DATAGRAMS_PER_WAKE: Final = 32
SECONDS_PER_WAKE: Final = 0.005
"""After so long others have their turn: a packet may be a handshake, which takes milliseconds."""
_DRAINED_DATAGRAMS: Final = 4096
_READ: Final = 1


class LeasedReader(ABC):
    """Reads while it has the lease. All methods from the hub or its greenlets."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._lease = Lease(sock)
        self._reader: Any = None
        self._waiter: Any = None

    @abstractmethod
    def read_one(self) -> bool:
        """Take one datagram; False if there is none."""

    def start(self) -> None:
        """Read as soon as no other process does."""
        if not self._lease.take():
            if self._waiter is None:
                self._waiter = get_hub().loop.timer(LEASE_SECONDS, LEASE_SECONDS)
                self._waiter.start(self.start)
            return
        self._stop_waiting()
        self._reader = get_hub().loop.io(self._socket.fileno(), _READ)
        self._reader.start(self._read_some)

    @property
    def is_reading(self) -> bool:
        return self._reader is not None

    def _read_some(self) -> None:
        if not self._lease.is_held():
            self._stop_reading()
            self.start()
            return
        until = perf_counter() + SECONDS_PER_WAKE
        for _ in range(DATAGRAMS_PER_WAKE):
            if not self.read_one() or perf_counter() >= until:
                return

    def give_way(self) -> None:
        """Take what waits in the queue, then let another process read; if there is none, read on."""
        if self._reader is not None and self._lease.is_held():
            for _ in range(_DRAINED_DATAGRAMS):
                if not self.read_one():
                    break
        self._stop_reading()
        self._lease.give_up()
        self._waiter = get_hub().loop.timer(HAND_OVER_SECONDS)
        self._waiter.start(self._read_on)

    def _read_on(self) -> None:
        self._stop_waiting()
        if self._lease.is_others():
            self.on_handed_over(self._lease.holder)
        else:
            self.start()

    @abstractmethod
    def on_handed_over(self, pid: int) -> None:
        """This process reads from now on."""

    def stop(self) -> None:
        """Read no more. The socket stays open, it is its owner's."""
        self._stop_reading()
        self._lease.give_up()

    def _stop_reading(self) -> None:
        self._stop_waiting()
        if self._reader is not None:
            self._reader.stop()
            self._reader.close()
            self._reader = None

    def _stop_waiting(self) -> None:
        if self._waiter is not None:
            self._waiter.stop()
            self._waiter.close()
            self._waiter = None
