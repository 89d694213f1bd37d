"""Which socket of a SO_REUSEPORT group of UDP sockets gets a datagram: always the same one for the same client.

The kernel's own choice depends on the number of sockets, so one worker more or less would tear nearly all flows
from their sessions. A classic BPF program, which needs no privilege, hashes the client's address and port and
chooses by consistent hashing: from n to n+1 lanes only every (n+1)-th flow moves, to the new lane, and back. That
also takes a lane out of use before its socket is closed. The sockets are numbered in the order of bind(), and
lanes are opened and closed at the end only.

The program sees the datagram behind its UDP header; the headers before it are reached through SKF_NET_OFF (see
the kernel's Documentation/networking/filter.rst). What cannot be read counts as lane 0.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_NETWORK: Final = -0x100000 & 0xFFFFFFFF  # SKF_NET_OFF
_PROTOCOL: Final = (-0x1000 + 0) & 0xFFFFFFFF  # SKF_AD_OFF + SKF_AD_PROTOCOL
_IPV6: Final = 0x86DD
_IPV6_NEXT_HEADER: Final = 6
_IPV6_SOURCE: Final = 8
_IPV6_BYTES: Final = 40
_IPV4_SOURCE: Final = 12
_UDP: Final = 17

# Operation codes of linux/bpf_common.h that are used here; A is the accumulator, X the index register.
_LD_WORD: Final = 0x20  # A = word at k
_LD_BYTE: Final = 0x30  # A = byte at k
_LD_HALF: Final = 0x28  # A = half word at k
_LD_HALF_INDEXED: Final = 0x48  # A = half word at X + k
_LD_MEMORY: Final = 0x60  # A = M[k]
_LD_CONSTANT: Final = 0x00  # A = k
_LDX_HEADER_BYTES: Final = 0xB1  # X = 4 * (byte at k & 15)
_ST: Final = 0x02  # M[k] = A
_ADD: Final = 0x04
_MUL: Final = 0x24
_RSH: Final = 0x74
_MOD: Final = 0x94
_XOR_X: Final = 0xAC
_JUMP: Final = 0x05
_JUMP_EQUAL: Final = 0x15
_TAX: Final = 0x07  # X = A
_RETURN_A: Final = 0x16

_HASH: Final = 0
_LANE: Final = 1
"""Cells of the program's memory."""

_MIX: Final = 0x85EBCA6B
_SCATTER: Final = 0x9E3779B9
_MOST_INSTRUCTIONS: Final = 4096
_MASK: Final = 0xFFFFFFFF


class Instruction(NamedTuple):
    """One instruction of classic BPF; jumps are relative to the next one."""

    code: int
    if_true: int
    if_false: int
    k: int


def _do(code: int, k: int = 0) -> Instruction:
    return Instruction(code, 0, 0, k & _MASK)


def steer_flows(group_member: socket.socket, lane_count: int) -> None:
    """From now on every client's datagrams go to one of the first `lane_count` sockets of the group.

    Raises OSError where the kernel cannot do it (before Linux 4.5).
    """
    attach(group_member, program(lane_count, salt_of(group_member)))


def salt_of(group_member: socket.socket) -> int:
    """The inode outlives a binary upgrade and is not known outside: nobody far away can aim at one worker."""
    return os.fstat(group_member.fileno()).st_ino & _MASK


def attach(group_member: socket.socket, instructions: Sequence[Instruction]) -> None:
    """Let this program choose among the sockets of the group. Raises OSError."""
    packed = b"".join(struct.pack("HBBI", *one) for one in instructions)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    header = struct.pack("HL", len(instructions), ctypes.addressof(buffer))
    group_member.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, header)


def program(lane_count: int, salt: int) -> list[Instruction]:
    """The instructions; ValueError if so many lanes do not fit into one program."""
    instructions = [*_client_hash(salt), _do(_LD_CONSTANT, 0), _do(_ST, _LANE)]
    for lane in range(1, lane_count):
        instructions += _perhaps(lane)
    instructions += [_do(_LD_MEMORY, _LANE), _do(_RETURN_A)]
    if len(instructions) > _MOST_INSTRUCTIONS:
        raise ValueError(f"{lane_count} lanes cannot be steered")
    return instructions


def _client_hash(salt: int) -> list[Instruction]:
    """M[HASH] = a hash of the client's address and port."""
    words = [_NETWORK + _IPV6_SOURCE + 4 * index for index in range(4)]
    ipv6 = [
        *_add_word(words[0], first=True, salt=salt),
        *(step for word in words[1:] for step in _add_word(word)),
        # the port is where we think only if no other header stands between
        _do(_LD_BYTE, _NETWORK + _IPV6_NEXT_HEADER),
        Instruction(_JUMP_EQUAL, 0, 1 + len(_fold()), _UDP),
        _do(_LD_HALF, _NETWORK + _IPV6_BYTES),
        *_fold(),
    ]
    ipv4 = [
        *_add_word(_NETWORK + _IPV4_SOURCE, first=True, salt=salt),
        _do(_LDX_HEADER_BYTES, _NETWORK),
        _do(_LD_HALF_INDEXED, _NETWORK),
        *_fold(),
    ]
    return [
        _do(_LD_WORD, _PROTOCOL),
        Instruction(_JUMP_EQUAL, 0, len(ipv6) + 1, _IPV6),
        *ipv6,
        _do(_JUMP, len(ipv4)),
        *ipv4,
        *_avalanche(),
    ]


def _add_word(offset: int, *, first: bool = False, salt: int = 0) -> list[Instruction]:
    start = [_do(_LD_CONSTANT, salt), _do(_ST, _HASH)] if first else []
    return [*start, _do(_LD_WORD, offset), *_fold()]


def _fold() -> list[Instruction]:
    """M[HASH] = (M[HASH] xor A) * MIX."""
    return [_do(_TAX), _do(_LD_MEMORY, _HASH), _do(_XOR_X), _do(_MUL, _MIX), _do(_ST, _HASH)]


def _avalanche() -> list[Instruction]:
    """Every bit of M[HASH] comes to depend on every bit of what went in."""
    return [
        _do(_LD_MEMORY, _HASH),
        _do(_TAX),
        _do(_RSH, 16),
        _do(_XOR_X),
        _do(_MUL, _MIX),
        _do(_ST, _HASH),
    ]


def _perhaps(lane: int) -> list[Instruction]:
    """Move to this lane with the probability 1 / (lane + 1), by a hash of the flow and the lane."""
    return [
        _do(_LD_MEMORY, _HASH),
        _do(_ADD, lane * _SCATTER),
        _do(_TAX),
        _do(_RSH, 15),
        _do(_XOR_X),
        _do(_MUL, _MIX),
        _do(_RSH, 12),
        _do(_MOD, lane + 1),
        Instruction(_JUMP_EQUAL, 0, 2, 0),
        _do(_LD_CONSTANT, lane),
        _do(_ST, _LANE),
    ]
