"""The one table of kinds that are watched: where the API serves each and how it is decoded.

Informers, manifests and the store all read it, so a kind is added in one line. New ones go to the end: their
places are the bits of `Head.KINDS_LISTED`, which a binary upgrade hands to the next release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from provider.resources import (
    core,
    gateway,
    ingress,
    traefik,
    traefik_layer4,
    traefik_middlewares,
    traefik_services,
    traefik_tls,
    traefik_transports,
)

TRAEFIK_GROUP: Final = "traefik.io"
NETWORKING_GROUP: Final = "networking.k8s.io"
GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
_PROVIDERS: Final = {
    TRAEFIK_GROUP: PROVIDER_CRD,
    NETWORKING_GROUP: PROVIDER_INGRESS,
    GATEWAY_GROUP: PROVIDER_CRD,
}


class ObjectKey(NamedTuple):
    """Identity of an object; `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Kind:
    """`group` is empty for the core API.

    `essential`: holds back the first publication when it cannot be listed, because without Services or
    EndpointSlices every route would vanish. `is_optional`: a cluster without its CRD simply has no such objects.
    `on_demand`: watched only once a translation has asked for one. `is_sparse`: of objects that nobody reads
    only the names are kept, so that unused Secrets are in nobody's memory. `selector`: a label selector of ours.
    `other_versions`: those of the API that serve as well where `version` is not served.
    """

    name: str
    group: str
    version: str
    plural: str
    type: Any
    namespaced: bool = True
    essential: bool = False
    is_optional: bool = False
    on_demand: bool = False
    is_sparse: bool = False
    selector: str = ""
    other_versions: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        """A Traefik custom resource: needs its CRD installed."""
        return self.group == TRAEFIK_GROUP

    @property
    def is_extra(self) -> bool:
        """A kind of another project: nobody misses it in a cluster that does not have it or does not show it."""
        return self.is_optional and not self.is_custom

    @property
    def provider(self) -> str:
        """The provider that alone has a use for the kind; empty for what all of them read."""
        return _PROVIDERS.get(self.group, "")

    @property
    def routes(self) -> bool:
        """Objects of the kind make configuration by themselves, and obey the label selector of their provider."""
        return self.is_custom or self.name == "Ingress"

    def path(self, namespace: str = "", version: str = "") -> str:
        """Path of the collection on the API server."""
        version = version or self.version
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


def _traefik(name: str, plural: str, type_: Any, *, is_optional: bool = True) -> Kind:
    return Kind(name, TRAEFIK_GROUP, "v1alpha1", plural, type_, is_optional=is_optional)


INGRESS_ROUTE: Final = _traefik("IngressRoute", "ingressroutes", traefik.IngressRoute, is_optional=False)
SERVICE: Final = Kind("Service", "", "v1", "services", core.Service, essential=True)
ENDPOINT_SLICE: Final = Kind(
    "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", core.EndpointSlice, essential=True
)
NODE: Final = Kind("Node", "", "v1", "nodes", core.Node, namespaced=False, on_demand=True)
SECRET: Final = Kind(
    "Secret", "", "v1", "secrets", core.Secret, on_demand=True, is_sparse=True, selector="owner!=helm"
)
CONFIG_MAP: Final = Kind("ConfigMap", "", "v1", "configmaps", core.ConfigMap, on_demand=True, is_sparse=True)
MIDDLEWARE: Final = _traefik("Middleware", "middlewares", traefik_middlewares.Middleware)
TRAEFIK_SERVICE: Final = _traefik("TraefikService", "traefikservices", traefik_services.TraefikService)
SERVERS_TRANSPORT: Final = _traefik("ServersTransport", "serverstransports", traefik_transports.ServersTransport)
TLS_OPTION: Final = _traefik("TLSOption", "tlsoptions", traefik_tls.TLSOption)
TLS_STORE: Final = _traefik("TLSStore", "tlsstores", traefik_tls.TLSStore)
INGRESS_ROUTE_TCP: Final = _traefik("IngressRouteTCP", "ingressroutetcps", traefik_layer4.IngressRouteTCP)
INGRESS_ROUTE_UDP: Final = _traefik("IngressRouteUDP", "ingressrouteudps", traefik_layer4.IngressRouteUDP)
MIDDLEWARE_TCP: Final = _traefik("MiddlewareTCP", "middlewaretcps", traefik_middlewares.MiddlewareTCP)
SERVERS_TRANSPORT_TCP: Final = _traefik(
    "ServersTransportTCP", "serverstransporttcps", traefik_transports.ServersTransportTCP
)
INGRESS: Final = Kind("Ingress", NETWORKING_GROUP, "v1", "ingresses", ingress.Ingress)
INGRESS_CLASS: Final = Kind(
    "IngressClass",
    NETWORKING_GROUP,
    "v1",
    "ingressclasses",
    ingress.IngressClass,
    namespaced=False,
    on_demand=True,
)
REFERENCE_GRANT: Final = Kind(
    "ReferenceGrant",
    GATEWAY_GROUP,
    "v1beta1",
    "referencegrants",
    gateway.ReferenceGrant,
    is_optional=True,
    on_demand=True,
    other_versions=("v1",),
)
"""On demand: only a reference into a foreign namespace, where such are not allowed, asks for grants."""

_ALL: Final = (
    INGRESS_ROUTE,
    SERVICE,
    ENDPOINT_SLICE,
    NODE,
    SECRET,
    CONFIG_MAP,
    MIDDLEWARE,
    TRAEFIK_SERVICE,
    SERVERS_TRANSPORT,
    TLS_OPTION,
    TLS_STORE,
    INGRESS_ROUTE_TCP,
    INGRESS_ROUTE_UDP,
    MIDDLEWARE_TCP,
    SERVERS_TRANSPORT_TCP,
    INGRESS,
    INGRESS_CLASS,
    REFERENCE_GRANT,
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
