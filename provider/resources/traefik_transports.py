"""ServersTransport and ServersTransportTCP, typed: how servers are spoken to.

As in `traefik.py` every value may be nonsense here. Durations are int-or-string; an integer counts seconds.
Secrets and ConfigMaps are always those of the object's own namespace.
"""

from __future__ import annotations

import msgspec

from provider.resources.core import Int64, Metadata, Resource


class RootCA(Resource, frozen=True, kw_only=True):
    """Exactly one of the two is to be given."""

    secret: str | None = None
    config_map: str | None = None


class ForwardingTimeouts(Resource, frozen=True, kw_only=True):
    dial_timeout: Int64 | str | None = None
    response_header_timeout: Int64 | str | None = None
    idle_conn_timeout: Int64 | str | None = None
    read_idle_timeout: Int64 | str | None = None
    ping_timeout: Int64 | str | None = None


class Spiffe(Resource, frozen=True, kw_only=True):
    ids: list[str] = []
    trust_domain: str = ""


class ServersTransportSpec(Resource, frozen=True, kw_only=True):
    server_name: str = ""
    insecure_skip_verify: bool = False
    root_cas: list[RootCA] = msgspec.field(default_factory=list, name="rootCAs")
    root_cas_secrets: list[str] = msgspec.field(default_factory=list, name="rootCAsSecrets")
    certificates_secrets: list[str] = []
    cipher_suites: list[str] = []
    min_version: str = ""
    max_version: str = ""
    max_idle_conns_per_host: Int64 = 0
    disable_http2: bool = msgspec.field(default=False, name="disableHTTP2")
    forwarding_timeouts: ForwardingTimeouts = ForwardingTimeouts()
    peer_cert_uri: str = msgspec.field(default="", name="peerCertURI")
    spiffe: Spiffe | None = None


class ServersTransport(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: ServersTransportSpec = ServersTransportSpec()


class TLSClientConfig(Resource, frozen=True, kw_only=True):
    """The part of a ServersTransport about TLS, for connections that ask for it."""

    server_name: str = ""
    insecure_skip_verify: bool = False
    root_cas: list[RootCA] = msgspec.field(default_factory=list, name="rootCAs")
    root_cas_secrets: list[str] = msgspec.field(default_factory=list, name="rootCAsSecrets")
    certificates_secrets: list[str] = []
    peer_cert_uri: str = msgspec.field(default="", name="peerCertURI")
    spiffe: Spiffe | None = None


class ProxyProtocol(Resource, frozen=True, kw_only=True):
    version: Int64 = 0


class ServersTransportTCPSpec(Resource, frozen=True, kw_only=True):
    dial_timeout: Int64 | str | None = None
    dial_keep_alive: Int64 | str | None = None
    termination_delay: Int64 | str | None = None
    proxy_protocol: ProxyProtocol | None = None
    tls: TLSClientConfig | None = None


class ServersTransportTCP(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: ServersTransportTCPSpec = ServersTransportTCPSpec()
