"""HTTP part of the dynamic configuration: the structs that travel from the provider to every worker.

Field names on the wire are Traefik's, so the same structs print `/api/rawdata`. New fields come last and have
defaults; meanings never change in place, the layout number of a generation does.
"""

from __future__ import annotations

from typing import Final

import msgspec

from config.middlewares import Middleware
from config.shape import Shape as Shape  # noqa: PLC0414 - others have it from here
from config.tls import Certificate
from config.tls import Domain as Domain  # noqa: PLC0414


class RouterTLS(Shape, frozen=True, kw_only=True):
    """Present, even empty: the router serves TLS connections only."""

    options: str = ""
    cert_resolver: str = ""
    domains: list[Domain] = []


class IngressSource(Shape, frozen=True, kw_only=True):
    """The Kubernetes object that a router was made from."""

    namespace: str = ""
    name: str = ""
    kind: str = ""


class RouterMetadata(Shape, frozen=True, kw_only=True):
    ingress: IngressSource | None = None


class Observability(Shape, frozen=True, kw_only=True):
    """None means: take the entry point's value."""

    access_logs: bool | None = None
    metrics: bool | None = None
    tracing: bool | None = None
    trace_verbosity: str = ""
    metadata: RouterMetadata | None = None


class Router(Shape, frozen=True, kw_only=True):
    """One rule and where it leads. References without `@` stay in the router's own provider."""

    entry_points: list[str] = []
    middlewares: list[str] = []
    service: str = ""
    rule: str = ""
    parent_refs: list[str] = []
    rule_syntax: str = ""
    priority: int = 0
    tls: RouterTLS | None = None
    observability: Observability | None = None


class Server(Shape, frozen=True, kw_only=True):
    """One upstream server. `fenced`: terminating, serves only the clients that already stick to it."""

    url: str = ""
    weight: int | None = None
    preserve_path: bool = False
    fenced: bool = False


class Cookie(Shape, frozen=True, kw_only=True):
    name: str = ""
    secure: bool = False
    http_only: bool = False
    same_site: str = ""
    max_age: int = 0
    path: str | None = None
    domain: str = ""


class Sticky(Shape, frozen=True, kw_only=True):
    cookie: Cookie | None = None


class ResponseForwarding(Shape, frozen=True, kw_only=True):
    flush_interval: str = ""


class HealthCheck(Shape, frozen=True, kw_only=True):
    """Active health check; durations are Go text."""

    scheme: str = ""
    mode: str = ""
    path: str = ""
    method: str = ""
    status: int = 0
    port: int = 0
    interval: str = ""
    unhealthy_interval: str = ""
    timeout: str = ""
    hostname: str = ""
    follow_redirects: bool | None = None
    headers: dict[str, str] = {}


class PassiveHealthCheck(Shape, frozen=True, kw_only=True):
    failure_window: str = ""
    max_failed_attempts: int = 0


class LoadBalancer(Shape, frozen=True, kw_only=True):
    """A pool of servers. In a generation `servers` travels in the `endpoints` section, not here."""

    pass_host_header: bool
    sticky: Sticky | None = None
    servers: list[Server] = []
    strategy: str = ""
    health_check: HealthCheck | None = None
    passive_health_check: PassiveHealthCheck | None = None
    response_forwarding: ResponseForwarding | None = None
    servers_transport: str = ""


class WeightedEntry(Shape, frozen=True, kw_only=True):
    name: str = ""
    weight: int | None = None


class Weighted(Shape, frozen=True, kw_only=True):
    services: list[WeightedEntry] = []
    sticky: Sticky | None = None


class HighestRandomWeight(Shape, frozen=True, kw_only=True):
    """Each client address keeps to one child; a child's share follows its weight."""

    services: list[WeightedEntry] = []


class Mirror(Shape, frozen=True, kw_only=True):
    """`percent` of the requests, 0 to 100, are repeated to the service `name`."""

    name: str = ""
    percent: int = 0


class Mirroring(Shape, frozen=True, kw_only=True):
    """`mirror_body` None means true; `max_body_size` is in bytes, None and -1 mean no limit."""

    service: str = ""
    mirror_body: bool | None = None
    max_body_size: int | None = None
    mirrors: list[Mirror] = []


class FailoverErrors(Shape, frozen=True, kw_only=True):
    """Codes and ranges (`502-504`) that send a request to the fallback.

    `max_request_body_bytes`: None and -1 mean no limit; a larger body is refused.
    """

    max_request_body_bytes: int | None = None
    status: list[str] = []


class Failover(Shape, frozen=True, kw_only=True):
    service: str = ""
    fallback: str = ""
    errors: FailoverErrors | None = None


class KubernetesSource(Shape, frozen=True, kw_only=True):
    """The Kubernetes Service behind a load balancer; `port` as the reference spells it: number or name."""

    namespace: str = ""
    name: str = ""
    port: str = ""


class ServiceMetadata(Shape, frozen=True, kw_only=True):
    kubernetes: KubernetesSource | None = None


class ServiceObservability(Shape, frozen=True, kw_only=True):
    metadata: ServiceMetadata | None = None


class Service(Shape, frozen=True, kw_only=True):
    """Exactly one of the kinds is set; `middlewares` and `observability` stand beside it.

    What composed services can have in files only (`healthCheck`) is left out.
    """

    load_balancer: LoadBalancer | None = None
    weighted: Weighted | None = None
    middlewares: list[str] = []
    mirroring: Mirroring | None = None
    highest_random_weight: HighestRandomWeight | None = None
    failover: Failover | None = None
    observability: ServiceObservability | None = None


class ForwardingTimeouts(Shape, frozen=True, kw_only=True):
    """Go duration text; empty means zero, that is no limit."""

    dial_timeout: str = ""
    response_header_timeout: str = ""
    idle_conn_timeout: str = ""
    read_idle_timeout: str = ""
    ping_timeout: str = ""


FORWARDING_TIMEOUTS_DEFAULTS: Final = ForwardingTimeouts(
    dial_timeout="30s", idle_conn_timeout="1m30s", ping_timeout="15s"
)


class Spiffe(Shape, frozen=True, kw_only=True):
    """Whom to accept as a SPIFFE peer; `ids` win over `trust_domain`, both empty accept any."""

    ids: list[str] = []
    trust_domain: str = ""


class ServersTransport(Shape, frozen=True, kw_only=True):
    """How servers are spoken to. `root_cas` are PEM texts and replace the system's, `certificates` are ours."""

    server_name: str = ""
    insecure_skip_verify: bool = False
    root_cas: list[str] = msgspec.field(default_factory=list, name="rootCAs")
    certificates: list[Certificate] = []
    cipher_suites: list[str] = []
    min_version: str = ""
    max_version: str = ""
    max_idle_conns_per_host: int = 0
    forwarding_timeouts: ForwardingTimeouts | None = None
    disable_http2: bool = msgspec.field(default=False, name="disableHTTP2")
    peer_cert_uri: str = msgspec.field(default="", name="peerCertURI")
    spiffe: Spiffe | None = None


class HTTPConfiguration(Shape, frozen=True, kw_only=True):
    """Maps are keyed by bare name within a provider, by qualified name (`name@provider`) once published."""

    routers: dict[str, Router] = {}
    services: dict[str, Service] = {}
    middlewares: dict[str, Middleware] = {}
    servers_transports: dict[str, ServersTransport] = {}
