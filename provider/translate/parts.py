"""What one object has to do with the usability of others: what it stands for, and what it needs.

Names are those of the workers, with their provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from config.http import Service
from config.names import qualify
from provider.translate.output import SERVICES, Output
from provider.translate.ownership import Name
from provider.translate.tls_defaults import DEFAULT
from provider.translate.view import Reference

TLS_OPTIONS: Final = "tls.options"
TITLES: Final = {
    "http.middlewares": ("Middleware", "middleware"),
    SERVICES: ("Service", "service"),
    "http.serversTransports": ("ServersTransport", "servers transport"),
    "tcp.middlewares": ("Middleware", "middleware"),
    "tcp.serversTransports": ("ServersTransport", "servers transport"),
    TLS_OPTIONS: ("TLSOption", "TLS option"),
}
"""Start of the reason, and title, by section. Parents are not among them: `families` judges those."""
_NOTHING: Final[frozenset[Name]] = frozenset()


class Fate(NamedTuple):
    """`flaw`: why workers cannot build it, whatever it needs; empty if they can."""

    flaw: str = ""
    needs: frozenset[Name] = _NOTHING


class Part(NamedTuple):
    """What one object has to do with the usability of others.

    `fates`: names that stand or fall with what the object says; `places`: paths of the fields by the name that is
    needed there; `written`: those of them that carry their provider.
    """

    fates: Mapping[Name, Fate] = {}
    places: Mapping[Name, list[str]] = {}
    written: frozenset[Name] = _NOTHING

    @classmethod
    def of(cls, output: Output, places: Mapping[Reference, list[str]], provider: str) -> Part:
        named: dict[Name, list[str]] = {}
        written: set[Name] = set()
        for one, fields in places.items():
            if one.section in TITLES:
                name = qualified(one.section, one.name, provider)
                named.setdefault(name, []).extend(fields)
                if not one.namespace:
                    written.add(name)
        fates = dict(_service_fates(output, provider))
        if output.fate is not None:
            fates[qualified(*output.fate, provider)] = Fate(output.flaw, frozenset(named))
        return cls(fates, named, frozenset(written))

    @property
    def has_flaw(self) -> bool:
        return any(fate.flaw for fate in self.fates.values())

    @property
    def unnoticed(self) -> set[Name]:
        """Names of which no translator says that nobody has them."""
        return {need for fate in self.fates.values() for need in fate.needs} - self.places.keys() | self.written

    @property
    def uses(self) -> set[Name]:
        return {need for fate in self.fates.values() for need in fate.needs} | self.places.keys()


NO_PART: Final = Part()


def qualified(section: str, name: str, provider: str) -> Name:
    """With the provider, as workers know it; the default TLS option has none."""
    return Name(section, name if (section, name) == (TLS_OPTIONS, DEFAULT) else qualify(name, provider))


def _service_fates(output: Output, provider: str) -> Iterator[tuple[Name, Fate]]:
    """Services that other providers may name, where they need something."""
    for name, service in output.of_section(SERVICES).items():
        needs = frozenset(_needs(service, provider))
        if needs:
            yield qualified(SERVICES, name, provider), Fate("", needs)


def _needs(service: Service, provider: str) -> Iterator[Name]:
    balancer, weighted = service.load_balancer, service.weighted
    if balancer is not None and balancer.servers_transport:
        yield qualified("http.serversTransports", balancer.servers_transport, provider)
    for middleware in service.middlewares:
        yield qualified("http.middlewares", middleware, provider)
    for entry in weighted.services if weighted is not None else ():
        yield qualified(SERVICES, entry.name, provider)
