"""A Kubernetes Service and its endpoints -> the addresses of a TCP or UDP load balancer, `host:port` each.

Differs from HTTP as Traefik does: whether an ExternalName is allowed is asked before the port, node ports come
before native load balancing, and an endpoint counts only if it says that it is ready.
"""

from __future__ import annotations

from provider.resources.core import Service, ServicePort
from provider.translate.holder import Holder
from provider.translate.kube_service import (
    EXTERNAL_NAME,
    ServiceReference,
    check_empty,
    check_external_name,
    cluster_address,
    endpoints,
    find_port,
    find_service,
    node_addresses,
    wants_native,
    wants_nodes,
)
from provider.translate.no_effect import note_addressing
from provider.translate.pools import host_port
from provider.translate.view import View


def load_addresses(holder: Holder, spec: ServiceReference, field: str, consequence: str) -> list[str]:
    """Addresses that the holder's reference leads to, each once; `field` is its path. Raises Rejected.

    `consequence`: what would happen to clients of a Service without endpoints, for the advice.
    """
    view = holder.view
    service = find_service(holder, spec, _not_found_advice(spec.name))
    check_external_name(view, service)
    port = find_port(service, spec, holder.report, field)
    note_addressing(holder.report, spec, service, field)
    if wants_nodes(service, spec):
        return [host_port(address, port.node_port) for address in node_addresses(view, service)]
    if service.spec.type == EXTERNAL_NAME:
        return [host_port(service.spec.external_name, port.port)]
    if wants_native(view, spec):
        return [host_port(cluster_address(service), port.port)]
    addresses = _of_endpoints(view, service, port)
    if not addresses:
        check_empty(view, service, spec, consequence)
    return addresses


def _not_found_advice(name: str) -> str:
    if "@" in name:
        return "name a Service: TCP and UDP routes cannot use services of another provider"
    return "create the Service or correct the name"


def _of_endpoints(view: View, service: Service, port: ServicePort) -> list[str]:
    addresses: dict[str, str] = {}
    for number, found in endpoints(view, service, port):
        for endpoint in found:
            if endpoint.conditions.ready:
                for address in endpoint.addresses or []:
                    addresses.setdefault(address, host_port(address, number))
    return list(addresses.values())
