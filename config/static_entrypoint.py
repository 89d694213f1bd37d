"""Entry points: the addresses that Pointsman listens on and how it treats connections there."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

import msgspec

from config.static_protocols import HTTP2, HTTP3, UDP, Observability, ProxyProtocol, Redirections
from config.static_shape import Duration, Options, says


class AddressError(ValueError):
    """The text is no entry point address; the message says what is wrong with it."""


class Address(NamedTuple):
    """A parsed `[host]:port[/tcp|/udp]`. The host is empty for all interfaces, IPv6 without brackets."""

    host: str
    port: int
    protocol: str


def parse_address(text: str) -> Address:
    """Split an entry point address. Raises AddressError; port 0 means: the kernel chooses.

    >>> parse_address("[::1]:8443/TCP")
    Address(host='::1', port=8443, protocol='tcp')
    """
    address, slash, protocol = text.partition("/")
    if slash and protocol.lower() not in ("tcp", "udp"):
        raise AddressError(f"invalid protocol {protocol!r} in address {text!r}; write /tcp or /udp")
    host, port = _split_host(address, text)
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise AddressError(f"invalid port {port!r} in address {text!r}; write a number from 0 to 65535")
    return Address(host, int(port), protocol.lower() or "tcp")


def _split_host(address: str, text: str) -> tuple[str, str]:
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        if not bracket or not port.startswith(":"):
            raise AddressError(f"address {text!r} must be written [IPv6]:port")
        return host, port[1:]
    host, colon, port = address.rpartition(":")
    if not colon:
        raise AddressError(f"missing port in address {text!r}; write host:port, or :port for all interfaces")
    if ":" in host:
        raise AddressError(f"too many colons in address {text!r}; put an IPv6 host in brackets")
    return host, port


class LifeCycle(Options, frozen=True, kw_only=True):
    request_accept_grace_timeout_seconds: Annotated[
        Duration, says("After TERM, keep accepting for this long while ping already answers unhealthy.")
    ] = 0.0
    grace_time_out_seconds: Annotated[
        Duration, says("Then give requests in flight this long to finish before they are cut.")
    ] = 10.0


class RespondingTimeouts(Options, frozen=True, kw_only=True):
    read_timeout_seconds: Annotated[
        Duration, says("Longest time to read a whole request, body included; 0 is no limit.")
    ] = 60.0
    write_timeout_seconds: Annotated[
        Duration,
        says("Longest time from the request's head to the response's end; 0 is no limit."),
    ] = 0.0
    idle_timeout_seconds: Annotated[
        Duration, says("How long a kept-alive connection may wait for its next request; 0 means readTimeout.")
    ] = 180.0


class Transport(Options, frozen=True, kw_only=True):
    life_cycle: LifeCycle = msgspec.field(default_factory=LifeCycle)
    responding_timeouts: RespondingTimeouts = msgspec.field(default_factory=RespondingTimeouts)
    keep_alive_max_requests: Annotated[
        int, says("Requests after which a connection is closed; 0 is no limit.")
    ] = 0
    keep_alive_max_time_seconds: Annotated[
        Duration, says("Age after which a connection is closed at its next response; 0 is no limit.")
    ] = 0.0


class ForwardedHeaders(Options, frozen=True, kw_only=True):
    insecure: Annotated[bool, says("Believe the X-Forwarded-* headers of every client.")] = False
    trusted_ips: Annotated[
        list[str], says("Addresses and CIDR blocks of proxies whose X-Forwarded-* headers are believed.")
    ] = []
    connection: Annotated[
        list[str], says("Header names that a client's Connection header may list without losing them.")
    ] = []
    not_append_x_forwarded_for: Annotated[bool, says("Do not add the client's address to X-Forwarded-For.")] = (
        False
    )


class EncodedCharacters(Options, frozen=True, kw_only=True):
    """Present, even empty: request paths are checked for these escapes; a forbidden one is answered 400."""

    allow_encoded_slash: Annotated[bool, says("Accept %2F in a request path.")] = True
    allow_encoded_back_slash: Annotated[bool, says("Accept %5C in a request path.")] = True
    allow_encoded_null_character: Annotated[bool, says("Accept %00 in a request path.")] = True
    allow_encoded_semicolon: Annotated[bool, says("Accept %3B in a request path.")] = True
    allow_encoded_percent: Annotated[bool, says("Accept %25 in a request path.")] = True
    allow_encoded_question_mark: Annotated[bool, says("Accept %3F in a request path.")] = True
    allow_encoded_hash: Annotated[bool, says("Accept %23 in a request path.")] = True


class Domain(Options, frozen=True, kw_only=True):
    main: Annotated[str, says("First name of the certificate.")] = ""
    sans: Annotated[list[str], says("Further names of the certificate.")] = []


class TLS(Options, frozen=True, kw_only=True):
    """Present, even empty: routers of the entry point that have no `tls` of their own get this one."""

    options: Annotated[
        str, says("TLS option, with its provider (name@kubernetescrd); empty is the default one.")
    ] = ""
    cert_resolver: Annotated[str, says("Accepted with a warning: no certificates are ordered.")] = ""
    domains: Annotated[list[Domain], says("Names that certificates are to be had for.")] = []


class HTTP(Options, frozen=True, kw_only=True):
    sanitize_path: Annotated[bool, says("Resolve /./, /../ and // in request paths before routing.")] = True
    max_header_bytes: Annotated[int, says("Largest request line plus headers in bytes, else 431.")] = 1048576
    encode_query_semicolons: Annotated[
        bool, says("Pass ; in a query on as %3B instead of treating it as a separator.")
    ] = False
    underscore_headers_strategy: Annotated[
        str,
        says(
            "What happens to headers with an underscore in the name (deprecated: aliasHeadersStrategy).",
            "keep",
            "delete",
            "reject",
        ),
    ] = ""
    alias_headers_strategy: Annotated[
        str,
        says(
            "What happens to headers whose name may be taken for another one (X_User or X.User for X-User).",
            "keep",
            "delete",
            "reject",
        ),
    ] = ""
    encoded_characters: Annotated[
        EncodedCharacters | None, says("Check request paths for escaped special characters.")
    ] = None
    tls: Annotated[TLS | None, says("What routers without tls get; they then serve TLS connections only.")] = None
    middlewares: Annotated[
        list[str],
        says("Middlewares in front of those of every HTTP router, with their provider (name@kubernetescrd)."),
    ] = []
    redirections: Redirections = msgspec.field(default_factory=Redirections)


class EntryPoint(Options, frozen=True, kw_only=True):
    """One address to listen on. `host`, `port` and `protocol` raise AddressError on a malformed address."""

    address: Annotated[str, says("[host]:port[/tcp|/udp]; IPv6 in brackets, no host for all interfaces.")] = ""
    as_default: Annotated[
        bool,
        says("Routers that name no entry point attach here (none marked: to all but traefik)."),
    ] = False
    reuse_port: Annotated[bool, says("Allow another process to share the port (SO_REUSEPORT).")] = False
    allow_acme_by_pass: Annotated[
        bool, says("Leave ACME's challenges to routers: nothing of Pointsman itself stands before them.")
    ] = False
    transport: Transport = msgspec.field(default_factory=Transport)
    forwarded_headers: ForwardedHeaders = msgspec.field(default_factory=ForwardedHeaders)
    http: HTTP = msgspec.field(default_factory=HTTP)
    http2: HTTP2 = msgspec.field(default_factory=HTTP2)
    http3: Annotated[
        HTTP3 | None,
        says("Serve HTTP/3 too, at the UDP port of the same number (needs the extra pointsman[http3])."),
    ] = None
    udp: UDP = msgspec.field(default_factory=UDP)
    observability: Annotated[
        Observability | None, says("What routers make visible that do not say so themselves.")
    ] = None
    proxy_protocol: Annotated[
        ProxyProtocol | None, says("Understand PROXY headers and believe those of the given peers.")
    ] = None

    @property
    def host(self) -> str:
        return parse_address(self.address).host

    @property
    def port(self) -> int:
        return parse_address(self.address).port

    @property
    def protocol(self) -> str:
        return parse_address(self.address).protocol


TRAEFIK_ENTRY_POINT: Final = "traefik"
