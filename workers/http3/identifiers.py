"""Connection ids: whose connection is it? And the secrets that all workers know without having to tell each other.

An id that a worker gives out begins with its lane, which the kernel looks at (`master/quic_steering.py`), and its
slot, which tells workers that share a lane's socket apart; the rest is random. The token of a stateless reset
follows from the id, so that whoever gets a packet of a connection that is gone can tell its client
(RFC 9000 section 10.3).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

ID_BYTES: Final = 10
_SLOT: Final = 1
_RANDOM_BYTES: Final = ID_BYTES - 2
SHORTEST_CLIENT_ID_BYTES: Final = 8
"""What a client chooses for its first packet (RFC 9000 section 7.2)."""
TOKEN_BYTES: Final = 16
_SHORTEST_RESET_BYTES: Final = 22
_LONGEST_RESET_BYTES: Final = 42
_LONG_HEADER: Final = 0x80
_FIXED_BIT: Final = 0x40


class Identifiers:
    """Of one worker. `secret` is the same in all workers of a process tree and known to nobody else."""

    __slots__ = ("_prefix", "_secret", "slot")

    def __init__(self, lane: int, slot: int, secret: bytes) -> None:
        self.slot = slot
        self._prefix = bytes((min(lane, 255), slot))
        self._secret = secret

    def make(self) -> bytes:
        return self._prefix + os.urandom(_RANDOM_BYTES)

    def reset_token(self, connection_id: bytes) -> bytes:
        return hmac.digest(self._secret, b"reset" + connection_id, hashlib.sha256)[:TOKEN_BYTES]

    def retry_key(self) -> bytes:
        """For tokens that clients bring back after a Retry."""
        return hmac.digest(self._secret, b"retry", hashlib.sha256)[:16]

    def stateless_reset(self, packet: bytes) -> bytes:
        """The answer to a packet of a connection that nobody has; empty if it is too short to be answered.

        Always shorter than the packet, so that two who know nothing never go on for ever.
        """
        size = min(len(packet) - 1, _LONGEST_RESET_BYTES)
        if size < _SHORTEST_RESET_BYTES:
            return b""
        noise = bytearray(os.urandom(size - TOKEN_BYTES))
        noise[0] = noise[0] & 0x3F | _FIXED_BIT
        return bytes(noise) + self.reset_token(destination(packet))


def is_long(packet: bytes) -> bool:
    """Has the packet the header of a handshake?"""
    return packet[0] & _LONG_HEADER != 0


def destination(packet: bytes) -> bytes:
    """The destination connection id of a datagram's first packet; empty if it has none that we could know."""
    if not is_long(packet):
        return packet[1 : 1 + ID_BYTES] if len(packet) > ID_BYTES else b""
    size = packet[5] if len(packet) > 5 else 0
    return packet[6 : 6 + size] if len(packet) >= 6 + size else b""


def slot_of(connection_id: bytes) -> int:
    """The slot of the worker that gave out the id; -1 if it is no id of ours."""
    return connection_id[_SLOT] if len(connection_id) == ID_BYTES else -1
