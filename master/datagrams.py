"""UDP sockets of entry points: bound once for each lane, like those that listen, but never shared by chance."""

from __future__ import annotations

import os
import socket
from typing import Final

RECEIVE_BUFFER_BYTES: Final = 1 << 21
"""What waits here while a worker is replaced is not lost; the kernel may allow less (net.core.rmem_max)."""


def datagram_socket(
    family: int, address: tuple[str, int], owner: tuple[int, int] | None, *, is_probe: bool
) -> socket.socket:
    """A non-blocking UDP socket of a SO_REUSEPORT group. Raises OSError.

    A probe joins no group, so that it fails if anybody has the address. SO_REUSEADDR is never set: for UDP it
    lets another process take the datagrams away. `owner`: see `master.bound.listening_socket`.
    """
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if not is_probe:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        if owner is not None:
            os.fchown(sock.fileno(), *owner)
        sock.bind(address)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def is_datagram(sock: socket.socket) -> bool:
    return sock.type == socket.SOCK_DGRAM
