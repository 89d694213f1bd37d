"""What objects lean on that no object provides: entry points, what those add to routers, names of our own.

All of it follows from the static configuration. Where that is not known (a look at manifests alone) there is no
Environment, and nothing is said about such names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from config.names import PROVIDER_INTERNAL, normalize
from config.static import StaticConfiguration, default_entry_points
from config.static_entrypoint import EntryPoint


@dataclass(frozen=True, slots=True)
class Demands:
    """What an entry point adds to each HTTP router on it. `tls_option` None: nothing about TLS."""

    middlewares: tuple[str, ...] = ()
    tls_option: str | None = None

    @classmethod
    def of(cls, point: EntryPoint) -> Self:
        return cls(tuple(point.http.middlewares), point.http.tls.options if point.http.tls is not None else None)


@dataclass(frozen=True, slots=True)
class Environment:
    """`streams`: entry points for TCP; `defaults`: those of routers that name none; `datagrams`: those for UDP.

    `internal`: (section, name) of what Pointsman itself provides, each with its `@internal`.
    """

    streams: Mapping[str, Demands]
    defaults: tuple[str, ...]
    datagrams: tuple[str, ...]
    internal: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, static: StaticConfiguration) -> Self:
        points = static.entry_points
        return cls(
            {name: Demands.of(point) for name, point in points.items() if point.protocol == "tcp"},
            tuple(default_entry_points(static)),
            tuple(sorted(name for name, point in points.items() if point.protocol == "udp")),
            internal_names(static),
        )


def internal_names(static: StaticConfiguration) -> frozenset[tuple[str, str]]:
    """What routers and services may refer to with `@internal`, as far as it is switched on."""
    services = ["noop"]
    if static.ping is not None:
        services += ["ping", "ready"]
    if static.api is not None:
        services.append("api")
    if static.metrics is not None and static.metrics.prometheus is not None:
        services.append("prometheus")
    found = [("http.services", name) for name in services]
    found += [("http.serversTransports", "default"), ("tcp.serversTransports", "default")]
    for name, point in static.entry_points.items():
        redirect = point.http.redirections.entry_point
        if redirect is not None:
            found.append(("http.middlewares", f"redirect-{normalize(f'{name}-to-{redirect.to}')}"))
    return frozenset((section, f"{name}@{PROVIDER_INTERNAL}") for section, name in found)
