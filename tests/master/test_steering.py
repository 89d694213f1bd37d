"""New connections go to the sockets they are steered to, while the others still listen."""

from __future__ import annotations

import socket

from master.bound import listening_socket
from master.steering import steer


def accepted(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_only_the_first_lanes_get_new_connections() -> None:
    first = listening_socket("127.0.0.1", 0)
    port = first.getsockname()[1]
    group = [first, listening_socket("127.0.0.1", port), listening_socket("127.0.0.1", port)]
    steer(first, 2)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    counts = [accepted(listener) for listener in group]
    assert sum(counts) == 100
    assert counts[2] == 0
    assert min(counts[:2]) > 10
    for sock in (*clients, *group):
        sock.close()


def test_a_limit_above_the_group_loses_nothing() -> None:
    only = listening_socket("127.0.0.1", 0)
    steer(only, 8)
    clients = [socket.create_connection(only.getsockname()) for _ in range(20)]
    assert accepted(only) == 20
    for sock in (*clients, only):
        sock.close()
