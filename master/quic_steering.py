"""Which socket of an entry point's UDP twin gets a QUIC packet: the one of the worker that has the connection.

Every connection id that a worker gives out begins with the number of its lane (`workers/http3/identifiers.py`).
A packet with a short header begins with one flag byte and the connection id, so the lane is its second byte,
wherever the client's packets come from now. Packets with a long header belong to handshakes, whose client does not
move (RFC 9000 section 9): they go where the hash of flow_steering sends them. So do those for a lane out of use.
"""

from __future__ import annotations

import socket
from typing import Final

from master.flow_steering import Instruction, attach, program, salt_of

_LD_ABSOLUTE_BYTE: Final = 0x30  # A = byte at k
_JUMP_IF_SET: Final = 0x45  # A & k
_JUMP_IF_AT_LEAST: Final = 0x35  # A >= k
_RETURN_A: Final = 0x16
_LONG_HEADER: Final = 0x80
LARGEST_LANE: Final = 255


def steer_connections(group_member: socket.socket, lane_count: int) -> None:
    """From now on packets go to the lane of their connection, among the first `lane_count` sockets of the group.

    Raises OSError where the kernel cannot do it (before Linux 4.5).
    """
    attach(group_member, connection_program(lane_count, salt_of(group_member)))


def connection_program(lane_count: int, salt: int) -> list[Instruction]:
    """The instructions; ValueError if so many lanes do not fit into one program."""
    return [
        Instruction(_LD_ABSOLUTE_BYTE, 0, 0, 0),
        Instruction(_JUMP_IF_SET, 3, 0, _LONG_HEADER),
        Instruction(_LD_ABSOLUTE_BYTE, 0, 0, 1),
        Instruction(_JUMP_IF_AT_LEAST, 1, 0, min(lane_count, LARGEST_LANE + 1)),
        Instruction(_RETURN_A, 0, 0, 0),
        *program(lane_count, salt),
    ]
