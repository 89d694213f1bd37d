"""TCP routers, services and middlewares as the JSON objects of the API: what Traefik shows and leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from config.names import provider_of
from workers.tcp.middlewares import TCPMiddlewareState
from workers.tcp.routers import TCPRouterState
from workers.tcp.runtime import TCPRuntime
from workers.tcp.services import TCPServiceState

_State = TypeVar("_State")
_SERVICE_KINDS: Final = ("loadBalancer", "weighted")
_MIDDLEWARE_KINDS: Final = ("ipAllowList", "ipWhiteList", "inFlightConn")

Item = dict[str, Any]
Pause = Callable[[], None]
"""Called between objects, so that connections never wait long for an answer of the API."""


def _go_on() -> None:
    """No pause."""


def describe_router(state: TCPRouterState) -> Item:
    """One router as `tcpRouters` of `/api/rawdata` shows it."""
    members: Item = msgspec.to_builtins(state.config)
    if state.qualified_middlewares and state.config.middlewares:
        members["middlewares"] = state.middlewares
    if state.using and not state.config.entry_points:
        members["entryPoints"] = state.using
    if state.priority:
        members["priority"] = state.priority
    return members | _listed("error", state.errors) | {"status": state.status} | _listed("using", state.using)


def describe_service(state: TCPServiceState, used_by: Mapping[str, list[str]]) -> Item:
    """One service as `tcpServices` of `/api/rawdata` shows it."""
    members: Item = msgspec.to_builtins(state.config)
    if state.config.load_balancer is not None:
        members.setdefault("loadBalancer", {})
        if state.transport:
            members["loadBalancer"]["serversTransport"] = state.transport
    members |= _listed("error", state.errors) | {"status": state.status}
    members |= _listed("usedBy", used_by.get(state.name, ()))
    if state.servers:
        members["serverStatus"] = dict.fromkeys(state.servers, "UP")
    return members


def describe_middleware(state: TCPMiddlewareState) -> Item:
    """One middleware as `tcpMiddlewares` of `/api/rawdata` shows it; by whom it is used is never said."""
    members: Item = msgspec.to_builtins(state.config)
    return members | _listed("error", state.errors) | {"status": state.status}


def rawdata(runtime: TCPRuntime, pause: Pause = _go_on) -> dict[str, dict[str, Item]]:
    """The three sections of `/api/rawdata`; one without objects is left out there."""
    return {
        "tcpRouters": _each(runtime.routers, describe_router, pause),
        "tcpMiddlewares": _each(runtime.middlewares, describe_middleware, pause),
        "tcpServices": _services(runtime, pause),
    }


def list_routers(runtime: TCPRuntime, pause: Pause = _go_on) -> list[Item]:
    """Items of `/api/tcp/routers`: as in rawdata, with name, provider and the priority as text."""
    routers = []
    for name, item in _each(runtime.routers, describe_router, pause).items():
        priority = {"priorityStr": str(item["priority"])} if "priority" in item else {}
        routers.append(_named(name, item) | priority)
    return routers


def list_services(runtime: TCPRuntime, pause: Pause = _go_on) -> list[Item]:
    """Items of `/api/tcp/services`: as in rawdata, with name, provider and type."""
    return [_typed(_named(name, one), _SERVICE_KINDS) for name, one in _services(runtime, pause).items()]


def list_middlewares(runtime: TCPRuntime, pause: Pause = _go_on) -> list[Item]:
    """Items of `/api/tcp/middlewares`: as in rawdata, with name, provider and type."""
    described = _each(runtime.middlewares, describe_middleware, pause)
    return [_typed(_named(name, one), _MIDDLEWARE_KINDS) for name, one in described.items()]


def _services(runtime: TCPRuntime, pause: Pause) -> dict[str, Item]:
    used_by = runtime.used_by_service()
    return _each(runtime.services, lambda state: describe_service(state, used_by), pause)


def _each(states: Mapping[str, _State], describe: Callable[[_State], Item], pause: Pause) -> dict[str, Item]:
    described = {}
    for name in sorted(states):
        described[name] = describe(states[name])
        pause()
    return described


def overview(runtime: TCPRuntime) -> dict[str, dict[str, int]]:
    """The counts of `/api/overview`."""
    return {
        "routers": _counts(one.status for one in runtime.routers.values()),
        "services": _counts(one.status for one in runtime.services.values()),
        "middlewares": _counts(one.status for one in runtime.middlewares.values()),
    }


def _counts(statuses: Iterable[str]) -> dict[str, int]:
    listed = list(statuses)
    return {"total": len(listed), "warnings": listed.count("warning"), "errors": listed.count("disabled")}


def _named(name: str, members: Item) -> Item:
    return members | {"name": name, "provider": provider_of(name)}


def _typed(members: Item, kinds: Iterable[str]) -> Item:
    kind = next((one for one in kinds if one in members), "")
    return members | ({"type": kind.lower()} if kind else {})


def _listed(key: str, values: Iterable[str]) -> dict[str, list[str]]:
    found = list(values)
    return {key: found} if found else {}
