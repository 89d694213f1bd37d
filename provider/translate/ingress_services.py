"""Backend of an Ingress -> the load balancer of its Service.

What a Service says about itself in annotations holds for every Ingress that leads to it, so the load balancer
depends on the Service and the port alone and is shared. Places are tried in another order than for custom
resources: node ports, ExternalName, native load balancing, EndpointSlices. Anything wrong raises Rejected with a
field relative to the backend.
"""

from __future__ import annotations

from dataclasses import dataclass

from config import http
from config.names import normalize
from provider.findings import Rejected
from provider.resources.core import Service, ServicePort
from provider.resources.ingress import Backend, BackendPort, BackendService
from provider.translate.holder import Holder
from provider.translate.ingress_annotations import ServiceOptions, annotation_field, service_options
from provider.translate.kube_service import (
    EXTERNAL_NAME,
    check_empty,
    check_external_name,
    cluster_address,
    find_service,
    node_addresses,
    title,
    wants_native,
    wants_nodes,
)
from provider.translate.pools import server_url
from provider.translate.servers import inferred_scheme, serving_endpoints
from provider.translate.services import DEFAULT_FLUSH_INTERVAL


@dataclass(frozen=True, slots=True)
class _Reference:
    """What `kube_service` wants to know of a reference to a Service."""

    name: str
    namespace: str
    port: int | str
    native_lb: bool | None = None
    node_port_lb: bool = False


def service_name(namespace: str, backend: BackendService) -> str:
    """Name of the load balancer, the same for all who lead to the Service and port."""
    return normalize(f"{namespace}-{backend.name}-{backend.port}")


def load_balancer(holder: Holder, backend: Backend) -> tuple[BackendService, http.Service]:
    """The backend as a Service, and its load balancer. Raises Rejected."""
    reference = backend.service
    if reference is None:
        raise Rejected(
            "ResourceBackend",
            "a backend that is no Service cannot be served",
            field="resource" if backend.resource else "service",
            advice="write service with its name and port",
        )
    try:
        return reference, _of_service(holder, reference)
    except Rejected as error:
        raise error.within("service") from error


def _of_service(holder: Holder, backend: BackendService) -> http.Service:
    named = _Reference(backend.name, holder.namespace, backend.port.name or backend.port.number)
    service = find_service(holder, named, "create the Service or correct the name")
    check_external_name(holder.view, service)
    port = _find_port(service, backend.port)
    options = _options(holder, service)
    reference = _Reference(
        named.name, named.namespace, named.port, native_lb=options.native_lb, node_port_lb=options.node_port_lb
    )
    source = http.KubernetesSource(namespace=holder.namespace, name=backend.name, port=str(backend.port))
    return http.Service(
        load_balancer=http.LoadBalancer(
            pass_host_header=options.pass_host_header,
            sticky=options.sticky,
            servers=_servers(holder, service, reference, port, options.servers_scheme),
            strategy="wrr",
            response_forwarding=http.ResponseForwarding(flush_interval=DEFAULT_FLUSH_INTERVAL),
            servers_transport=options.servers_transport,
        ),
        middlewares=options.middlewares,
        observability=http.ServiceObservability(metadata=http.ServiceMetadata(kubernetes=source)),
    )


def _find_port(service: Service, wanted: BackendPort) -> ServicePort:
    """By number or name. Unlike a custom resource an Ingress cannot make up a port of an ExternalName Service."""
    if not wanted.number and not wanted.name:
        raise Rejected("PortMissing", "a Service needs a port", field="port", advice="add a number or a name")
    ports = service.spec.ports or []
    for port in ports:
        if port.port == wanted.number or (port.name and port.name == wanted.name):
            return port
    listed = ", ".join(f"{port.port} ({port.name})" if port.name else str(port.port) for port in ports) or "none"
    raise Rejected(
        "PortNotFound",
        f"Service {title(service)} has no port {wanted}",
        field="port",
        advice=f"use the Service's port, not the container's: {listed}",
    )


def _options(holder: Holder, service: Service) -> ServiceOptions:
    try:
        options = service_options(service.metadata.annotations)
        check_other_providers(
            holder, {"serverstransport": options.servers_transport, "middlewares": options.middlewares}, "service"
        )
    except Rejected as error:
        # the field of a finding belongs to the Ingress, so the annotation of the Service is named in the sentence
        annotation = error.field.removeprefix("metadata.annotations[").removesuffix("]")
        raise Rejected(
            error.reason,
            f"annotation {annotation} of Service {title(service)}: {error.message}",
            field="name",
            advice=error.advice,
        ) from error
    return options


def check_other_providers(holder: Holder, given: dict[str, str | list[str]], group: str) -> None:
    """Raise Rejected for annotations that can only name objects of other providers, where that is not allowed."""
    allowed = holder.options.cross_provider_namespaces
    if allowed is None or holder.namespace in allowed:
        return
    for name, value in given.items():
        if value:
            raise Rejected(
                "CrossProviderNotAllowed",
                f"namespace {holder.namespace} may not refer to objects of other providers",
                field=annotation_field(f"{group}.{name}"),
                advice=f"add {holder.namespace} to {holder.options.section}.crossProviderNamespaces",
            )


def _servers(
    holder: Holder, service: Service, reference: _Reference, port: ServicePort, scheme: str
) -> list[http.Server]:
    view, scheme = holder.view, scheme or inferred_scheme(port)
    if wants_nodes(service, reference):
        addresses = node_addresses(view, service)
        return [http.Server(url=server_url(scheme, address, port.node_port)) for address in addresses]
    if service.spec.type == EXTERNAL_NAME:
        return [http.Server(url=server_url(scheme, service.spec.external_name, port.port))]
    if wants_native(view, reference):
        return [http.Server(url=server_url(scheme, cluster_address(service), port.port))]
    servers = serving_endpoints(view, service, port, lambda: scheme)
    if not servers:
        check_empty(view, service, reference, "the path would answer 503")
    return servers
