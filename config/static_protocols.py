"""What an entry point speaks besides plain HTTP/1.1, where it redirects to, and what it makes visible."""

from __future__ import annotations

from typing import Annotated, Final

from config.static_shape import Duration, Options, says

REDIRECTION_PRIORITY: Final = (1 << 63) - 2


class ProxyProtocol(Options, frozen=True, kw_only=True):
    """Present: PROXY headers (v1 and v2) are understood, and believed from whom the options say."""

    insecure: Annotated[bool, says("Believe the PROXY header of every peer.")] = False
    trusted_ips: Annotated[
        list[str], says("Addresses and CIDR blocks of proxies whose PROXY header is believed.")
    ] = []


class HTTP2(Options, frozen=True, kw_only=True):
    max_concurrent_streams: Annotated[
        int, says("Requests that one HTTP/2 connection may have under way; 0 means 250.")
    ] = 250
    max_decoder_header_table_size: Annotated[
        int, says("Largest HPACK table for the client's headers, in bytes; 0 means 4096.")
    ] = 4096
    max_encoder_header_table_size: Annotated[
        int, says("Largest HPACK table for our headers, in bytes; 0 means 4096.")
    ] = 4096


class HTTP3(Options, frozen=True, kw_only=True):
    """Present, even empty: HTTP/3 is served at the entry point's UDP port of the same number."""

    advertised_port: Annotated[
        int, says("Port that Alt-Svc tells clients to use for HTTP/3; 0 means the entry point's own.")
    ] = 0


class UDP(Options, frozen=True, kw_only=True):
    timeout_seconds: Annotated[Duration, says("How long a UDP session may be idle before it is forgotten.")] = 3.0


class Observability(Options, frozen=True, kw_only=True):
    """What routers on the entry point that say nothing about it themselves make visible."""

    access_logs: Annotated[bool, says("Write requests to the access log.")] = True
    metrics: Annotated[bool, says("Count requests in router and service metrics.")] = True
    tracing: Annotated[bool, says("Accepted and without effect: nothing is traced.")] = True
    trace_verbosity: Annotated[str, says("Accepted and without effect.", "minimal", "detailed")] = "minimal"


class RedirectEntryPoint(Options, frozen=True, kw_only=True):
    to: Annotated[str, says("Entry point to redirect to, or :port.")] = ""
    scheme: Annotated[str, says("Scheme of the target.")] = "https"
    permanent: Annotated[bool, says("Answer 301 or 308 instead of 302 or 307.")] = True
    priority: Annotated[int, says("Priority of the generated router.")] = REDIRECTION_PRIORITY


class Redirections(Options, frozen=True, kw_only=True):
    entry_point: Annotated[
        RedirectEntryPoint | None, says("Redirect every request of this entry point to another one.")
    ] = None
