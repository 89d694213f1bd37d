"""Providers: where routing configuration comes from."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from config.static_shape import Duration, Options, says


class KubernetesOptions(Options, frozen=True, kw_only=True):
    """What both Kubernetes providers have: which cluster, which objects of it, what these may refer to."""

    endpoint: Annotated[str, says("URL of the API server; in a cluster it replaces only the address.")] = ""
    token: Annotated[str, says("Bearer token, or a path to a file with it; outside a cluster only.")] = ""
    cert_auth_file_path: Annotated[str, says("CA file for the API server; outside a cluster only.")] = ""
    namespaces: Annotated[list[str], says("Namespaces to watch; empty watches the whole cluster.")] = []
    label_selector: Annotated[
        str, says("Kubernetes label selector that the provider's own resources must match.")
    ] = ""
    ingress_class: Annotated[
        str, says("Value of kubernetes.io/ingress.class to serve; empty: none, empty or traefik.")
    ] = ""
    throttle_duration_seconds: Annotated[Duration, says("Shortest pause between two builds of this provider.")] = (
        0.0
    )
    allow_empty_services: Annotated[
        bool, says("Serve 503 for a service without ready endpoints instead of dropping its route.")
    ] = False
    allow_external_name_services: Annotated[bool, says("Let routes use Services of type ExternalName.")] = False
    native_lb_by_default: Annotated[
        bool, says("Send to the Service's cluster address instead of its pods unless a route says otherwise.")
    ] = False
    disable_cluster_scope_resources: Annotated[
        bool, says("Never list cluster-wide objects (nodes, classes), for rights limited to namespaces.")
    ] = False
    # None and [] differ: everybody may refer to other providers' objects, nobody may.
    cross_provider_namespaces: Annotated[
        list[str] | None,
        says("Namespaces whose resources may write name@provider; unset allows all, empty none."),
    ] = None


class Report(Options, frozen=True, kw_only=True):
    """What the cluster is told about its objects, by the replica that holds a Lease. An addition of Pointsman."""

    status: Annotated[
        bool, says("Write the condition Accepted into the status of custom resources, where we may.")
    ] = True
    events: Annotated[bool, says("Write Kubernetes Events about objects with errors, where we may.")] = True
    lease_name: Annotated[str, says("Name of the Lease; replicas that share one report once.")] = "pointsman"
    lease_namespace: Annotated[
        str, says("Namespace of the Lease; empty: the one of POD_NAMESPACE or of the pod, else default.")
    ] = ""
    lease_duration_seconds: Annotated[
        Duration, says("Time after which another replica takes over from one that has died; 3s at least.")
    ] = 15.0


class KubernetesCRD(KubernetesOptions, frozen=True, kw_only=True):
    """Traefik's custom resources, watched in a cluster."""

    allow_cross_namespace: Annotated[bool, says("Let resources refer to resources of other namespaces.")] = False
    default_tls_resources_namespace: Annotated[
        str,
        says("Only namespace whose TLSOption and TLSStore default count; empty: any, if alone."),
    ] = ""
    safe_naming: Annotated[
        bool, says("Name objects so that no two can come to one name: namespace_name, routes counted.")
    ] = False
    report: Report = msgspec.field(default_factory=Report)


class IngressEndpoint(Options, frozen=True, kw_only=True):
    """What is written into the status of every Ingress that is served."""

    ip: Annotated[str, says("Address to write into the status.")] = ""
    hostname: Annotated[str, says("Name to write into the status.")] = ""
    published_service: Annotated[
        str, says("Service (namespace/name) whose addresses are copied into the status; wins over the others.")
    ] = ""


class KubernetesIngress(KubernetesOptions, frozen=True, kw_only=True):
    """Ingresses of networking.k8s.io, watched in a cluster. The provider's name is `kubernetes`."""

    ingress_endpoint: Annotated[
        IngressEndpoint | None, says("Write our address into the status of Ingresses.")
    ] = None
    disable_ingress_class_lookup: Annotated[
        bool, says("Never list IngressClasses: deprecated, see disableClusterScopeResources.")
    ] = False
    strict_prefix_matching: Annotated[
        bool, says("Let the path type Prefix match whole segments only, as Kubernetes documents it.")
    ] = False
    report_node_internal_ips: Annotated[
        bool, says("Write the internal addresses of all nodes into the status of Ingresses.")
    ] = False


class Manifests(Options, frozen=True, kw_only=True):
    """The same Kubernetes objects from YAML files, watched for changes. An addition of Pointsman."""

    directory: Annotated[str, says("Directory of Kubernetes manifests (YAML) to serve and watch.")] = ""


PRECEDENCE: Final = (
    "kubernetesgateway",
    "kubernetescrd",
    "kubernetes",
    "kubernetesingressnginx",
    "swarm",
    "docker",
    "file",
    "redis",
    "knative",
    "consul",
    "consulcatalog",
    "nomad",
    "etcd",
    "ecs",
    "http",
    "zookeeper",
    "rest",
)
"""Names of all providers of Traefik, in the order in which their routers win by default."""


class Providers(Options, frozen=True, kw_only=True):
    providers_throttle_duration_seconds: Annotated[
        Duration, says("Shortest pause between two configurations taken from one provider; the newest wins.")
    ] = 2.0
    precedence: Annotated[
        list[str], says("Whose routers win among equal priorities, first to last; others come after them.")
    ] = msgspec.field(default_factory=lambda: list(PRECEDENCE))
    kubernetes_crd: Annotated[
        KubernetesCRD | None, says("Serve Traefik's custom resources from a Kubernetes cluster.")
    ] = None
    kubernetes_ingress: Annotated[KubernetesIngress | None, says("Serve Ingresses from a Kubernetes cluster.")] = (
        None
    )
    manifests: Annotated[Manifests | None, says("Serve Kubernetes manifests from a directory.")] = None


__all__ = [
    "IngressEndpoint",
    "KubernetesCRD",
    "KubernetesIngress",
    "KubernetesOptions",
    "Manifests",
    "Providers",
    "Report",
]
