"""The one table of kinds that are watched: where the API serves each and how it is decoded.

Informers, manifests and the store all read it, so a kind is added in one line. `essential` kinds hold back
the first publication when they cannot be listed: without Services or EndpointSlices every route would vanish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from provider.resources import core, traefik

TRAEFIK_GROUP: Final = "traefik.io"


class ObjectKey(NamedTuple):
    """Identity of an object; `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Kind:
    """`group` is empty for the core API."""

    name: str
    group: str
    version: str
    plural: str
    type: Any
    namespaced: bool = True
    essential: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        """A Traefik custom resource: needs its CRD installed and obeys the label selector."""
        return self.group == TRAEFIK_GROUP

    def path(self, namespace: str = "") -> str:
        """Path of the collection on the API server."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


INGRESS_ROUTE: Final = Kind("IngressRoute", TRAEFIK_GROUP, "v1alpha1", "ingressroutes", traefik.IngressRoute)
SERVICE: Final = Kind("Service", "", "v1", "services", core.Service, essential=True)
ENDPOINT_SLICE: Final = Kind(
    "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", core.EndpointSlice, essential=True
)
NODE: Final = Kind("Node", "", "v1", "nodes", core.Node, namespaced=False)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in (INGRESS_ROUTE, SERVICE, ENDPOINT_SLICE, NODE)}

NOT_YET: Final = frozenset(
    (
        "IngressRouteTCP",
        "IngressRouteUDP",
        "Middleware",
        "MiddlewareTCP",
        "TraefikService",
        "TLSOption",
        "TLSStore",
        "ServersTransport",
        "ServersTransportTCP",
    )
)
"""Kinds of `traefik.io/v1alpha1` that exist there and are not translated here."""
