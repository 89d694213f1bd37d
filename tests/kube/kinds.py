"""The resource kinds the server knows, as one table, and the registry of those it serves right now.

A kind can be taken away and brought back while clients are connected; that is what a missing custom
resource definition looks like to them. What differs between kinds (scope, status subresource, generation,
merge keys of lists, selectable fields) is a column here, never a condition elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .errors import Json

_NO_KEYS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One resource kind in one version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False
    """Has a `/status` subresource: writes to the object ignore status, writes to status only that."""
    status_on_create: bool = False
    """A status in the first write is kept, as kubelets need it for their nodes."""
    generation: bool = True
    """`metadata.generation` is kept; the older core kinds do not have it."""
    custom: bool = False
    """Defined by a CRD: list items carry their kind, and no strategic merge patch."""
    unconditional_update: bool = True
    """PUT without a resourceVersion overwrites; otherwise it is refused."""
    short_names: tuple[str, ...] = ()
    merge_keys: Mapping[str, str] = field(default_factory=lambda: _NO_KEYS)
    """For strategic merge patches: name of a list field -> the key its items are told apart by."""
    fields: tuple[str, ...] = ()
    """Selectable fields besides metadata.name and metadata.namespace."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`plural.group`, as error messages and CRD names spell it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"


def _traefik(plural: str, kind: str) -> Kind:
    return Kind("traefik.io", "v1alpha1", plural, kind, custom=True, unconditional_update=False)


TRAEFIK_KINDS = (
    _traefik("ingressroutes", "IngressRoute"),
    _traefik("ingressroutetcps", "IngressRouteTCP"),
    _traefik("ingressrouteudps", "IngressRouteUDP"),
    _traefik("middlewares", "Middleware"),
    _traefik("middlewaretcps", "MiddlewareTCP"),
    _traefik("traefikservices", "TraefikService"),
    _traefik("tlsoptions", "TLSOption"),
    _traefik("tlsstores", "TLSStore"),
    _traefik("serverstransports", "ServersTransport"),
    _traefik("serverstransporttcps", "ServersTransportTCP"),
)

CORE_KINDS = (
    Kind(
        "", "v1", "namespaces", "Namespace", namespaced=False, status=True, generation=False,
        short_names=("ns",), fields=("status.phase",),
    ),
    Kind(
        "", "v1", "services", "Service", status=True, generation=False, short_names=("svc",),
        merge_keys={"ports": "port", "conditions": "type"}, fields=("spec.type", "spec.clusterIP"),
    ),
    Kind("", "v1", "secrets", "Secret", generation=False, fields=("type",)),
    Kind("", "v1", "configmaps", "ConfigMap", generation=False, short_names=("cm",)),
    Kind(
        "", "v1", "nodes", "Node", namespaced=False, status=True, status_on_create=True, generation=False,
        short_names=("no",),
        merge_keys={"conditions": "type", "addresses": "type", "taints": "key"},
        fields=("spec.unschedulable",),
    ),
    Kind(
        "", "v1", "events", "Event", generation=False, short_names=("ev",),
        fields=(
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "reason", "type", "source",
        ),
    ),
    Kind(
        "", "v1", "pods", "Pod", status=True, generation=False, short_names=("po",),
        merge_keys={
            "containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
            "ports": "containerPort", "conditions": "type", "imagePullSecrets": "name",
        },
        fields=("spec.nodeName", "status.phase", "status.podIP"),
    ),
    Kind("", "v1", "endpoints", "Endpoints", generation=False, short_names=("ep",)),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Kind("networking.k8s.io", "v1", "ingresses", "Ingress", status=True, short_names=("ing",)),
    Kind("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False),
    Kind(
        "coordination.k8s.io", "v1", "leases", "Lease", generation=False, unconditional_update=False,
    ),
    Kind(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
        namespaced=False, status=True, unconditional_update=False, short_names=("crd", "crds"),
    ),
)  # fmt: skip

OPTIONAL_KINDS = (
    Kind(
        "gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant",
        custom=True, unconditional_update=False, short_names=("refgrant",),
    ),
)  # fmt: skip


BUILT_IN_GROUPS = frozenset(kind.group for kind in CORE_KINDS)


class Registry:
    """The kinds served now. Callers hold the store's lock."""

    def __init__(self, served: Iterable[Kind], known: Iterable[Kind]) -> None:
        self._served = {(kind.group, kind.plural): kind for kind in served}
        self._known = {**{(kind.group, kind.plural): kind for kind in known}, **self._served}

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._served.values())

    def lookup(self, group: str, version: str, plural: str) -> Kind | None:
        kind = self._served.get((group, plural))
        return kind if kind is not None and kind.version == version else None

    def serves(self, kind: Kind) -> bool:
        return self._served.get((kind.group, kind.plural)) is kind

    def find(self, name: str) -> Kind:
        """A known kind, served or not, by kind (`IngressRoute`), plural, or `plural.group`."""
        for kind in self._known.values():
            if name in (kind.kind, kind.plural, kind.resource):
                return kind
        raise KeyError(f"no resource kind is called {name!r}")

    def find_object(self, document: Json) -> Kind:
        """The served kind an object belongs to, by its apiVersion and kind."""
        wanted = document.get("apiVersion"), document.get("kind")
        for kind in self._served.values():
            if (kind.api_version, kind.kind) == wanted:
                return kind
        raise KeyError(f"no served resource kind has apiVersion {wanted[0]!r} and kind {wanted[1]!r}")

    def add(self, kind: Kind) -> None:
        self._known[kind.group, kind.plural] = kind
        self._served[kind.group, kind.plural] = kind

    def remove(self, kind: Kind) -> None:
        self._served.pop((kind.group, kind.plural), None)


def kind_of_definition(definition: Json) -> Kind:
    """The kind that a CustomResourceDefinition object introduces."""
    spec = definition["spec"]
    names = spec["names"]
    version = next((one for one in spec["versions"] if one.get("storage")), spec["versions"][0])
    return Kind(
        spec["group"],
        version["name"],
        names["plural"],
        names["kind"],
        namespaced=spec.get("scope", "Namespaced") == "Namespaced",
        status="status" in (version.get("subresources") or {}),
        custom=True,
        unconditional_update=False,
        short_names=tuple(names.get("shortNames") or ()),
    )
