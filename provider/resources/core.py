"""Built-in Kubernetes objects, typed, with only the fields that translation reads.

Unknown fields are skipped while decoding, so `managedFields`, labels and status never take memory, and two
versions of an object compare equal exactly when nothing we read has changed. Lists that Go marshals as
`null` accept it here.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

ANNOTATION_PREFIX: Final = "traefik.ingress.kubernetes.io/"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Go's int: what is larger was never accepted by an API server and does not fit a generation."""


class Resource(msgspec.Struct, rename="camel", kw_only=True, frozen=True, omit_defaults=True):
    """Base of everything that comes from the API server or from a manifest: the API's camelCase names."""


class Metadata(Resource, frozen=True, kw_only=True):
    """`generation` counts what was written by users, not what controllers report; 0 where a kind has none.

    `creation_timestamp` sorts as text; what did not come from a cluster has none, and counts as the oldest.
    """

    namespace: str = ""
    name: str = ""
    generation: Int64 = 0
    creation_timestamp: str = ""


class AnnotatedMetadata(Metadata, frozen=True, kw_only=True):
    """`annotations` holds the class and those that begin with ANNOTATION_PREFIX.

    The others are dropped: one of them is kubectl's copy of the whole object.
    """

    annotations: dict[str, str] = {}

    def __post_init__(self) -> None:
        ours = {
            name: text
            for name, text in self.annotations.items()
            if name.startswith(ANNOTATION_PREFIX) or name == CLASS_ANNOTATION
        }
        if len(ours) != len(self.annotations):
            msgspec.structs.force_setattr(self, "annotations", ours)


class LoadBalancerPort(Resource, frozen=True, kw_only=True):
    port: Int64 = 0
    protocol: str = ""
    error: str = ""


class LoadBalancerAddress(Resource, frozen=True, kw_only=True):
    """One place where a Service or an Ingress can be reached from outside."""

    ip: str = ""
    hostname: str = ""
    ports: list[LoadBalancerPort] = []


class LoadBalancerStatus(Resource, frozen=True, kw_only=True):
    ingress: list[LoadBalancerAddress] = []


class AddressStatus(Resource, frozen=True, kw_only=True):
    """`status` of a Service or an Ingress."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class ServicePort(Resource, frozen=True, kw_only=True):
    name: str = ""
    port: Int64 = 0
    node_port: Int64 = 0
    protocol: str = "TCP"


class ServiceSpec(Resource, frozen=True, kw_only=True):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    external_name: str = ""
    ports: list[ServicePort] | None = None
    external_ips: list[str] = msgspec.field(default_factory=list, name="externalIPs")


class Service(Resource, frozen=True, kw_only=True):
    metadata: AnnotatedMetadata
    spec: ServiceSpec = ServiceSpec()
    status: AddressStatus = AddressStatus()


class SliceLabels(Resource, frozen=True, kw_only=True):
    service_name: str = msgspec.field(default="", name="kubernetes.io/service-name")


class SliceMetadata(Resource, frozen=True, kw_only=True):
    namespace: str = ""
    name: str = ""
    creation_timestamp: str | None = None
    labels: SliceLabels | None = None


class SlicePort(Resource, frozen=True, kw_only=True):
    """A null name matches no Service port; a null or zero number is no port."""

    name: str | None = None
    port: Int64 | None = None


class EndpointConditions(Resource, frozen=True, kw_only=True):
    """None means unknown, which is read as serving and not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Resource, frozen=True, kw_only=True):
    addresses: list[str] | None = None
    conditions: EndpointConditions = EndpointConditions()


class EndpointSlice(Resource, frozen=True, kw_only=True):
    metadata: SliceMetadata
    ports: list[SlicePort] | None = None
    endpoints: list[Endpoint] | None = None

    @property
    def service_name(self) -> str:
        """Name of the Service that this slice belongs to, empty if it is labelled for none."""
        return self.metadata.labels.service_name if self.metadata.labels else ""


class Secret(Resource, frozen=True, kw_only=True):
    """`data` is decoded. Never shown: a finding or a log line names the keys at most."""

    metadata: Metadata
    type: str = "Opaque"
    data: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Secret {self.metadata.namespace}/{self.metadata.name}: {', '.join(self.data) or 'no keys'}>"


class ConfigMap(Resource, frozen=True, kw_only=True):
    """`binaryData` is not read."""

    metadata: Metadata
    data: dict[str, str] = {}


class Unread(Resource, frozen=True, kw_only=True):
    """Stands for a Secret or ConfigMap whose content nobody has asked for: it exists, and that is all we keep."""

    metadata: Metadata


class NodeAddress(Resource, frozen=True, kw_only=True):
    type: str = ""
    address: str = ""


class NodeStatus(Resource, frozen=True, kw_only=True):
    addresses: list[NodeAddress] | None = None


class Node(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    status: NodeStatus = NodeStatus()
