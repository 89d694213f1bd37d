"""UDP routers and services as the JSON objects of the API: what Traefik shows and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from config.names import provider_of
from workers.udp.runtime import UDPRouterState, UDPRuntime, used_by_service
from workers.udp.services import UDPServiceState


def describe_router(state: UDPRouterState) -> dict[str, Any]:
    """One router as `udpRouters` of `/api/rawdata` shows it."""
    members: dict[str, Any] = msgspec.to_builtins(state.config)
    return members | _listed("error", state.errors) | {"status": state.status} | _listed("using", state.using)


def describe_service(state: UDPServiceState, used_by: Mapping[str, list[str]]) -> dict[str, Any]:
    """One service as `udpServices` of `/api/rawdata` shows it; there is no health of UDP servers."""
    members: dict[str, Any] = msgspec.to_builtins(state.config)
    members |= _listed("error", state.errors) | {"status": state.status}
    return members | _listed("usedBy", used_by.get(state.name, ()))


def rawdata(runtime: UDPRuntime) -> dict[str, dict[str, Any]]:
    """The two sections of `/api/rawdata`; one without objects is left out there."""
    used_by = used_by_service(runtime)
    return {
        "udpRouters": {name: describe_router(one) for name, one in sorted(runtime.routers.items())},
        "udpServices": {name: describe_service(one, used_by) for name, one in sorted(runtime.services.items())},
    }


def list_routers(runtime: UDPRuntime) -> list[dict[str, Any]]:
    """Items of `/api/udp/routers`: as in rawdata, with name and provider."""
    return [_named(name, describe_router(one)) for name, one in runtime.routers.items()]


def list_services(runtime: UDPRuntime) -> list[dict[str, Any]]:
    """Items of `/api/udp/services`: as in rawdata, with name, provider and type."""
    used_by = used_by_service(runtime)
    services = []
    for name, state in runtime.services.items():
        item = _named(name, describe_service(state, used_by))
        kind = next((key for key in ("loadBalancer", "weighted") if key in item), "")
        services.append(item | ({"type": kind.lower()} if kind else {}))
    return services


def overview(runtime: UDPRuntime) -> dict[str, dict[str, int]]:
    """The counts of `/api/overview`."""
    return {
        "routers": _counts(one.status for one in runtime.routers.values()),
        "services": _counts(one.status for one in runtime.services.values()),
    }


def _counts(statuses: Iterable[str]) -> dict[str, int]:
    listed = list(statuses)
    return {"total": len(listed), "warnings": listed.count("warning"), "errors": listed.count("disabled")}


def _named(name: str, members: dict[str, Any]) -> dict[str, Any]:
    return members | {"name": name, "provider": provider_of(name)}


def _listed(key: str, values: Iterable[str]) -> dict[str, list[str]]:
    found = list(values)
    return {key: found} if found else {}
