"""TCP services: from configuration to what chooses a server for a new connection.

A service is built when a router first asks for it, as the original does, so a broken one that nobody uses
disturbs nobody. The error texts are the original's; a service that contains itself is an error here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

from config.layer4 import TCPLoadBalancer, TCPService, WeightedServices
from config.names import resolve_reference
from workers.building import BuildError
from workers.tcp.dialing import Dialling, TCPServer, proxy_version
from workers.tcp.transports import DEFAULT_TRANSPORT, TransportBook
from workers.upstream.balancer import Nested

log = logging.getLogger(__name__)

_NANOSECONDS: Final = 1e9


class Target(NamedTuple):
    """A server, and how to reach it."""

    server: TCPServer
    dialling: Dialling


class TCPBalancer(Nested[Target]):
    """Gives each new connection its server; below it may be servers, or the balancers of other services."""

    __slots__ = ()


class TCPServiceState:
    """One service of the running configuration: what was asked for and what became of it."""

    __slots__ = ("balancer", "built", "config", "errors", "name", "servers", "transport")

    def __init__(self, name: str, config: TCPService) -> None:
        self.name = name
        self.config = config
        self.built = False
        self.balancer: TCPBalancer | None = None
        self.servers: list[str] = []
        """Addresses of the servers in use."""
        self.transport = ""
        """Qualified name of the transport that was asked for, once somebody needed it."""
        self.errors: list[str] = []

    @property
    def status(self) -> str:
        return "disabled" if self.errors else "enabled"

    def children(self) -> list[str]:
        """Qualified names of the services that this one sends connections to."""
        weighted = self.config.weighted
        return [resolve_reference(entry.name, self.name) for entry in weighted.services] if weighted else []

    def wanted_transport(self) -> str:
        """Qualified name of the transport it names, empty if it names none."""
        balancer = self.config.load_balancer
        asked = balancer.servers_transport if balancer is not None else ""
        return resolve_reference(asked, self.name) if asked else ""

    def __repr__(self) -> str:
        return f"<TCPServiceState {self.name} {'; '.join(self.errors) or 'ok'}>"


class TCPServiceBuilder:
    """Builds the balancers of one configuration."""

    def __init__(
        self, states: Mapping[str, TCPServiceState], transports: TransportBook, rng: Random | None = None
    ) -> None:
        self._states = states
        self._transports = transports
        self._rng = rng or Random()  # noqa: S311 - a rotation's start is no secret
        self._failures: dict[str, str] = {}

    def balancer(self, name: str, above: tuple[str, ...] = ()) -> TCPBalancer:
        """What serves the qualified service `name`. Raises BuildError with the text for the API."""
        state = self._states.get(name)
        if state is None:
            raise BuildError(f'the service "{name}" does not exist')
        if name in above:
            path = "->".join((*above[above.index(name) :], name))
            raise BuildError(f"could not instantiate service {name}: recursion detected in {path}")
        if not state.built:
            self._build(state, (*above, name))
        if state.balancer is None:
            raise BuildError(self._failures[name])
        return state.balancer

    def _build(self, state: TCPServiceState, above: tuple[str, ...]) -> None:
        try:
            state.balancer = self._make(state, above)
            state.built = True
        except BuildError as error:
            self._failures[state.name] = str(error)

    def _make(self, state: TCPServiceState, above: tuple[str, ...]) -> TCPBalancer:
        config = state.config
        if config.load_balancer is not None and config.weighted is not None:
            raise _noted(
                state,
                "cannot create service: multi-types service not supported, "
                "consider declaring two different pieces of service instead",
            )
        if config.load_balancer is not None:
            return self._of_servers(state, config.load_balancer)
        if config.weighted is None:
            raise _noted(state, f'the service "{state.name}" does not have any type defined')
        try:
            return TCPBalancer(self._services(state.name, config.weighted, above))
        except BuildError as error:
            raise _noted(state, str(error)) from error

    def _services(
        self, name: str, config: WeightedServices, above: tuple[str, ...]
    ) -> list[tuple[Target | Nested[Target], int]]:
        return [
            (
                self.balancer(resolve_reference(entry.name, name), above),
                1 if entry.weight is None else entry.weight,
            )
            for entry in config.services
        ]

    def _of_servers(self, state: TCPServiceState, config: TCPLoadBalancer) -> TCPBalancer:
        """A bad transport is the router's error alone, as in the original, and none without a server."""
        state.transport = state.wanted_transport()
        servers = []
        for server in config.servers:
            try:
                servers.append(TCPServer.of(server.address, server.tls))
            except ValueError as error:
                log.error("TCP service %s: server %s is left out: %s", state.name, server.address, error)
        if not servers:
            return TCPBalancer([])
        dialling = self._dialling(state, config)
        state.servers = [server.name for server in servers]
        return TCPBalancer([(Target(server, dialling), 1) for server in servers], self._rng)

    def _dialling(self, state: TCPServiceState, config: TCPLoadBalancer) -> Dialling:
        transport = self._transports.find(state.transport or DEFAULT_TRANSPORT)
        if state.transport:
            return Dialling(transport, transport.version, transport.delay_seconds)
        delay = config.termination_delay
        # The original takes the deprecated number for nanoseconds: it is as good as none at all.
        seconds = transport.delay_seconds if delay is None else delay / _NANOSECONDS
        return Dialling(transport, proxy_version(config.proxy_protocol), seconds)


def _noted(state: TCPServiceState, message: str) -> BuildError:
    if message not in state.errors:
        state.errors.append(message)
    return BuildError(message)
