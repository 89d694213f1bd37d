"""Ingress and IngressClass of `networking.k8s.io/v1`, typed, with the fields that we read.

The status of an Ingress is read to know whether it says already what we would write.
"""

from __future__ import annotations

from typing import Final

from provider.resources.core import AddressStatus, AnnotatedMetadata, Int64, Metadata, Resource

CONTROLLER: Final = "traefik.io/ingress-controller"
"""`spec.controller` of the IngressClasses that are ours."""


class BackendPort(Resource, frozen=True, kw_only=True):
    """A number or a name."""

    name: str = ""
    number: Int64 = 0

    def __str__(self) -> str:
        return self.name or str(self.number)


class BackendService(Resource, frozen=True, kw_only=True):
    name: str = ""
    port: BackendPort = BackendPort()


class BackendResource(Resource, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""


class Backend(Resource, frozen=True, kw_only=True):
    """Exactly one of the two is set."""

    service: BackendService | None = None
    resource: BackendResource | None = None


class Path(Resource, frozen=True, kw_only=True):
    path: str = ""
    path_type: str = ""
    backend: Backend = Backend()


class Paths(Resource, frozen=True, kw_only=True):
    paths: list[Path] = []


class Rule(Resource, frozen=True, kw_only=True):
    """Without `http` a rule leads nowhere."""

    host: str = ""
    http: Paths | None = None


class TLS(Resource, frozen=True, kw_only=True):
    """`hosts` is not read: the certificate itself says for whom it is."""

    secret_name: str = ""


class IngressSpec(Resource, frozen=True, kw_only=True):
    ingress_class_name: str | None = None
    default_backend: Backend | None = None
    rules: list[Rule] = []
    tls: list[TLS] = []


class Ingress(Resource, frozen=True, kw_only=True):
    metadata: AnnotatedMetadata
    spec: IngressSpec = IngressSpec()
    status: AddressStatus = AddressStatus()


class IngressClassSpec(Resource, frozen=True, kw_only=True):
    controller: str = ""


class IngressClass(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: IngressClassSpec = IngressClassSpec()
