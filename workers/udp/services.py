"""UDP services: from configuration to what chooses a server for a new session.

What is the same for TCP is in workers/layer4.py.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from config.layer4 import UDPServer, UDPService
from workers.layer4 import ServiceBuilder, ServiceState
from workers.upstream.balancer import Nested

log = logging.getLogger(__name__)

_LARGEST_PORT: Final = 65535


class UDPTarget(NamedTuple):
    """Where the datagrams of a session go; `host` is an address or a name, asked for anew for each session."""

    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> UDPTarget:
        """Split `host:port`, `[IPv6]:port`. Raises ValueError saying what is wrong; no host is this machine."""
        host, colon, port = address.rpartition(":")
        if not colon:
            raise ValueError("missing port in address")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("too many colons in address")
        if not (port.isascii() and port.isdigit()) or not 0 < int(port) <= _LARGEST_PORT:
            raise ValueError(f"invalid port {port!r}")
        return cls(host or "localhost", int(port))


class UDPServiceState(ServiceState[UDPService, UDPTarget]):
    """A UDP service."""

    __slots__ = ()


class UDPServiceBuilder(ServiceBuilder[UDPServiceState, UDPTarget]):
    """Builds the balancers of one configuration."""

    kind = "UDP service"

    def _of_servers(self, state: UDPServiceState) -> Nested[UDPTarget]:
        config = state.config.load_balancer
        assert config is not None
        return Nested(_targets(state.name, config.servers), self._rng)


def _targets(name: str, servers: Sequence[UDPServer]) -> list[tuple[UDPTarget | Nested[UDPTarget], int]]:
    """Servers whose address can be used; the others are logged and left out, as the original does."""
    entries: list[tuple[UDPTarget | Nested[UDPTarget], int]] = []
    for server in servers:
        try:
            entries.append((UDPTarget.of(server.address), 1))
        except ValueError as error:
            log.error("UDP service %s: server %s is left out: %s", name, server.address, error)
    return entries
