"""A reference to a Kubernetes Service: the Service, its port, and the places where it can be reached.

What HTTP, TCP and UDP have in common. In which order the places are tried, which endpoints count and how an
address is spelled differs; see `servers` and `servers_layer4`. Anything wrong raises Rejected with a field
relative to the service reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from provider.findings import Rejected, Report
from provider.resources.core import Endpoint, Service, ServicePort
from provider.resources.kinds import SERVICE, ObjectKey
from provider.translate.holder import Holder
from provider.translate.pools import slice_port
from provider.translate.references import check_namespace
from provider.translate.view import View

EXTERNAL_NAME: Final = "ExternalName"
NODE_PORT: Final = "NodePort"


class ServiceReference(Protocol):
    """The fields that references to Services have in every kind of route."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def port(self) -> int | str: ...
    @property
    def native_lb(self) -> bool | None: ...
    @property
    def node_port_lb(self) -> bool: ...


def title(service: Service) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"


def find_service(holder: Holder, spec: ServiceReference, absent_advice: str) -> Service:
    """The Service that the holder refers to. Raises Rejected if it may not be named or is not there."""
    namespace = spec.namespace or holder.namespace
    check_namespace(holder, ObjectKey(SERVICE.name, namespace, spec.name), "namespace")
    service = holder.view.service(namespace, spec.name)
    if service is None:
        raise Rejected(
            "ServiceNotFound", f"there is no Service {namespace}/{spec.name}", field="name", advice=absent_advice
        )
    return service


def find_port(service: Service, spec: ServiceReference, report: Report, field: str) -> ServicePort:
    """The Service's port of that number or, for text, that name. An ExternalName Service has any number.

    `field` is the path of the reference, for what is only reported.
    """
    if spec.port in (0, ""):
        raise Rejected(
            "PortMissing", "a Service needs a port", field="port", advice="add port: a number or a name"
        )
    ports = service.spec.ports or []
    for candidate in ports:
        if spec.port == (candidate.port if isinstance(spec.port, int) else candidate.name):
            return candidate
    if service.spec.type != EXTERNAL_NAME or isinstance(spec.port, str):
        raise Rejected(
            "PortNotFound",
            f"Service {title(service)} has no port {_quoted(spec.port)}",
            field="port",
            advice=_port_advice(spec.port, ports),
        )
    if any(candidate.port for candidate in ports):
        report.warning(
            "PortMismatch",
            f"port {spec.port} is not among the ports of the ExternalName Service {title(service)}",
            field=f"{field}.port",
        )
    return ServicePort(port=spec.port)


def _quoted(port: int | str) -> str:
    return str(port) if isinstance(port, int) else f'named "{port}"'


def _port_advice(port: int | str, ports: list[ServicePort]) -> str:
    listed = ", ".join(f"{p.port} ({p.name})" if p.name else str(p.port) for p in ports) or "none"
    if isinstance(port, str) and port.isdigit():
        return f"quoted text is a port name: write port: {port} without quotes; its ports are {listed}"
    return f"use the Service's port, not the container's: {listed}"


def check_external_name(view: View, service: Service) -> None:
    """Raise Rejected for an ExternalName Service where these are not allowed."""
    if service.spec.type == EXTERNAL_NAME and not view.options.allow_external_name_services:
        raise Rejected(
            "ExternalNameNotAllowed",
            f"{title(service)} is an ExternalName Service, and these are not allowed",
            field="name",
            advice=f"set {view.options.section}.allowExternalNameServices",
        )


def wants_native(view: View, spec: ServiceReference) -> bool:
    return view.options.native_lb_by_default if spec.native_lb is None else spec.native_lb


def cluster_address(service: Service) -> str:
    """Where the Service balances by itself. Raises Rejected if it has no cluster IP."""
    address = service.spec.cluster_ip
    if address in ("", "None"):
        raise Rejected(
            "HeadlessService",
            f"Service {title(service)} has no cluster IP, so it cannot balance natively",
            field="nativeLB",
            advice="set nativeLB: false on this reference",
        )
    return address


def wants_nodes(service: Service, spec: ServiceReference) -> bool:
    return spec.node_port_lb and service.spec.type == NODE_PORT


def node_addresses(view: View, service: Service) -> list[str]:
    """Internal addresses of all Nodes, never none. Raises Rejected."""
    if view.options.disable_cluster_scope_resources:
        raise Rejected(
            "NodesLookupDisabled",
            "nodePortLB needs Nodes, and nodes lookup is disabled",
            field="nodePortLB",
            advice=f"unset {view.options.section}.disableClusterScopeResources",
        )
    nodes = view.nodes()
    found = [
        address.address
        for node in nodes
        for address in node.status.addresses or []
        if address.type == "InternalIP"
    ]
    if not found:
        missing = "no Node has an InternalIP" if nodes else "there are no Nodes"
        raise Rejected(
            "NodesNotFound",
            f"{missing} for NodePort Service {title(service)}",
            field="nodePortLB",
            advice="allow list and watch of nodes in the ClusterRole",
        )
    return found


def endpoints(view: View, service: Service, port: ServicePort) -> Iterator[tuple[int, list[Endpoint]]]:
    """For each EndpointSlice that has the port: its number there and the endpoints, whatever their state."""
    for piece in view.slices(service.metadata.namespace, service.metadata.name):
        number = slice_port(piece, port.name)
        if number:
            yield number, piece.endpoints or []


def check_empty(view: View, service: Service, spec: ServiceReference, consequence: str) -> None:
    """Raise Rejected because the Service has no endpoint, unless empty Services are allowed."""
    if not view.options.allow_empty_services:
        raise Rejected(
            "NoEndpoints",
            f"Service {title(service)} has no usable endpoint for port {spec.port}",
            field="name",
            advice=f"check that its pods are ready; with allowEmptyServices {consequence}",
        )
