"""Sockets that systemd opened for us (LISTEN_FDS), matched to entry points by name.

The name is the socket unit's `FileDescriptorName=`. A unit that sets none gets its own file name, which can
match no entry point: such a socket is matched by its port. One socket serves all workers; one for datagrams is
read by one of them at a time.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

from config.static import EntryPoint
from master.sockets import BindError, Binding

FIRST_DESCRIPTOR: Final = 3
_PROTOCOLS: Final = {int(socket.SOCK_STREAM): "tcp", int(socket.SOCK_DGRAM): "udp"}

log = logging.getLogger(__name__)


def take_descriptors(environ: MutableMapping[str, str], pid: int) -> list[tuple[str, int]]:
    """(name, descriptor) of every socket meant for this process; the variables are removed for our children.

    The descriptors are marked close-on-exec. Malformed variables count as none.
    """
    listen_pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if listen_pid != str(pid) or not count.isdigit():
        return []
    taken = []
    for index in range(int(count)):
        descriptor = FIRST_DESCRIPTOR + index
        os.set_inheritable(descriptor, False)
        taken.append((names[index] if index < len(names) else "", descriptor))
    return taken


def bindings_of(descriptors: list[tuple[str, int]], entry_points: Mapping[str, EntryPoint]) -> list[Binding]:
    """Bindings for the descriptors that belong to an entry point; the others are reported and closed.

    Raises BindError if two sockets claim one entry point.
    """
    bindings: dict[str, Binding] = {}
    for name, descriptor in descriptors:
        sock = socket.socket(fileno=descriptor)
        owner = _entry_point_of(name, sock, entry_points)
        if owner is None:
            log.warning("socket from systemd belongs to no entry point", extra={"name_given": name})
            sock.close()
            continue
        if owner in bindings:
            sock.close()
            bindings[owner].close()
            raise BindError(f"entry point {owner}: systemd passed more than one socket; give it one address")
        sock.setblocking(False)
        bindings[owner] = Binding(owner, entry_points[owner].address, [sock], is_shared=True)
    return list(bindings.values())


def _entry_point_of(name: str, sock: socket.socket, entry_points: Mapping[str, EntryPoint]) -> str | None:
    protocol = _PROTOCOLS.get(sock.type)
    if protocol is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    alike = {key: point for key, point in entry_points.items() if point.protocol == protocol}
    if name in alike:
        return name
    port = sock.getsockname()[1]
    return next((key for key, point in alike.items() if point.port == port), None)
