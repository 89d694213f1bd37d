"""Entry points as the JSON objects of the API: their static options with defaults, without what is empty."""

from __future__ import annotations

from typing import Any

from config.static import HTTP, EntryPoint
from config.static_protocols import RedirectEntryPoint
from config.units import format_duration


def describe_entry_point(name: str, entry_point: EntryPoint) -> dict[str, Any]:
    """The static options of an entry point with their defaults; durations as Go prints them."""
    life, timeouts = entry_point.transport.life_cycle, entry_point.transport.responding_timeouts
    http, forwarded = entry_point.http, entry_point.forwarded_headers
    return _without_empty(
        {
            "address": entry_point.address,
            "allowACMEByPass": entry_point.allow_acme_by_pass,
            "asDefault": entry_point.as_default,
            "reusePort": entry_point.reuse_port,
            "transport": _without_empty(
                {
                    "lifeCycle": _durations(
                        requestAcceptGraceTimeout=life.request_accept_grace_timeout_seconds,
                        graceTimeOut=life.grace_time_out_seconds,
                    ),
                    "respondingTimeouts": _durations(
                        readTimeout=timeouts.read_timeout_seconds,
                        writeTimeout=timeouts.write_timeout_seconds,
                        idleTimeout=timeouts.idle_timeout_seconds,
                    ),
                    "keepAliveMaxTime": _duration(entry_point.transport.keep_alive_max_time_seconds),
                    "keepAliveMaxRequests": entry_point.transport.keep_alive_max_requests,
                }
            ),
        }
    ) | {
        "forwardedHeaders": _without_empty(
            {
                "insecure": forwarded.insecure,
                "trustedIPs": list(forwarded.trusted_ips),
                "connection": list(forwarded.connection),
                "notAppendXForwardedFor": forwarded.not_append_x_forwarded_for,
            }
        ),
        "http": _without_empty(
            {
                "redirections": _redirections(http.redirections.entry_point),
                "middlewares": list(http.middlewares),
                "encodeQuerySemicolons": http.encode_query_semicolons,
                "maxHeaderBytes": http.max_header_bytes,
                "underscoreHeadersStrategy": http.underscore_headers_strategy,
                "aliasHeadersStrategy": http.alias_headers_strategy,
            }
        )
        | _optional_http(http),
        "http2": _without_empty(
            {
                "maxConcurrentStreams": entry_point.http2.max_concurrent_streams,
                "maxDecoderHeaderTableSize": entry_point.http2.max_decoder_header_table_size,
                "maxEncoderHeaderTableSize": entry_point.http2.max_encoder_header_table_size,
            }
        ),
        "udp": _durations(timeout=entry_point.udp.timeout_seconds),
        **_optional(entry_point),
        "name": name,
    }


def _redirections(redirect: RedirectEntryPoint | None) -> Any:
    if redirect is None:
        return ""
    members = {
        "to": redirect.to,
        "scheme": redirect.scheme,
        "permanent": redirect.permanent,
        "priority": redirect.priority,
    }
    return {"entryPoint": _without_empty(members)}


def _optional(entry_point: EntryPoint) -> dict[str, Any]:
    """Sections that are only there where somebody wrote them."""
    members: dict[str, Any] = {}
    proxy_protocol, visible = entry_point.proxy_protocol, entry_point.observability
    if proxy_protocol is not None:
        members["proxyProtocol"] = _without_empty(
            {"insecure": proxy_protocol.insecure, "trustedIPs": list(proxy_protocol.trusted_ips)}
        )
    if entry_point.http3 is not None:
        members["http3"] = _without_empty({"advertisedPort": entry_point.http3.advertised_port})
    if visible is not None:
        members["observability"] = {
            "accessLogs": visible.access_logs,
            "metrics": visible.metrics,
            "tracing": visible.tracing,
            "traceVerbosity": visible.trace_verbosity,
        }
    return members


def _optional_http(http: HTTP) -> dict[str, Any]:
    """`sanitizePath` is shown in any case, the rest only where somebody wrote it."""
    members: dict[str, Any] = {"sanitizePath": http.sanitize_path}
    if http.tls is not None:
        tls = http.tls
        domains = [_without_empty({"main": one.main, "sans": list(one.sans)}) for one in tls.domains]
        members["tls"] = _without_empty(
            {"options": tls.options, "certResolver": tls.cert_resolver, "domains": domains}
        )
    if http.encoded_characters is not None:
        allowed = http.encoded_characters
        fields = zip(allowed.__struct_fields__, allowed.__struct_encode_fields__, strict=True)
        members["encodedCharacters"] = {wire: True for name, wire in fields if getattr(allowed, name)}
    return members


def _durations(**seconds: float) -> dict[str, str]:
    return {name: _duration(value) for name, value in seconds.items() if value}


def _duration(seconds: float) -> str:
    return format_duration(seconds) if seconds else ""


def _without_empty(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (False, 0, "", [])}
