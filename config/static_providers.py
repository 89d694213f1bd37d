"""Providers: where routing configuration comes from."""

from __future__ import annotations

from typing import Annotated

from config.static_shape import Duration, Options, says


class KubernetesCRD(Options, frozen=True, kw_only=True):
    """Traefik's custom resources, watched in a cluster."""

    endpoint: Annotated[str, says("URL of the API server; in a cluster it replaces only the address.")] = ""
    token: Annotated[str, says("Bearer token, or a path to a file with it; outside a cluster only.")] = ""
    cert_auth_file_path: Annotated[str, says("CA file for the API server; outside a cluster only.")] = ""
    namespaces: Annotated[list[str], says("Namespaces to watch; empty watches the whole cluster.")] = []
    label_selector: Annotated[str, says("Kubernetes label selector that the custom resources must match.")] = ""
    ingress_class: Annotated[
        str, says("Value of kubernetes.io/ingress.class to serve; empty: none, empty or traefik.")
    ] = ""
    throttle_duration_seconds: Annotated[Duration, says("Shortest pause between two builds of this provider.")] = (
        0.0
    )
    allow_empty_services: Annotated[
        bool, says("Serve 503 for a service without ready endpoints instead of dropping its route.")
    ] = False
    allow_cross_namespace: Annotated[bool, says("Let resources refer to resources of other namespaces.")] = False
    allow_external_name_services: Annotated[bool, says("Let routes use Services of type ExternalName.")] = False
    native_lb_by_default: Annotated[
        bool, says("Send to the Service's cluster address instead of its pods unless a route says otherwise.")
    ] = False
    disable_cluster_scope_resources: Annotated[
        bool, says("Never list cluster-wide objects (nodes), for rights limited to namespaces.")
    ] = False
    # None and [] differ: everybody may refer to other providers' objects, nobody may.
    cross_provider_namespaces: Annotated[
        list[str] | None,
        says("Namespaces whose resources may write name@provider; unset allows all, empty none."),
    ] = None


class Manifests(Options, frozen=True, kw_only=True):
    """The same Kubernetes objects from YAML files, watched for changes. An addition of Pointsman."""

    directory: Annotated[str, says("Directory of Kubernetes manifests (YAML) to serve and watch.")] = ""


class Providers(Options, frozen=True, kw_only=True):
    providers_throttle_duration_seconds: Annotated[
        Duration, says("Shortest pause between two configurations taken from one provider; the newest wins.")
    ] = 2.0
    kubernetes_crd: Annotated[
        KubernetesCRD | None, says("Serve Traefik's custom resources from a Kubernetes cluster.")
    ] = None
    manifests: Annotated[Manifests | None, says("Serve Kubernetes manifests from a directory.")] = None


__all__ = ["KubernetesCRD", "Manifests", "Providers"]
