"""HTTP part of the dynamic configuration: the structs that travel from the provider to every worker.

Field names on the wire are Traefik's, so the same structs print `/api/rawdata`. New fields come last and have
defaults; meanings never change in place, the layout number of a generation does.
"""

from __future__ import annotations

import msgspec


class Shape(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Base of all dynamic configuration: Traefik's camelCase, defaults left out, immutable once made."""


class Domain(Shape, frozen=True, kw_only=True):
    main: str = ""
    sans: list[str] = []


class RouterTLS(Shape, frozen=True, kw_only=True):
    """Present, even empty: the router serves TLS connections only."""

    options: str = ""
    cert_resolver: str = ""
    domains: list[Domain] = []


class Observability(Shape, frozen=True, kw_only=True):
    """None means: take the entry point's value."""

    access_logs: bool | None = None
    metrics: bool | None = None
    tracing: bool | None = None
    trace_verbosity: str = ""


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


class Service(Shape, frozen=True, kw_only=True):
    """Exactly one of the members is set."""

    load_balancer: LoadBalancer | None = None
    weighted: Weighted | None = None
    middlewares: list[str] = []


class HTTPConfiguration(Shape, frozen=True, kw_only=True):
    """Maps are keyed by bare name within a provider, by qualified name (`name@provider`) once published."""

    routers: dict[str, Router] = {}
    services: dict[str, Service] = {}
