"""Built-in Kubernetes objects, typed, with only the fields that translation reads.

Unknown fields are skipped while decoding, so `managedFields`, labels and status never take memory, and two
versions of an object compare equal exactly when nothing we read has changed. Lists that Go marshals as
`null` accept it here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Go's int: what is larger was never accepted by an API server and does not fit a generation."""


class Resource(msgspec.Struct, rename="camel", kw_only=True, frozen=True, omit_defaults=True):
    """Base of everything that comes from the API server or from a manifest: the API's camelCase names."""


class Metadata(Resource, frozen=True, kw_only=True):
    namespace: str = ""
    name: str = ""


class ServicePort(Resource, frozen=True, kw_only=True):
    name: str = ""
    port: Int64 = 0
    node_port: Int64 = 0


class ServiceSpec(Resource, frozen=True, kw_only=True):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    external_name: str = ""
    ports: list[ServicePort] | None = None


class Service(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


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


class NodeAddress(Resource, frozen=True, kw_only=True):
    type: str = ""
    address: str = ""


class NodeStatus(Resource, frozen=True, kw_only=True):
    addresses: list[NodeAddress] | None = None


class Node(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    status: NodeStatus = NodeStatus()
