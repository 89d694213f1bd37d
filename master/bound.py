"""Sockets at the address of an entry point: bound, and for TCP listening."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from typing import Final

from master.datagrams import datagram_socket

BACKLOG: Final = 4096
KEEP_ALIVE_SECONDS: Final = 180
"""Idle time and interval of TCP probes; set on the listener, accepted sockets inherit it."""


def lane_socket(
    host: str, port: int, kind: int = socket.SOCK_STREAM, owner: tuple[int, int] | None = None
) -> socket.socket:
    """One lane's socket for an entry point of TCP or, with SOCK_DGRAM, of UDP. Raises OSError."""
    if kind == socket.SOCK_DGRAM:
        return _bound_socket(host, port, is_probe=False, kind=kind, owner=owner)
    return listening_socket(host, port, owner)


def listening_socket(host: str, port: int, owner: tuple[int, int] | None = None) -> socket.socket:
    """A non-blocking SO_REUSEPORT socket that listens. Raises OSError.

    `owner` (user, group): the kernel lets sockets join a group only if one user owns them all, so those bound
    as root are given to the user that will open further lanes.
    """
    sock = _bound_socket(host, port, is_probe=False)
    try:
        if owner is not None:
            os.fchown(sock.fileno(), *owner)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_ALIVE_SECONDS)
        sock.setblocking(False)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def refuse_taken(host: str, port: int, kind: int) -> None:
    """Raise OSError if anybody listens there already: with SO_REUSEPORT we would silently share the port."""
    _bound_socket(host, port, is_probe=True, kind=kind).close()


def _bound_socket(
    host: str,
    port: int,
    is_probe: bool,
    kind: int = socket.SOCK_STREAM,
    owner: tuple[int, int] | None = None,
) -> socket.socket:
    """At the first address of the host that can be had. `owner` matters to UDP sockets only."""
    last: OSError | None = None
    for family, address in _candidates(host, port, kind):
        try:
            if kind == socket.SOCK_DGRAM:
                return datagram_socket(family, address, owner, is_probe=is_probe)
            return _stream_socket(family, address, is_probe)
        except OSError as error:
            last = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # the latter: no IPv6 in this kernel
                raise
    raise last or OSError(errno.EADDRNOTAVAIL, f"no address for host {host!r}")


def _stream_socket(family: socket.AddressFamily, address: tuple[str, int], is_probe: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not is_probe:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _candidates(host: str, port: int, kind: int) -> Iterable[tuple[socket.AddressFamily, tuple[str, int]]]:
    """Where to try to bind, best first. No host: one dual-stack socket, or IPv4 where there is no IPv6."""
    if not host:
        return [(socket.AF_INET6, ("::", port)), (socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104
    found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    pairs = [(family, (str(address[0]), port)) for family, _, _, _, address in found]
    return sorted(pairs, key=lambda pair: pair[0] != socket.AF_INET)
