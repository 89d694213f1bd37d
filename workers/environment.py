"""What the configuration of a worker is built in and does not change with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from config.names import provider_of
from tls.store import Bundle
from workers.exchange import Handler
from workers.middlewares.base import Surroundings
from workers.models import Model
from workers.routing.flat import FlatTable
from workers.routing.table import RoutingTable
from workers.upstream.health import HealthBoard
from workers.upstream.transports import TransportBook


class Environment(msgspec.Struct, frozen=True):
    """What does not change with the dynamic configuration."""

    entry_points: frozenset[str]
    default_entry_points: Sequence[str]
    default_rule_syntax: str
    internal: Callable[[str], Handler | str]
    transports: TransportBook
    """Those of the static configuration."""
    models: Mapping[str, Model]
    surroundings: Surroundings
    health: HealthBoard
    precedence: Sequence[str] = ()
    """Providers whose routers win among equal priorities, first to last."""
    default_certificate: Bundle | None = None
    strict_tls_options: bool = False
    udp_entry_points: Sequence[str] = ()
    flattens: bool = False
    """Do rules look at two hosts of a request? See workers/flattening.py."""

    @property
    def table_type(self) -> type[RoutingTable]:
        """What routes are looked up in."""
        return FlatTable if self.flattens else RoutingTable

    def precedence_of(self, router: str) -> int:
        """Place of the router's provider; one that is not listed comes last."""
        provider = provider_of(router)
        return self.precedence.index(provider) if provider in self.precedence else len(self.precedence)
