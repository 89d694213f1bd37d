"""Static configuration: what is read once at start. Entry points, providers, logs, ping, API, processes.

Attribute names are ours, option names (`entryPoints.web.address`) are Traefik's; static_shape maps them.
Everything here is a value: sources and derived values belong to static_load.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from config.static_entrypoint import (
    HTTP,
    TRAEFIK_ENTRY_POINT,
    Address,
    AddressError,
    EncodedCharacters,
    EntryPoint,
    ForwardedHeaders,
    LifeCycle,
    RespondingTimeouts,
    Transport,
    parse_address,
)
from config.static_observability import AccessLog, Metrics, Prometheus
from config.static_providers import KubernetesCRD, Manifests, Providers
from config.static_shape import SWITCH, Duration, Options, says


class API(Options, frozen=True, kw_only=True):
    insecure: Annotated[bool, says("Serve the API on entry point traefik, to whoever reaches it.")] = False
    dashboard: Annotated[bool, says("Accepted and without effect: there is no dashboard.")] = True
    debug: Annotated[bool, says("Serve diagnostic pages under /debug.")] = False
    base_path: Annotated[str, says("Prefix of the API's paths.")] = "/"
    disable_dashboard_ad: Annotated[bool, says("Shown by /api/version for Traefik's dashboard.")] = False
    dashboard_name: Annotated[str, says("Shown by /api/version for Traefik's dashboard.")] = ""


class Ping(Options, frozen=True, kw_only=True):
    entry_point: Annotated[str, says("Entry point that answers /ping.")] = TRAEFIK_ENTRY_POINT
    manual_routing: Annotated[bool, says("Make no router; an IngressRoute refers to ping@internal.")] = False
    terminating_status_code: Annotated[int, says("Status of /ping while a graceful stop is under way.")] = 503


class Log(Options, frozen=True, kw_only=True):
    level: Annotated[
        str,
        says("Least severity that is logged.", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "PANIC"),
    ] = "ERROR"
    format: Annotated[str, says("Form of a log line.", "common", "json")] = "common"
    no_color: Annotated[bool, says("Never colour lines of the common format.")] = False
    file_path: Annotated[str, says("File to log to instead of standard output.")] = ""


class Global(Options, frozen=True, kw_only=True):
    check_new_version: Annotated[
        bool, says("Accepted and without effect: Pointsman never calls out by itself.")
    ] = False
    send_anonymous_usage: Annotated[
        bool, says("Accepted and without effect: Pointsman never calls out by itself.")
    ] = False
    not_append_x_forwarded_for: Annotated[
        bool, says("Accepted and without effect, as in Traefik: it is an option of entry points.")
    ] = False


class Core(Options, frozen=True, kw_only=True):
    default_rule_syntax: Annotated[
        str, says("Rule syntax of routers that do not name one; v2 is deprecated.", "v2", "v3")
    ] = "v3"
    strict_tls_options: Annotated[
        bool, says("Disable routers whose TLS options conflict, instead of using the default option.")
    ] = False


class HostResolver(Options, frozen=True, kw_only=True):
    """CNAME flattening."""

    cname_flattening: Annotated[bool, says("Rules see what a request's host is an alias of in DNS, too.")] = False
    resolv_config: Annotated[str, says("File that names the DNS servers to ask.")] = "/etc/resolv.conf"
    resolv_depth: Annotated[int, says("So many aliases of aliases are followed.")] = 5


class ForwardingTimeouts(Options, frozen=True, kw_only=True):
    dial_timeout_seconds: Annotated[
        Duration, says("Longest time to connect to an upstream server; 0 is no limit.")
    ] = 30.0
    response_header_timeout_seconds: Annotated[
        Duration,
        says("Longest wait for an upstream's response head once the request is sent; 0: no limit."),
    ] = 0.0
    idle_conn_timeout_seconds: Annotated[
        Duration, says("How long an unused upstream connection is kept; 0 is no limit.")
    ] = 90.0


class ServersTransport(Options, frozen=True, kw_only=True):
    """The transport of services that name none (`default@internal`)."""

    insecure_skip_verify: Annotated[bool, says("Do not verify upstream servers' certificates.")] = False
    root_cas: Annotated[
        list[str],
        says("Authorities to trust instead of the system's: PEM files, or their contents."),
    ] = []
    max_idle_conns_per_host: Annotated[
        int, says("Unused connections kept to one upstream server; 0 means 2, negative keeps none.")
    ] = 200
    forwarding_timeouts: ForwardingTimeouts = msgspec.field(default_factory=ForwardingTimeouts)


class TCPServersTransportTLS(Options, frozen=True, kw_only=True):
    """TLS towards servers of TCP services that ask for it."""

    insecure_skip_verify: Annotated[
        bool, says("Do not verify TCP servers' certificates; without it they need a transport with a serverName.")
    ] = False
    root_cas: Annotated[
        list[str], says("Authorities to trust instead of the system's: PEM files, or their contents.")
    ] = []


class TCPServersTransport(Options, frozen=True, kw_only=True):
    """The transport of TCP services that name none (`default@internal`)."""

    dial_timeout_seconds: Annotated[Duration, says("Longest time to connect to a TCP server; 0 is no limit.")] = (
        30.0
    )
    dial_keep_alive_seconds: Annotated[
        Duration,
        says("Time between keep-alive probes of connections to TCP servers; 0 means 15s, negative: none."),
    ] = 15.0
    termination_delay_seconds: Annotated[
        Duration,
        says("Accepted and without effect, as in Traefik: what comes behind a half-close needs a transport."),
    ] = 0.0
    tls: TCPServersTransportTLS = msgspec.field(default_factory=TCPServersTransportTLS)


class StaticConfiguration(Options, frozen=True, kw_only=True):
    """The whole. Immutable; `static_load.load` gives the effective one, with derived values filled in."""

    entry_points: dict[str, EntryPoint] = {}
    providers: Providers = msgspec.field(default_factory=Providers)
    api: Annotated[API | None, says("Serve the API.")] = None
    ping: Annotated[Ping | None, says("Answer health checks at /ping.")] = None
    log: Annotated[Log, SWITCH, says("The log of Pointsman itself.")] = msgspec.field(default_factory=Log)
    access_log: Annotated[AccessLog | None, says("Write a line for every request.")] = None
    metrics: Annotated[Metrics | None, says("Count what happens.")] = None
    core: Core = msgspec.field(default_factory=Core)
    host_resolver: Annotated[HostResolver | None, says("Look behind the host of a request.")] = None
    servers_transport: ServersTransport = msgspec.field(default_factory=ServersTransport)
    tcp_servers_transport: TCPServersTransport = msgspec.field(default_factory=TCPServersTransport)
    global_: Global = msgspec.field(default_factory=Global)
    workers: Annotated[int, says("Worker processes; 0 starts one for each usable core.")] = 0
    user: Annotated[str, says("User (name or id) to become once the ports are bound.")] = ""
    group: Annotated[str, says("Group (name or id) to become once the ports are bound.")] = ""
    pid_file: Annotated[str, says("File that holds the master's process id while it runs.")] = ""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(StaticConfiguration)


def encode_static(static: StaticConfiguration) -> bytes:
    """msgpack bytes for another process of the same release."""
    return _ENCODER.encode(static)


def decode_static(data: bytes) -> StaticConfiguration:
    """Undo encode_static. Raises msgspec.MsgspecError on foreign bytes."""
    return _DECODER.decode(data)


def default_entry_points(static: StaticConfiguration) -> list[str]:
    """Sorted names that a router without `entryPoints` attaches to.

    Those marked asDefault; where none is marked, all but `traefik`. UDP entry points never.
    """
    streams = {name: point for name, point in static.entry_points.items() if point.protocol == "tcp"}
    marked = [name for name, point in streams.items() if point.as_default]
    return sorted(marked or (name for name in streams if name != TRAEFIK_ENTRY_POINT))


__all__ = [
    "API",
    "HTTP",
    "TRAEFIK_ENTRY_POINT",
    "AccessLog",
    "Address",
    "AddressError",
    "Core",
    "EncodedCharacters",
    "EntryPoint",
    "ForwardedHeaders",
    "ForwardingTimeouts",
    "Global",
    "HostResolver",
    "KubernetesCRD",
    "LifeCycle",
    "Log",
    "Manifests",
    "Metrics",
    "Ping",
    "Prometheus",
    "Providers",
    "RespondingTimeouts",
    "ServersTransport",
    "StaticConfiguration",
    "TCPServersTransport",
    "TCPServersTransportTLS",
    "Transport",
    "decode_static",
    "default_entry_points",
    "encode_static",
    "parse_address",
]
