"""A Kubernetes Service and its endpoints -> the servers of an HTTP load balancer.

The first branch that applies decides: ExternalName, native load balancing, node ports, EndpointSlices.
Anything wrong raises Rejected with a field relative to the service reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from config.http import Server
from provider.findings import Rejected, Report
from provider.resources.core import EndpointSlice, Service, ServicePort
from provider.resources.traefik import LoadBalancerSpec
from provider.translate.holder import Holder
from provider.translate.references import check_namespace
from provider.translate.view import View


def load_servers(holder: Holder, spec: LoadBalancerSpec) -> list[Server]:
    """Servers that the holder's reference leads to. Raises Rejected."""
    view = holder.view
    namespace = spec.namespace or holder.namespace
    check_namespace(holder, namespace, f"service {namespace}/{spec.name}", "namespace")
    service = view.service(namespace, spec.name)
    if service is None:
        raise Rejected(
            "ServiceNotFound",
            f"there is no Service {namespace}/{spec.name}",
            field="name",
            advice=_not_found_advice(spec.name),
        )
    port = _service_port(service, spec, holder.report)
    if spec.health_check is not None and service.spec.type != "ExternalName":
        raise Rejected(
            "HealthCheckNotAllowed",
            f"health checks work on ExternalName Services only, {_title(service)} is {service.spec.type}",
            field="healthCheck",
            advice="remove it: the readiness of the pods decides already",
        )
    if service.spec.type == "ExternalName":
        return _external_name(view, service, spec, port)
    native = view.options.native_lb_by_default if spec.native_lb is None else spec.native_lb
    if native:
        return _native(service, spec, port)
    if spec.node_port_lb and service.spec.type == "NodePort":
        return _node_ports(view, service, spec, port)
    return _endpoints(view, service, spec, port)


def _title(service: Service) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"


def _not_found_advice(name: str) -> str:
    if "@" in name:
        return "for a service of another provider (api@internal) write kind: TraefikService"
    return "create the Service or correct the name"


def _service_port(service: Service, spec: LoadBalancerSpec, report: Report) -> ServicePort:
    if spec.port in (0, ""):
        raise Rejected(
            "PortMissing", "a Service needs a port", field="port", advice="add port: a number or a name"
        )
    ports = service.spec.ports or []
    for candidate in ports:
        if spec.port == (candidate.port if isinstance(spec.port, int) else candidate.name):
            return candidate
    if service.spec.type != "ExternalName" or isinstance(spec.port, str):
        raise Rejected(
            "PortNotFound",
            f"Service {_title(service)} has no port {_quoted(spec.port)}",
            field="port",
            advice=_port_advice(spec.port, ports),
        )
    if any(candidate.port for candidate in ports):
        report.warning(
            "PortMismatch",
            f"port {spec.port} is not among the ports of the ExternalName Service {_title(service)}",
            field="port",
        )
    return ServicePort(port=spec.port)


def _quoted(port: int | str) -> str:
    return str(port) if isinstance(port, int) else f'named "{port}"'


def _port_advice(port: int | str, ports: list[ServicePort]) -> str:
    listed = ", ".join(f"{p.port} ({p.name})" if p.name else str(p.port) for p in ports) or "none"
    if isinstance(port, str) and port.isdigit():
        return f"quoted text is a port name: write port: {port} without quotes; its ports are {listed}"
    return f"use the Service's port, not the container's: {listed}"


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
    return "https" if port.port == 443 or port.name.startswith("https") else "http"


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _external_name(view: View, service: Service, spec: LoadBalancerSpec, port: ServicePort) -> list[Server]:
    if not view.options.allow_external_name_services:
        raise Rejected(
            "ExternalNameNotAllowed",
            f"{_title(service)} is an ExternalName Service, and these are not allowed",
            field="name",
            advice="set providers.kubernetesCRD.allowExternalNameServices",
        )
    return [Server(url=_url(_scheme(spec, port), service.spec.external_name, port.port))]


def _native(service: Service, spec: LoadBalancerSpec, port: ServicePort) -> list[Server]:
    address = service.spec.cluster_ip
    if address in ("", "None"):
        raise Rejected(
            "HeadlessService",
            f"Service {_title(service)} has no cluster IP, so it cannot balance natively",
            field="nativeLB",
            advice="set nativeLB: false on this reference",
        )
    return [Server(url=_url(_scheme(spec, port), address, port.port))]


def _node_ports(view: View, service: Service, spec: LoadBalancerSpec, port: ServicePort) -> list[Server]:
    if view.options.disable_cluster_scope_resources:
        raise Rejected(
            "NodesLookupDisabled",
            "nodePortLB needs Nodes, and nodes lookup is disabled",
            field="nodePortLB",
            advice="unset providers.kubernetesCRD.disableClusterScopeResources",
        )
    nodes = view.nodes()
    scheme = _scheme(spec, port)
    servers = [
        Server(url=_url(scheme, address.address, port.node_port))
        for node in nodes
        for address in node.status.addresses or []
        if address.type == "InternalIP"
    ]
    if not servers:
        missing = "no Node has an InternalIP" if nodes else "there are no Nodes"
        raise Rejected(
            "NodesNotFound",
            f"{missing} for NodePort Service {_title(service)}",
            field="nodePortLB",
            advice="allow get, list and watch of nodes in the ClusterRole",
        )
    return servers


def _endpoints(view: View, service: Service, spec: LoadBalancerSpec, port: ServicePort) -> list[Server]:
    servers: dict[str, Server] = {}
    for piece in view.slices(service.metadata.namespace, service.metadata.name):
        number = _slice_port(piece, port.name)
        if number:
            scheme = _scheme(spec, port)
            for address, fenced in _addresses(piece):
                if address not in servers:
                    servers[address] = Server(url=_url(scheme, address, number), fenced=fenced)
    if not servers and not view.options.allow_empty_services:
        raise Rejected(
            "NoEndpoints",
            f"Service {_title(service)} has no usable endpoint for port {spec.port}",
            field="name",
            advice="check that its pods are ready; with allowEmptyServices the route would answer 503",
        )
    return list(servers.values())


def _slice_port(piece: EndpointSlice, name: str) -> int:
    """Number of the slice's port with the Service port's name, 0 if it has none."""
    for port in piece.ports or []:
        if port.name == name:
            return port.port or 0
    return 0


def _addresses(piece: EndpointSlice) -> Iterator[tuple[str, bool]]:
    """(address, fenced) of every endpoint that serves."""
    for endpoint in piece.endpoints or []:
        if endpoint.conditions.serving is not False:
            for address in endpoint.addresses or []:
                yield address, bool(endpoint.conditions.terminating)
