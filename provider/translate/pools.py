"""Load balancers whose servers are the endpoints of one Service: what it takes to list them anew.

Pods come and go all the time, and of a route nothing else depends on where they are. So for a change of endpoints
an object is not translated again as long as the same pool has servers before and after: they are exchanged in what
it gave. Where a Service had or has none, that is for the translator to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from config.generation import encode_section
from config.http import Server, Service
from provider.resources.core import Endpoint, EndpointSlice
from provider.resources.kinds import SERVICE, ObjectKey


class Pool(NamedTuple):
    """Endpoints of a Service behind the port that is called `port`, as servers of one URL scheme."""

    namespace: str
    service: str
    port: str
    scheme: str

    @property
    def key(self) -> ObjectKey:
        """Of the Service."""
        return ObjectKey(SERVICE.name, self.namespace, self.service)

    def servers(self, slices: Iterable[EndpointSlice]) -> list[Server]:
        """A server for each address that serves; of two endpoints with one address the first counts."""
        servers: dict[str, Server] = {}
        for piece in slices:
            number = slice_port(piece, self.port)
            for endpoint in piece.endpoints or () if number else ():
                self._add(endpoint, number, servers)
        return list(servers.values())

    def _add(self, endpoint: Endpoint, number: int, servers: dict[str, Server]) -> None:
        if endpoint.conditions.serving is not False:
            for address in endpoint.addresses or ():
                if address not in servers:
                    url = server_url(self.scheme, address, number)
                    servers[address] = Server(url=url, fenced=bool(endpoint.conditions.terminating))


def slice_port(piece: EndpointSlice, name: str) -> int:
    """Number of the slice's port with the Service port's name, 0 if it has none."""
    for port in piece.ports or ():
        if port.name == name:
            return port.port or 0
    return 0


def server_url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{host_port(host, port)}"


def host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


Named = tuple[tuple[str, Pool], ...]
"""Pools of one object by the names of its load balancers."""

NONE: Final[Named] = ()


class Pools:
    """Which pools objects gave, by Service; kept by the builder."""

    def __init__(self) -> None:
        self._named: dict[ObjectKey, dict[ObjectKey, Named]] = {}
        self._services: dict[ObjectKey, tuple[ObjectKey, ...]] = {}

    def of(self, service: ObjectKey, reader: ObjectKey) -> Named:
        """The reader's load balancers over that Service; none where it reads its endpoints in another way, too."""
        return self._named.get(service, {}).get(reader, NONE)

    def replace(self, reader: ObjectKey, named: Mapping[ObjectKey, Named]) -> None:
        """Exchange what an object gave."""
        for gone in self._services.pop(reader, ()):
            readers = self._named[gone]
            del readers[reader]
            if not readers:
                del self._named[gone]
        for service, them in named.items():
            self._named.setdefault(service, {})[reader] = them
        if named:
            self._services[reader] = tuple(named)


def with_servers(
    services: Mapping[str, Service], named: Named, slices: Sequence[EndpointSlice]
) -> list[tuple[str, Service, bytes]] | None:
    """(name, load balancer, its servers encoded) of those whose servers are others now; None if one has none."""
    found = []
    for name, pool in named:
        service, servers = services[name], pool.servers(slices)
        assert service.load_balancer is not None
        if not servers:
            return None
        if servers != service.load_balancer.servers:
            balancer = replace(service.load_balancer, servers=servers)
            found.append((name, replace(service, load_balancer=balancer), encode_section(servers)))
    return found


class Noted(NamedTuple):
    """A pool as a translation met it, and the list of servers that it put into a load balancer."""

    pool: Pool
    servers: list[Server]


def named_pools(
    noted: Iterable[Noted], reads: Mapping[ObjectKey, int], services: Mapping[str, Service]
) -> dict[ObjectKey, Named]:
    """Pools by Service and name of the load balancer that holds their very list of servers.

    `reads`: how often the translation asked for the endpoints of a Service. One is left out if something else may
    depend on its endpoints: it was asked for more often than there are pools with servers, or with a list that is
    in no load balancer, unless that is a pool that another one holds (paths of an Ingress to one Service).
    """
    pools = {id(one.servers): one.pool for one in noted if one.servers}
    met: dict[ObjectKey, list[Pool]] = {}
    for pool in pools.values():
        met.setdefault(pool.key, []).append(pool)
    found: dict[ObjectKey, list[tuple[str, Pool]]] = {}
    for name, service in services.items():
        balancer = service.load_balancer
        held = pools.get(id(balancer.servers)) if balancer is not None else None
        if held is not None:
            found.setdefault(held.key, []).append((name, held))
    return {
        key: tuple(named)
        for key, named in found.items()
        if len(met[key]) == reads.get(key) and {pool for _, pool in named}.issuperset(met[key])
    }
