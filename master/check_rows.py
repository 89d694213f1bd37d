"""The routers that result, as `pointsman check` lists them: HTTP, TCP, UDP, each as its entry points ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from config.layer4 import WeightedServices
from config.names import PROVIDER_CRD, qualify, resolve_reference
from config.naming import Naming
from master.inspection import Inspection, Origin, object_of
from master.service_tree import service_tree
from provider.resources.kinds import ObjectKey
from workers.tcp.services import TCPServiceState
from workers.udp.services import UDPServiceState

NOT_JUDGED = "unknown"
"""Status of a UDP router where entry points are assumed only: none of those is for UDP."""


class RouteRow(msgspec.Struct, rename="camel", kw_only=True):
    """One router on one of its entry points, in the order in which rules are asked there. UDP has no rules."""

    entry_point: str
    tls: bool
    priority: int
    router: str
    rule: str
    service: str
    servers: list[str]
    status: str
    errors: list[str]
    object: str
    field: str
    protocol: Literal["http", "tcp", "udp"] = "http"


def rows_of(inspection: Inspection, origins: Mapping[str, Origin]) -> Iterator[RouteRow]:
    """All of them; `origins`: the route of each HTTP router that an IngressRoute has made."""
    yield from _http_rows(inspection, origins)
    yield from _tcp_rows(inspection)
    yield from _udp_rows(inspection)


def _http_rows(inspection: Inspection, origins: Mapping[str, Origin]) -> Iterator[RouteRow]:
    rows = []
    runtime = inspection.runtime
    for state in runtime.routers.values():
        origin = origins.get(state.source)
        for entry_point in state.using or state.config.entry_points or ["-"]:
            rows.append(
                RouteRow(
                    entry_point=entry_point,
                    tls=state.config.tls is not None,
                    priority=state.priority,
                    router=state.name,
                    rule=state.config.rule,
                    service=state.service.removesuffix(f"@{PROVIDER_CRD}"),
                    servers=list(dict.fromkeys(service_tree(runtime, state.service).all_servers())),
                    status=state.status,
                    errors=list(state.errors),
                    object=object_of(state, origin),
                    field=origin.field if origin else "",
                )
            )
    yield from sorted(rows, key=lambda row: (row.entry_point, row.tls, -row.priority, row.router))


def layer4_origins(inspection: Inspection) -> dict[str, Origin]:
    """The route that each TCP and UDP router was made from, by the router's qualified name."""
    found: dict[str, Origin] = {}
    store, naming = inspection.reading.store, inspection.reading.naming
    for kind in ("IngressRouteTCP", "IngressRouteUDP"):
        for key in store.keys(kind):
            resource = store.get(*key)
            if resource is not None:
                for index, route in enumerate(resource.spec.routes):
                    name = _name_of(naming, key, index, getattr(route, "match", ""))
                    found[qualify(name, PROVIDER_CRD)] = Origin(key, index)
    return found


def _name_of(naming: Naming, key: ObjectKey, index: int, match: str) -> str:
    if key.kind == "IngressRouteTCP":
        return naming.tcp_router(key.namespace, key.name, index, match)
    return naming.udp_router(key.namespace, key.name, index)


def _tcp_rows(inspection: Inspection) -> Iterator[RouteRow]:
    runtime, origins, rows = inspection.runtime.tcp, layer4_origins(inspection), []
    for state in runtime.routers.values():
        origin = origins.get(state.name)
        for entry_point in state.using or state.config.entry_points or ["-"]:
            rows.append(
                RouteRow(
                    entry_point=entry_point,
                    tls=state.config.tls is not None,
                    priority=state.priority,
                    router=state.name,
                    rule=state.config.rule,
                    service=state.service.removesuffix(f"@{PROVIDER_CRD}"),
                    servers=_addresses(runtime.services, state.service),
                    status=state.status,
                    errors=list(state.errors),
                    object=str(origin.key) if origin else "",
                    field=origin.field if origin else "",
                    protocol="tcp",
                )
            )
    yield from sorted(rows, key=lambda row: (row.entry_point, not row.tls, -row.priority, row.router))


def _udp_rows(inspection: Inspection) -> Iterator[RouteRow]:
    runtime, origins, rows = inspection.runtime.udp, layer4_origins(inspection), []
    is_assumed = inspection.assumed_entry_points
    for state in runtime.routers.values():
        origin = origins.get(state.name)
        for entry_point in dict.fromkeys(state.using or state.config.entry_points or ["-"]):
            rows.append(
                RouteRow(
                    entry_point=entry_point,
                    tls=False,
                    priority=0,
                    router=state.name,
                    rule="",
                    service=state.service.removesuffix(f"@{PROVIDER_CRD}"),
                    servers=_addresses(runtime.services, state.service),
                    status=NOT_JUDGED if is_assumed and not state.using else state.status,
                    errors=[] if is_assumed and not state.using else list(state.errors),
                    object=str(origin.key) if origin else "",
                    field=origin.field if origin else "",
                    protocol="udp",
                )
            )
    # of several on one entry point the last by name is the one that is served
    rows.sort(key=lambda row: row.router, reverse=True)
    yield from sorted(rows, key=lambda row: row.entry_point)


def _addresses(services: Mapping[str, TCPServiceState] | Mapping[str, UDPServiceState], name: str) -> list[str]:
    """Addresses that a service leads to, its children's included; each once."""
    found: dict[str, None] = {}
    ahead, seen = [name], {name}
    while ahead:
        state = services.get(ahead.pop(0))
        if state is None:
            continue
        if state.config.load_balancer is not None:
            found.update(dict.fromkeys(server.address for server in state.config.load_balancer.servers))
        weighted: WeightedServices | None = state.config.weighted
        for entry in weighted.services if weighted is not None else ():
            child = resolve_reference(entry.name, state.name)
            if child not in seen:
                seen.add(child)
                ahead.append(child)
    return list(found)
