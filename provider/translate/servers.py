"""A Kubernetes Service and its endpoints -> the servers of an HTTP load balancer.

The first branch that applies decides: ExternalName, native load balancing, node ports, EndpointSlices.
Anything wrong raises Rejected with a field relative to the service reference.
"""

from __future__ import annotations

from collections.abc import Callable

from config.http import Server
from provider.findings import Rejected
from provider.resources.core import Service, ServicePort
from provider.resources.traefik import LoadBalancerSpec
from provider.translate.holder import Holder
from provider.translate.kube_service import (
    EXTERNAL_NAME,
    check_empty,
    check_external_name,
    cluster_address,
    find_port,
    find_service,
    node_addresses,
    title,
    wants_native,
    wants_nodes,
)
from provider.translate.no_effect import note_addressing
from provider.translate.pools import Pool, server_url, slice_port
from provider.translate.view import View


def load_servers(holder: Holder, spec: LoadBalancerSpec, field: str) -> list[Server]:
    """Servers that the holder's reference leads to; `field` is its path. Raises Rejected."""
    view = holder.view
    service = find_service(holder, spec, _not_found_advice(spec.name))
    port = find_port(service, spec, holder.report, field)
    if spec.health_check is not None and service.spec.type != EXTERNAL_NAME:
        raise Rejected(
            "HealthCheckNotAllowed",
            f"health checks work on ExternalName Services only, {title(service)} is {service.spec.type}",
            field="healthCheck",
            advice="remove it: the readiness of the pods decides already",
        )
    note_addressing(holder.report, spec, service, field)
    if service.spec.type == EXTERNAL_NAME:
        check_external_name(view, service)
        return [Server(url=server_url(_scheme(spec, port), service.spec.external_name, port.port))]
    if wants_native(view, spec):
        return [Server(url=server_url(_scheme(spec, port), cluster_address(service), port.port))]
    if wants_nodes(service, spec):
        addresses = node_addresses(view, service)
        return [Server(url=server_url(_scheme(spec, port), address, port.node_port)) for address in addresses]
    return _of_endpoints(view, service, spec, port)


def _not_found_advice(name: str) -> str:
    if "@" in name:
        return "for a service of another provider (api@internal) write kind: TraefikService"
    return "create the Service or correct the name"


def _scheme(spec: LoadBalancerSpec, port: ServicePort) -> str:
    if spec.scheme in ("http", "https", "h2c"):
        return spec.scheme
    if spec.scheme:
        raise Rejected(
            "InvalidScheme",
            f"scheme {spec.scheme} is not known",
            field="scheme",
            advice="use http, https or h2c (h2c for plaintext gRPC)",
        )
    return inferred_scheme(port)


def inferred_scheme(port: ServicePort) -> str:
    """Scheme where nobody says one."""
    return "https" if port.port == 443 or port.name.startswith("https") else "http"


def _of_endpoints(view: View, service: Service, spec: LoadBalancerSpec, port: ServicePort) -> list[Server]:
    servers = serving_endpoints(view, service, port, lambda: _scheme(spec, port))
    if not servers:
        check_empty(view, service, spec, "the route would answer 503")
    return servers


def serving_endpoints(view: View, service: Service, port: ServicePort, scheme: Callable[[], str]) -> list[Server]:
    """A server for each address that serves. `scheme` is asked only where an EndpointSlice has the port."""
    namespace, name = service.metadata.namespace, service.metadata.name
    slices = view.slices(namespace, name)
    if not any(slice_port(piece, port.name) for piece in slices):
        return []
    pool = Pool(namespace, name, port.name, scheme())
    return view.note_pool(pool, pool.servers(slices))
