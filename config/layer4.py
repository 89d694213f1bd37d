"""TCP and UDP parts of the dynamic configuration: routers, services, middlewares and transports.

The structs follow those of HTTP where Traefik's do. What only files can say (TCP health checks) is left out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from config.http import Spiffe, WeightedEntry
from config.shape import Shape
from config.tls import Certificate, Domain


class TCPRouterTLS(Shape, frozen=True, kw_only=True):
    """Present, even empty: connections are TLS. With `passthrough` the server ends it, else we do."""

    passthrough: bool
    options: str = ""
    cert_resolver: str = ""
    domains: list[Domain] = []


class TCPRouter(Shape, frozen=True, kw_only=True):
    """One rule and where it leads. References without `@` stay in the router's own provider."""

    entry_points: list[str] = []
    middlewares: list[str] = []
    service: str = ""
    rule: str = ""
    rule_syntax: str = ""
    priority: int = 0
    tls: TCPRouterTLS | None = None


class TCPServer(Shape, frozen=True, kw_only=True):
    """`address` is `host:port`; `tls`: dialled with TLS."""

    address: str = ""
    tls: bool = False


class ProxyProtocol(Shape, frozen=True, kw_only=True):
    version: int = 0


PROXY_PROTOCOL_DEFAULTS: Final = ProxyProtocol(version=2)


class TCPLoadBalancer(Shape, frozen=True, kw_only=True):
    """`proxy_protocol` and `termination_delay` (ms) are deprecated and count only without a transport."""

    servers: list[TCPServer] = []
    servers_transport: str = ""
    proxy_protocol: ProxyProtocol | None = None
    termination_delay: int | None = None


class WeightedServices(Shape, frozen=True, kw_only=True):
    services: list[WeightedEntry] = []


class TCPService(Shape, frozen=True, kw_only=True):
    """Exactly one of the members is set."""

    load_balancer: TCPLoadBalancer | None = None
    weighted: WeightedServices | None = None


class InFlightConn(Shape, frozen=True, kw_only=True):
    """At most `amount` connections of one client address at a time."""

    amount: int = 0


class TCPIPAllowList(Shape, frozen=True, kw_only=True):
    source_range: list[str] = []


class TCPMiddleware(Shape, frozen=True, kw_only=True):
    """Of several members one counts: ipAllowList before ipWhiteList before inFlightConn."""

    in_flight_conn: InFlightConn | None = None
    ip_white_list: TCPIPAllowList | None = None
    ip_allow_list: TCPIPAllowList | None = None


class TLSClientConfig(Shape, frozen=True, kw_only=True):
    """TLS towards servers that ask for it. `root_cas` are PEM texts, `certificates` our own."""

    server_name: str = ""
    insecure_skip_verify: bool = False
    root_cas: list[str] = msgspec.field(default_factory=list, name="rootCAs")
    certificates: list[Certificate] = []
    peer_cert_uri: str = msgspec.field(default="", name="peerCertURI")
    spiffe: Spiffe | None = None


class TCPServersTransport(Shape, frozen=True, kw_only=True):
    """How TCP servers are dialled. Durations are Go text; empty means zero."""

    dial_keep_alive: str = ""
    dial_timeout: str = ""
    proxy_protocol: ProxyProtocol | None = None
    termination_delay: str = ""
    tls: TLSClientConfig | None = None


TCP_SERVERS_TRANSPORT_DEFAULTS: Final = TCPServersTransport(
    dial_keep_alive="15s", dial_timeout="30s", termination_delay="100ms"
)


class UDPRouter(Shape, frozen=True, kw_only=True):
    """No rule: of several routers on one entry point the last by qualified name serves it."""

    entry_points: list[str] = []
    service: str = ""


class UDPServer(Shape, frozen=True, kw_only=True):
    """`address` is `host:port`."""

    address: str = ""


class UDPLoadBalancer(Shape, frozen=True, kw_only=True):
    servers: list[UDPServer] = []


class UDPService(Shape, frozen=True, kw_only=True):
    """Exactly one of the members is set."""

    load_balancer: UDPLoadBalancer | None = None
    weighted: WeightedServices | None = None


class TCPConfiguration(Shape, frozen=True, kw_only=True):
    """Maps are keyed as those of HTTP: by bare name within a provider, by qualified name once published."""

    routers: dict[str, TCPRouter] = {}
    services: dict[str, TCPService] = {}
    middlewares: dict[str, TCPMiddleware] = {}
    servers_transports: dict[str, TCPServersTransport] = {}


class UDPConfiguration(Shape, frozen=True, kw_only=True):
    routers: dict[str, UDPRouter] = {}
    services: dict[str, UDPService] = {}
