"""TCP services: from configuration to what chooses a server for a new connection.

What is the same for UDP is in workers/layer4.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

from config.layer4 import TCPLoadBalancer, TCPService
from config.names import resolve_reference
from workers.layer4 import ServiceBuilder, ServiceState
from workers.tcp.dialing import Dialling, TCPServer, proxy_version
from workers.tcp.transports import DEFAULT_TRANSPORT, TransportBook
from workers.upstream.balancer import Nested

log = logging.getLogger(__name__)

_NANOSECONDS: Final = 1e9


class Target(NamedTuple):
    """A server, and how to reach it."""

    server: TCPServer
    dialling: Dialling


class TCPServiceState(ServiceState[TCPService, Target]):
    """A TCP service; what its servers are reached by besides."""

    __slots__ = ("servers", "transport")

    def __init__(self, name: str, config: TCPService) -> None:
        super().__init__(name, config)
        self.servers: list[str] = []
        """Addresses of the servers in use."""
        self.transport = ""
        """Qualified name of the transport that was asked for, once somebody needed it."""

    def wanted_transport(self) -> str:
        """Qualified name of the transport it names, empty if it names none."""
        balancer = self.config.load_balancer
        asked = balancer.servers_transport if balancer is not None else ""
        return resolve_reference(asked, self.name) if asked else ""


class TCPServiceBuilder(ServiceBuilder[TCPServiceState, Target]):
    """Builds the balancers of one configuration."""

    kind = "service"

    def __init__(
        self, states: Mapping[str, TCPServiceState], transports: TransportBook, rng: Random | None = None
    ) -> None:
        super().__init__(states, rng)
        self._transports = transports

    def _of_servers(self, state: TCPServiceState) -> Nested[Target]:
        """A bad transport is the router's error alone, as in the original, and none without a server."""
        config = state.config.load_balancer
        assert config is not None
        state.transport = state.wanted_transport()
        servers = []
        for server in config.servers:
            try:
                servers.append(TCPServer.of(server.address, server.tls))
            except ValueError as error:
                log.error("TCP service %s: server %s is left out: %s", state.name, server.address, error)
        if not servers:
            return Nested([])
        dialling = self._dialling(state, config)
        state.servers = [server.name for server in servers]
        return Nested([(Target(server, dialling), 1) for server in servers], self._rng)

    def _dialling(self, state: TCPServiceState, config: TCPLoadBalancer) -> Dialling:
        transport = self._transports.find(state.transport or DEFAULT_TRANSPORT)
        if state.transport:
            return Dialling(transport, transport.version, transport.delay_seconds)
        delay = config.termination_delay
        # The original takes the deprecated number for nanoseconds: it is as good as none at all.
        seconds = transport.delay_seconds if delay is None else delay / _NANOSECONDS
        return Dialling(transport, proxy_version(config.proxy_protocol), seconds)
