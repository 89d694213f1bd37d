"""IngressRouteTCP and IngressRouteUDP, typed.

As in `traefik.py` every value may be nonsense here. Their services are Kubernetes Services only: neither a
TraefikService nor a service of another provider can be named.
"""

from __future__ import annotations

import msgspec

from provider.resources.core import Int64, Resource
from provider.resources.traefik import TLS, ClassedMetadata, ObjectReference, class_of


class ServiceUDP(Resource, frozen=True, kw_only=True):
    """A reference to a Kubernetes Service."""

    name: str = ""
    namespace: str = ""
    port: Int64 | str = 0
    weight: Int64 | None = None
    native_lb: bool | None = msgspec.field(default=None, name="nativeLB")
    node_port_lb: bool = msgspec.field(default=False, name="nodePortLB")


class ProxyProtocol(Resource, frozen=True, kw_only=True):
    """Zero means the newest version."""

    version: Int64 = 0


class ServiceTCP(ServiceUDP, frozen=True, kw_only=True):
    """`termination_delay` in milliseconds."""

    tls: bool = False
    servers_transport: str = ""
    proxy_protocol: ProxyProtocol | None = None
    termination_delay: Int64 | None = None


class RouteTCP(Resource, frozen=True, kw_only=True):
    match: str = ""
    priority: Int64 = 0
    syntax: str = ""
    services: list[ServiceTCP] = []
    middlewares: list[ObjectReference] = []


class TLSTCP(TLS, frozen=True, kw_only=True):
    passthrough: bool = False


class IngressRouteTCPSpec(Resource, frozen=True, kw_only=True):
    routes: list[RouteTCP] = []
    entry_points: list[str] = []
    tls: TLSTCP | None = None
    ingress_class_name: str | None = None


class IngressRouteTCP(Resource, frozen=True, kw_only=True):
    metadata: ClassedMetadata
    spec: IngressRouteTCPSpec = IngressRouteTCPSpec()

    @property
    def class_value(self) -> str:
        """The class this object asks for."""
        return class_of(self.spec.ingress_class_name, self.metadata)


class RouteUDP(Resource, frozen=True, kw_only=True):
    services: list[ServiceUDP] = []


class IngressRouteUDPSpec(Resource, frozen=True, kw_only=True):
    routes: list[RouteUDP] = []
    entry_points: list[str] = []
    ingress_class_name: str | None = None


class IngressRouteUDP(Resource, frozen=True, kw_only=True):
    metadata: ClassedMetadata
    spec: IngressRouteUDPSpec = IngressRouteUDPSpec()

    @property
    def class_value(self) -> str:
        """The class this object asks for."""
        return class_of(self.spec.ingress_class_name, self.metadata)
