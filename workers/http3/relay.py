"""Packets for another worker: handed over to it, and taken from those that were handed over to us.

While workers are replaced, the new one reads the lane's socket and gets packets of connections that the old one
still has. Their ids say whose they are. What is handed over once is never handed on, what finds no room is lost:
QUIC sends it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from gevent import get_hub

from config.control_page import Cell, ControlPage

if TYPE_CHECKING:
    import socket

_PACKETS_PER_WAKE: Final = 64
_LARGEST_BYTES: Final = 1 << 17
_READ: Final = 1


class Handed(msgspec.Struct, array_like=True, frozen=True):
    """A packet on its way. `peer`, `local`: as the socket module and workers/udp/addressing.py have them."""

    twin: str
    peer: tuple[str | int, ...]
    local: bytes
    data: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Handed).decode


class Relay:
    """One worker's. `ways`: entry and exit by slot, see `master.relays`."""

    def __init__(
        self, slot: int, ways: Mapping[int, tuple[socket.socket, socket.socket]], page: ControlPage | None
    ) -> None:
        self.slot = slot
        self._ways = ways
        self._page = page
        self._takers: dict[str, Callable[[Handed], None]] = {}
        self._watcher: Any = None

    def hand_over(self, slot: int, packet: Handed) -> bool:
        """False if there is nobody: then the connection is gone."""
        way = self._ways.get(slot)
        if slot == self.slot or way is None or self._page is None or not self._page.slot(slot)[Cell.PID]:
            return False
        with contextlib.suppress(OSError):
            way[0].send(_encode(packet))
        return True

    def is_linked_to(self, pid: int) -> bool:
        """Is it a worker of the same process tree, who can hand over to us?"""
        return self._page is None or any(slot[Cell.PID] == pid for slot in self._page.live_slots())

    def start(self, twin: str, take: Callable[[Handed], None]) -> None:
        """From now on `take` gets what others hand over for this name."""
        self._takers[twin] = take
        way = self._ways.get(self.slot)
        if self._watcher is None and way is not None:
            self._watcher = get_hub().loop.io(way[1].fileno(), _READ)
            self._watcher.start(self._read_some)

    def _read_some(self) -> None:
        for _ in range(_PACKETS_PER_WAKE):
            try:
                message = self._ways[self.slot][1].recv(_LARGEST_BYTES)
            except OSError:
                return
            if not message:
                self.close()
                return
            with contextlib.suppress(msgspec.MsgspecError):  # of another release, before an upgrade in place
                packet = _decode(message)
                take = self._takers.get(packet.twin)
                if take is not None:
                    take(packet)

    def stop(self, twin: str) -> None:
        self._takers.pop(twin, None)
        if not self._takers:
            self.close()

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
