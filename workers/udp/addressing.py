"""Which of our addresses a datagram came to, and how its answer leaves from the same one.

A socket bound to a wildcard address belongs to many addresses; an answer from another one than the client
wrote to would be dropped by the client. The kernel tells the address with each datagram (IP_PKTINFO of ip(7),
IPV6_PKTINFO of RFC 3542) and takes it back with each answer. A socket bound to one address needs none of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from typing import Any, Final

Peer = tuple[Any, ...]
"""Address as the socket module gives it: (ip, port) or (ip, port, flow, scope)."""

Ancillary = list[tuple[int, int, bytes]]

_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)
_V4: Final = struct.Struct("=I4s4s")  # interface, local address, destination in the header
_V6: Final = struct.Struct("=16sI")  # destination, interface
CONTROL_BYTES: Final = socket.CMSG_SPACE(_V4.size) + socket.CMSG_SPACE(_V6.size)
_MAPPED: Final = bytes(10) + b"\xff\xff"


class Addressing:
    """Of one socket. `is_wildcard`: its datagrams must be asked for the address they came to."""

    def __init__(self, sock: socket.socket) -> None:
        name = sock.getsockname()
        self.host: str = name[0]
        self.port: int = name[1]
        self.is_wildcard = ipaddress.ip_address(self.host.partition("%")[0]).is_unspecified
        if self.is_wildcard:
            _ask_for_destination(sock)

    def is_own(self, peer: Peer) -> bool:
        """The address is this entry point's: what is sent there comes back to us."""
        if peer[1] != self.port:
            return False
        ip = plain_ip(peer[0])
        return _is_of_this_machine(ip, self.port) if self.is_wildcard else ip == plain_ip(self.host)


class OwnAddresses:
    """Those of all UDP entry points of the process tree.

    A server among them may close a circle, of one entry point or of several, whose every turn opens more sessions.
    A client among them is an invented one: two entry points whose servers answer everything would talk for ever.
    """

    def __init__(self) -> None:
        self._points: list[Addressing] = []

    def add(self, point: Addressing) -> None:
        self._points.append(point)

    def __contains__(self, peer: Peer) -> bool:
        return any(point.is_own(peer) for point in self._points)


def _ask_for_destination(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def destination_of(control: Ancillary) -> bytes:
    """Our address, 4 or 16 bytes, that a datagram came to; empty if the kernel did not tell."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return data[4:8]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return data[:16]
    return b""


def answer_from(local: bytes) -> Ancillary:
    """What to send along so that a datagram leaves from `local`; nothing if that cannot be a source.

    The interface is left to the routing table: the way back need not be the way the datagram came.
    """
    if not local or _is_group(local):
        return []
    if len(local) == 4:
        return [(socket.IPPROTO_IP, _IP_PKTINFO, _V4.pack(0, local, bytes(4)))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.pack(local, 0))]


def _is_group(local: bytes) -> bool:
    """A multicast or the broadcast address; an IPv6 socket tells the destination even of such a datagram."""
    if len(local) == 16 and not local.startswith(_MAPPED):
        return local[0] == 0xFF
    return local[-4] >= 0xE0


def _is_of_this_machine(ip: str, port: int) -> bool:
    """Towards an address of its own the kernel sends from that address; loopback ones have a common source."""
    if ipaddress.ip_address(ip).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ip, port))
            return plain_ip(probe.getsockname()[0]) == ip
    except OSError:  # no way there: nothing comes back from there either
        return False


def plain_ip(ip: str) -> str:
    """Without scope, and an IPv4 address of an IPv6 socket in its IPv4 form."""
    ip = ip.partition("%")[0]
    with contextlib.suppress(ValueError):
        mapped = getattr(ipaddress.ip_address(ip), "ipv4_mapped", None)
        if mapped is not None:
            return str(mapped)
    return ip
