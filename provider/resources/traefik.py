"""Custom resources of `traefik.io/v1alpha1`, typed, with the fields that translation reads.

The API server validates them against their CRD, but old CRDs and manifests on disk do not: every value here
may be nonsense, and translation answers it with a finding.
"""

from __future__ import annotations

import msgspec

from provider.resources.core import Int64, Resource


class ObjectReference(Resource, frozen=True, kw_only=True):
    """A name and, where it is not the holder's own, a namespace."""

    name: str = ""
    namespace: str = ""


class Cookie(Resource, frozen=True, kw_only=True):
    name: str = ""
    secure: bool = False
    http_only: bool = False
    same_site: str = ""
    max_age: Int64 = 0
    path: str | None = None
    domain: str = ""


class Sticky(Resource, frozen=True, kw_only=True):
    cookie: Cookie | None = None


class ResponseForwarding(Resource, frozen=True, kw_only=True):
    flush_interval: str = ""


class HealthCheck(Resource, frozen=True, kw_only=True):
    """Durations are int-or-string; an integer counts seconds."""

    scheme: str = ""
    mode: str = ""
    path: str = ""
    method: str = ""
    status: Int64 = 0
    port: Int64 = 0
    interval: Int64 | str | None = None
    unhealthy_interval: Int64 | str | None = None
    timeout: Int64 | str | None = None
    hostname: str = ""
    follow_redirects: bool | None = None
    headers: dict[str, str] = {}


class PassiveHealthCheck(Resource, frozen=True, kw_only=True):
    failure_window: Int64 | str | None = None
    max_failed_attempts: Int64 | None = None


class LoadBalancerSpec(Resource, frozen=True, kw_only=True):
    """A reference to a Kubernetes Service or a TraefikService and how to balance over it."""

    name: str = ""
    kind: str = ""
    namespace: str = ""
    port: Int64 | str = 0
    scheme: str = ""
    strategy: str = ""
    sticky: Sticky | None = None
    pass_host_header: bool | None = None
    response_forwarding: ResponseForwarding | None = None
    servers_transport: str = ""
    weight: Int64 | None = None
    native_lb: bool | None = msgspec.field(default=None, name="nativeLB")
    node_port_lb: bool = msgspec.field(default=False, name="nodePortLB")
    middlewares: list[ObjectReference] = []
    health_check: HealthCheck | None = None
    passive_health_check: PassiveHealthCheck | None = None


class Observability(Resource, frozen=True, kw_only=True):
    access_logs: bool | None = None
    metrics: bool | None = None
    tracing: bool | None = None
    trace_verbosity: str = ""


class Route(Resource, frozen=True, kw_only=True):
    match: str = ""
    kind: str = ""
    priority: Int64 = 0
    syntax: str = ""
    services: list[LoadBalancerSpec] = []
    middlewares: list[ObjectReference] = []
    observability: Observability | None = None


class Domain(Resource, frozen=True, kw_only=True):
    main: str = ""
    sans: list[str] = []


class TLS(Resource, frozen=True, kw_only=True):
    """`store` has no effect."""

    secret_name: str = ""
    options: ObjectReference | None = None
    cert_resolver: str = ""
    domains: list[Domain] = []
    store: ObjectReference | None = None


class IngressRouteSpec(Resource, frozen=True, kw_only=True):
    routes: list[Route] = []
    entry_points: list[str] = []
    tls: TLS | None = None
    parent_refs: list[ObjectReference] = []
    ingress_class_name: str | None = None


class ClassAnnotations(Resource, frozen=True, kw_only=True):
    ingress_class: str = msgspec.field(default="", name="kubernetes.io/ingress.class")


class ClassedMetadata(Resource, frozen=True, kw_only=True):
    namespace: str = ""
    name: str = ""
    annotations: ClassAnnotations | None = None
    generation: Int64 = 0
    creation_timestamp: str = ""


def class_of(name: str | None, metadata: ClassedMetadata) -> str:
    """The class an object asks for: the field where present (even empty), else the annotation."""
    if name is not None:
        return name
    return metadata.annotations.ingress_class if metadata.annotations else ""


class IngressRoute(Resource, frozen=True, kw_only=True):
    metadata: ClassedMetadata
    spec: IngressRouteSpec = IngressRouteSpec()

    @property
    def class_value(self) -> str:
        """The class this object asks for."""
        return class_of(self.spec.ingress_class_name, self.metadata)
