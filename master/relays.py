"""Ways for QUIC packets from one worker to another that shares its socket, made before the workers are.

While a reload replaces workers, the old and the new one of a lane have the same socket. One of them reads it, and
the other's connections go on all the same: their packets are handed over here (`workers/http3/relay.py`). A way
belongs to a slot; a worker can write to all that were there when it was forked. Those of two workers for each lane
are made before the first fork, which is what one reload at a time needs.
"""

from __future__ import annotations

import socket
from typing import NamedTuple


class Way(NamedTuple):
    """Both ends are non-blocking and keep messages apart. What finds no room is lost, as on any network."""

    entry: socket.socket
    exit: socket.socket


class Relays:
    """The master's, who only keeps them open. By slot."""

    def __init__(self) -> None:
        self.ways: dict[int, Way] = {}

    def open(self, slot_count: int) -> None:
        """There are ways to the first so many slots from now on, in use or not. Raises OSError."""
        for slot_index in range(len(self.ways), slot_count):
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for sock in pair:
                sock.setblocking(False)
            self.ways[slot_index] = Way(*pair)

    def close(self) -> None:
        for way in self.ways.values():
            way.entry.close()
            way.exit.close()
        self.ways.clear()

    def __repr__(self) -> str:
        return f"<Relays to slots {sorted(self.ways)}>"
