"""UDP services: from configuration to what chooses a server for a new session.

A service is built when a router first asks for it, as the original does, so a broken one that nobody uses
disturbs nobody. The error texts are the original's; a service that contains itself is an error here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

from config.layer4 import UDPServer, UDPService, WeightedServices
from config.names import resolve_reference
from workers.upstream.balancer import Nested

log = logging.getLogger(__name__)

_LARGEST_PORT: Final = 65535


class UDPBuildError(Exception):
    """A service cannot be built; the message is what the API shows."""


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


class UDPBalancer(Nested[UDPTarget]):
    """Gives each new session its server; below it may be servers, or the balancers of other services."""

    __slots__ = ()


class UDPServiceState:
    """One service of the running configuration: what was asked for and what became of it."""

    __slots__ = ("balancer", "built", "config", "errors", "name")

    def __init__(self, name: str, config: UDPService) -> None:
        self.name = name
        self.config = config
        self.built = False
        self.balancer: UDPBalancer | None = None
        self.errors: list[str] = []

    @property
    def status(self) -> str:
        return "disabled" if self.errors else "enabled"

    def children(self) -> list[str]:
        """Qualified names of the services that this one sends sessions to."""
        weighted = self.config.weighted
        return [resolve_reference(entry.name, self.name) for entry in weighted.services] if weighted else []

    def __repr__(self) -> str:
        return f"<UDPServiceState {self.name} {'; '.join(self.errors) or 'ok'}>"


class UDPServiceBuilder:
    """Builds the balancers of one configuration."""

    def __init__(self, states: Mapping[str, UDPServiceState], rng: Random | None = None) -> None:
        self._states = states
        self._rng = rng or Random()  # noqa: S311 - a rotation's start is no secret

    def balancer(self, name: str, above: tuple[str, ...] = ()) -> UDPBalancer:
        """What serves the qualified service `name`. Raises UDPBuildError with the text for the API."""
        state = self._states.get(name)
        if state is None:
            raise UDPBuildError(f'the UDP service "{name}" does not exist')
        if name in above:
            path = "->".join((*above[above.index(name) :], name))
            raise UDPBuildError(f"could not instantiate service {name}: recursion detected in {path}")
        if not state.built:
            self._build(state, (*above, name))
        if state.balancer is None:
            raise UDPBuildError(state.errors[-1])
        return state.balancer

    def _build(self, state: UDPServiceState, above: tuple[str, ...]) -> None:
        try:
            state.balancer = self._make(state, above)
        except UDPBuildError as error:
            if str(error) not in state.errors:
                state.errors.append(str(error))
        state.built = True

    def _make(self, state: UDPServiceState, above: tuple[str, ...]) -> UDPBalancer:
        config = state.config
        if config.load_balancer is not None and config.weighted is not None:
            raise UDPBuildError(
                "cannot create service: multi-types service not supported, "
                "consider declaring two different pieces of service instead"
            )
        if config.load_balancer is not None:
            return UDPBalancer(_targets(state.name, config.load_balancer.servers), self._rng)
        if config.weighted is not None:
            return UDPBalancer(self._services(state.name, config.weighted, above), self._rng)
        raise UDPBuildError(f'the UDP service "{state.name}" does not have any type defined')

    def _services(
        self, name: str, config: WeightedServices, above: tuple[str, ...]
    ) -> list[tuple[UDPTarget | Nested[UDPTarget], int]]:
        return [
            (
                self.balancer(resolve_reference(entry.name, name), above),
                1 if entry.weight is None else entry.weight,
            )
            for entry in config.services
        ]


def _targets(name: str, servers: list[UDPServer]) -> list[tuple[UDPTarget | Nested[UDPTarget], int]]:
    """Servers whose address can be used; the others are logged and left out, as the original does."""
    entries: list[tuple[UDPTarget | Nested[UDPTarget], int]] = []
    for server in servers:
        try:
            entries.append((UDPTarget.of(server.address), 1))
        except ValueError as error:
            log.error("UDP service %s: server %s is left out: %s", name, server.address, error)
    return entries
