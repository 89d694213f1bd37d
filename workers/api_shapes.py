"""Routers, services and middlewares as the JSON objects of the API: what Traefik shows and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from config.http import LoadBalancer
from config.masking import printable
from config.middlewares import Middleware
from config.names import provider_of, resolve_reference
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


def listed(key: str, values: Iterable[str]) -> dict[str, list[str]]:
    """`{key: values}`, or nothing where there are none: empty members are left out."""
    found = list(values)
    return {key: found} if found else {}
