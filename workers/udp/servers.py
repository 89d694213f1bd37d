"""The UDP entry points of one worker: made together, because they share its descriptors and the names it knows."""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Mapping

from config.static import StaticConfiguration
from workers.timers import current_wheel
from workers.udp.addressing import OwnAddresses
from workers.udp.entrypoint import MOST_SESSIONS, UDPEntryPointServer
from workers.udp.names import Names


def udp_servers(
    static: StaticConfiguration, sockets: Mapping[str, socket.socket], log: logging.Logger
) -> dict[str, UDPEntryPointServer]:
    """Servers of all UDP entry points among `sockets`, which may hold others too.

    Each session has a descriptor, and half of what the process may open is left to everything else.
    """
    points = {name: point for name, point in static.entry_points.items() if point.protocol == "udp"}
    own = [name for name in sockets if name in points]
    if not own:
        return {}
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_sessions = max(1, min(MOST_SESSIONS, allowed // (2 * len(own))))
    names, addresses = Names(current_wheel()), OwnAddresses()
    return {
        name: UDPEntryPointServer(
            name,
            points[name].udp.timeout_seconds,
            sockets[name],
            log,
            names,
            most_sessions=most_sessions,
            own=addresses,
        )
        for name in own
    }
