"""Which of several UDP sockets of a port get a client's datagrams."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tests.waiting import wait_until


def lanes_of(
    clients: Sequence[socket.socket], address: tuple[object, ...], lanes: Sequence[socket.socket]
) -> list[int]:
    """The lane of each client, found by one datagram from each; AssertionError if one gets lost or doubled."""
    for number, client in enumerate(clients):
        client.sendto(b"%d" % number, address)
    found: dict[int, int] = {}

    def all_found() -> bool:
        for lane, sock in enumerate(lanes):
            try:
                while True:
                    number = int(sock.recv(100, socket.MSG_DONTWAIT))
                    assert number not in found
                    found[number] = lane
            except BlockingIOError:
                pass
        return len(found) == len(clients)

    wait_until(all_found, what="every datagram arrives")
    return [found[number] for number in range(len(clients))]
