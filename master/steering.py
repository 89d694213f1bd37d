"""Which sockets of a SO_REUSEPORT group get new connections.

The kernel spreads connections over all listening sockets of a group. To take one out without losing a
handshake that is under way, it must stop being chosen while it still listens: a two-instruction classic BPF
program, which needs no privilege, picks a random index below a limit. Indexes follow the order of listen(),
and lanes are opened and closed at the end only, so the limit is a number of lanes.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final

_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_LOAD_ABSOLUTE_WORD: Final = 0x20
_MODULO_CONSTANT: Final = 0x94
_RETURN_ACCUMULATOR: Final = 0x16
_RANDOM: Final = (-0x1000 + 56) & 0xFFFFFFFF  # SKF_AD_OFF + SKF_AD_RANDOM
_INSTRUCTION: Final = "HBBI"


def steer(group_member: socket.socket, lane_count: int) -> None:
    """New connections of the group go to its first `lane_count` sockets, at random.

    An index without a socket falls back to the kernel's hash. Raises OSError where the kernel cannot do it
    (before Linux 4.5).
    """
    program = struct.pack(
        _INSTRUCTION * 3,
        *(_LOAD_ABSOLUTE_WORD, 0, 0, _RANDOM),
        *(_MODULO_CONSTANT, 0, 0, lane_count),
        *(_RETURN_ACCUMULATOR, 0, 0, 0),
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HL", 3, ctypes.addressof(instructions))
    group_member.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, header)
