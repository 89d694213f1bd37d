"""Routers, services and entry points as the JSON objects of the API: what Traefik shows and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from config.http import LoadBalancer
from config.masking import printable
from config.middlewares import Middleware
from config.names import provider_of, resolve_reference
from config.static import HTTP, EntryPoint
from config.static_protocols import RedirectEntryPoint
from config.units import format_duration
from workers.middlewares.chains import MiddlewareState
from workers.routers import RouterState
from workers.runtime import Runtime
from workers.services import ServiceState
from workers.upstream.sticky import cookie_name

_OBSERVABILITY: Final = {"accessLogs": True, "metrics": True, "tracing": True, "traceVerbosity": "minimal"}


def describe_router(state: RouterState, attached_as: Callable[[str], list[str]]) -> dict[str, Any]:
    """One router as `/api/rawdata` shows it. `attached_as`: see Runtime; parents are shown by these names."""
    config = state.config
    members: dict[str, Any] = msgspec.to_builtins(config)
    if state.qualified_middlewares and config.middlewares:
        members["middlewares"] = [resolve_reference(one, state.name) for one in config.middlewares]
    if state.using and not config.entry_points:
        members["entryPoints"] = state.using
    if state.priority and not (config.parent_refs and state.is_contradictory):
        members["priority"] = state.priority
    if config.parent_refs:
        parents = [resolve_reference(one, state.name) for one in config.parent_refs]
        members["parentRefs"] = [name for one in parents for name in attached_as(one)]
    else:
        members["observability"] = _OBSERVABILITY | members.get("observability", {})
    if config.tls is not None:
        members["tls"] = members.get("tls", {})
    return members | listed("error", state.errors) | {"status": state.status} | listed("using", state.using)


def describe_service(state: ServiceState, used_by: Mapping[str, list[str]]) -> dict[str, Any]:
    """One service as `/api/rawdata` shows it; the servers come back from their own section."""
    members: dict[str, Any] = msgspec.to_builtins(state.config)
    balancer = state.config.load_balancer
    if balancer is not None:
        members["loadBalancer"] = _describe_balancer(balancer, state)
    for kind, holder in (("loadBalancer", balancer), ("weighted", state.config.weighted)):
        if state.built and holder is not None and holder.sticky is not None and holder.sticky.cookie is not None:
            members[kind]["sticky"]["cookie"]["name"] = cookie_name(state.name, holder.sticky.cookie)
    members |= listed("error", state.errors) | {"status": "disabled" if state.errors else "enabled"}
    members |= listed("usedBy", used_by.get(state.name, ()))
    if state.built and state.servers and not state.errors:
        members["serverStatus"] = _server_status(state)
    return members


def _server_status(state: ServiceState) -> dict[str, str]:
    candidates = state.balanced.balancer.candidates if state.balanced is not None else ()
    return {one.name: "UP" if one.passed_check else "DOWN" for one in candidates}


def _describe_balancer(balancer: LoadBalancer, state: ServiceState) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(balancer)
    if state.servers:
        members["servers"] = msgspec.to_builtins(state.servers)
    if state.built and balancer.servers_transport:
        members["serversTransport"] = resolve_reference(balancer.servers_transport, state.name)
    return members


def describe_internal(name: str, used_by: Mapping[str, list[str]]) -> dict[str, Any]:
    """A service of ours: it has neither type nor members."""
    return {"status": "enabled"} | listed("usedBy", used_by.get(name, ()))


def describe_middleware(state: MiddlewareState, used_by: Mapping[str, list[str]]) -> dict[str, Any]:
    """One middleware as `/api/rawdata` shows it, but for secrets."""
    members = printable(state.config) | listed("error", state.errors) | {"status": state.status}
    return members | listed("usedBy", used_by.get(state.name, ()))


def named_middleware(name: str, members: dict[str, Any]) -> dict[str, Any]:
    """What lists add to a middleware of rawdata."""
    more = {"name": name, "provider": provider_of(name)}
    kind = next((wire_name for wire_name in members if wire_name in MIDDLEWARE_KINDS), None)
    if kind == "plugin":
        kind = next(iter(members["plugin"]))
    return members | more | ({"type": kind.lower()} if kind else {})


MIDDLEWARE_KINDS: Final = frozenset(Middleware.__struct_encode_fields__)
_KINDS: Final = ("loadBalancer", "weighted", "mirroring", "highestRandomWeight", "failover")


def named(name: str, members: dict[str, Any]) -> dict[str, Any]:
    """What lists add to an object of rawdata: its name, provider, and the priority as text or the type."""
    more: dict[str, Any] = {"name": name, "provider": provider_of(name)}
    if "priority" in members:
        more["priorityStr"] = str(members["priority"])
    for kind in _KINDS:
        if kind in members:
            more["type"] = kind.lower()
    return members | more


def used_by_service(runtime: Runtime) -> dict[str, list[str]]:
    """Qualified service name to the sorted names of the routers that name it."""
    used_by: dict[str, list[str]] = {}
    for name in sorted(runtime.routers):
        service = runtime.routers[name].service
        if service:
            used_by.setdefault(service, []).append(name)
    return used_by


def used_by_middleware(runtime: Runtime) -> dict[str, list[str]]:
    """Qualified middleware name to the sorted names of the routers that name it, as often as they do."""
    used_by: dict[str, list[str]] = {}
    for name in sorted(runtime.routers):
        state = runtime.routers[name]
        for reference in state.config.middlewares:
            used_by.setdefault(resolve_reference(reference, name), []).append(name)
    return used_by


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


def listed(key: str, values: Iterable[str]) -> dict[str, list[str]]:
    """`{key: values}`, or nothing where there are none: empty members are left out."""
    found = list(values)
    return {key: found} if found else {}
