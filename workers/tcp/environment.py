"""What TCP routers need of the static configuration and of the worker."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from config import layer4, static
from config.names import provider_of
from workers.environment import Environment
from workers.middlewares.in_flight_conn import InFlightConn
from workers.shared import SharedState
from workers.tcp.middlewares import Guard, InFlight, no_in_flight


class TCPEnvironment(msgspec.Struct, frozen=True):
    """Does not change with the dynamic configuration. `entry_points`: those for TCP."""

    entry_points: frozenset[str]
    default_entry_points: Sequence[str]
    default_rule_syntax: str = "v3"
    precedence: Sequence[str] = ()
    """Providers whose routers win among equal priorities, first to last."""
    in_flight: InFlight = no_in_flight
    transport: static.TCPServersTransport = static.TCPServersTransport()
    """For services that name none."""

    @classmethod
    def of(cls, environment: Environment) -> TCPEnvironment:
        """The part of `environment` that matters here."""
        shared = environment.surroundings.shared
        return cls(
            entry_points=environment.entry_points,
            default_entry_points=environment.default_entry_points,
            default_rule_syntax=environment.default_rule_syntax,
            precedence=environment.precedence,
            in_flight=counted(shared) if shared is not None else no_in_flight,
            transport=environment.surroundings.static.tcp_servers_transport,
        )

    def precedence_of(self, router: str) -> int:
        """Place of the router's provider; one that is not listed comes last."""
        provider = provider_of(router)
        return self.precedence.index(provider) if provider in self.precedence else len(self.precedence)


def counted(shared: SharedState) -> InFlight:
    """Connections are counted over all workers, and through reloads that change neither place nor limit."""

    def make(config: layer4.InFlightConn, place: Sequence[str]) -> Guard:
        text = msgspec.json.encode(["inFlightConn", *place, config.amount])
        return InFlightConn(shared, blake2b(text, digest_size=16).digest(), max(config.amount, 0))

    return make
