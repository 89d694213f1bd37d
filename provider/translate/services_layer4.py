"""Service references of a TCP or UDP route -> load balancers and weighted services.

Unlike HTTP a failing reference is only left out, and the others share the load. If none is left the router
leads to a service that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from config.http import WeightedEntry
from config.layer4 import (
    PROXY_PROTOCOL_DEFAULTS,
    ProxyProtocol,
    TCPLoadBalancer,
    TCPServer,
    TCPService,
    UDPLoadBalancer,
    UDPServer,
    UDPService,
    WeightedServices,
)
from config.naming import WEIGHTED
from provider.findings import Rejected
from provider.resources.kinds import SERVERS_TRANSPORT_TCP
from provider.resources.traefik_layer4 import ServiceTCP, ServiceUDP
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.overridden import note_child
from provider.translate.ownership import Name
from provider.translate.references import transport_reference
from provider.translate.servers_layer4 import load_addresses
from provider.translate.services import DEFAULT_WEIGHT

Spec = TypeVar("Spec", bound=ServiceUDP)

TCP_SERVICES: Final = "tcp.services"
UDP_SERVICES: Final = "udp.services"
PROXY_PROTOCOL_VERSIONS: Final = (1, 2)

_CLOSED: Final = "connections would be closed at once"
_DROPPED: Final = "datagrams would be dropped"


class RouteServices(Generic[Spec]):
    """Puts the services of one object's routes into its output, all of one section."""

    def __init__(
        self,
        holder: Holder,
        output: Output,
        section: str,
        load_balancer: Callable[[Holder, Spec, str], TCPService | UDPService],
        weighted: Callable[[WeightedServices], TCPService | UDPService],
    ) -> None:
        self._holder = holder
        self._output = output
        self._section = section
        self._load_balancer = load_balancer
        self._weighted = weighted

    def put(self, router: str, specs: Sequence[Spec], field: str) -> str:
        """Put out what the references come to; the name that the router refers to it by.

        `field` is the path of the references; never raises Rejected.
        """
        naming = self._holder.naming
        name = naming.balancer(router) if len(specs) == 1 else naming.weighted(router)
        if len(specs) == 1:
            service = self._one(specs[0], f"{field}[0]")
            if service is not None:
                self._output.put(self._section, name, service)
        else:
            self._put_several(router, name, specs, field)
        if name in self._output.of_section(self._section):
            return name
        # the router will name something all the same, and must not find a neighbour's under this name
        self._holder.view.refer(self._section, router, self._holder.namespace, field)
        self._report_none(field)
        return router

    def _put_several(self, router: str, name: str, specs: Sequence[Spec], field: str) -> None:
        entries: list[WeightedEntry] = []
        for index, spec in enumerate(specs):
            service = self._one(spec, f"{field}[{index}]")
            if service is not None:
                namespace, place = spec.namespace or self._holder.namespace, (router, WEIGHTED, str(index))
                child = self._holder.naming.layer4_child(place, namespace, spec.name, spec.port)
                earlier = self._output.of_section(self._section).get(child)
                at = f"{field}[{index}]"
                note_child(
                    self._holder.view, self._holder.report, Name(self._section, child), earlier, service, at
                )
                self._output.put(self._section, child, service)
                weight = DEFAULT_WEIGHT if spec.weight is None else spec.weight
                entries.append(WeightedEntry(name=child, weight=weight))
        if entries:
            weighted = WeightedServices(services=self._earlier(name) + entries)
            self._output.put(self._section, name, self._weighted(weighted))

    def _earlier(self, name: str) -> list[WeightedEntry]:
        """Entries of an earlier route of the same object and rule: Traefik piles them up."""
        earlier: Any = self._output.of_section(self._section).get(name)
        return list(earlier.weighted.services) if earlier is not None and earlier.weighted is not None else []

    def _one(self, spec: Spec, field: str) -> TCPService | UDPService | None:
        try:
            return self._load_balancer(self._holder, spec, field)
        except Rejected as error:
            self._holder.report.rejected(error.within(field))
            return None

    def _report_none(self, field: str) -> None:
        nothing = Rejected(
            "NoService",
            "the route has no service that can be used; the router will be disabled",
            field=field,
            advice="name a Service that has endpoints",
        )
        self._holder.report.rejected(nothing)


def tcp_services(holder: Holder, output: Output) -> RouteServices[ServiceTCP]:
    return RouteServices(holder, output, TCP_SERVICES, _tcp, lambda them: TCPService(weighted=them))


def udp_services(holder: Holder, output: Output) -> RouteServices[ServiceUDP]:
    return RouteServices(holder, output, UDP_SERVICES, _udp, lambda them: UDPService(weighted=them))


def _udp(holder: Holder, spec: ServiceUDP, field: str) -> UDPService:
    servers = [UDPServer(address=address) for address in load_addresses(holder, spec, field, _DROPPED)]
    return UDPService(load_balancer=UDPLoadBalancer(servers=servers))


def _tcp(holder: Holder, spec: ServiceTCP, field: str) -> TCPService:
    addresses = load_addresses(holder, spec, field, _CLOSED)
    transport = transport_reference(holder, spec.servers_transport, SERVERS_TRANSPORT_TCP.name, f"{field}.")
    _note_tcp(holder, spec, field)
    return TCPService(
        load_balancer=TCPLoadBalancer(
            servers=[TCPServer(address=address, tls=spec.tls) for address in addresses],
            servers_transport=transport,
            proxy_protocol=_proxy_protocol(spec),
            termination_delay=None if transport else spec.termination_delay,
        )
    )


def _proxy_protocol(spec: ServiceTCP) -> ProxyProtocol | None:
    if spec.proxy_protocol is None:
        return None
    return ProxyProtocol(version=spec.proxy_protocol.version or PROXY_PROTOCOL_DEFAULTS.version)


def _note_tcp(holder: Holder, spec: ServiceTCP, field: str) -> None:
    given = {"proxyProtocol": spec.proxy_protocol, "terminationDelay": spec.termination_delay}
    for name, value in given.items():
        if value is not None:
            holder.report.warning(
                "Deprecated",
                f"{name} is deprecated here and without effect beside a serversTransport",
                field=f"{field}.{name}",
                advice=f"set {name} of a ServersTransportTCP and name that in serversTransport",
            )
    version = spec.proxy_protocol.version if spec.proxy_protocol else 0
    if version and version not in PROXY_PROTOCOL_VERSIONS:
        unknown = Rejected(
            "InvalidProxyProtocol",
            f"there is no version {version} of the PROXY protocol; the router will be disabled",
            field=f"{field}.proxyProtocol.version",
            advice="write 1 or 2",
        )
        holder.report.rejected(unknown)
