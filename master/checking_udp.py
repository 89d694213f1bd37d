"""What `pointsman check` says about IngressRouteUDPs beyond the provider's findings: where they are served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from config.findings import Finding, Severity
from config.names import PROVIDER_CRD, qualify
from master.inspection import Inspection
from provider.resources.kinds import ObjectKey
from workers.udp.runtime import UDPRouterState

KIND = "IngressRouteUDP"


def udp_findings(inspection: Inspection) -> Iterator[Finding]:
    """Nothing where entry points are assumed only: none of those is for UDP, whatever the real ones are."""
    if inspection.assumed_entry_points:
        return
    store = inspection.reading.store
    for key in sorted(store.keys(KIND)):
        route: Any = store.get(*key)
        for index in range(len(route.spec.routes)):
            name = qualify(inspection.reading.naming.udp_router(key.namespace, key.name, index), PROVIDER_CRD)
            state = inspection.runtime.udp.routers.get(name)
            if state is not None:
                yield from _entry_point_findings(inspection, key, state)
                yield from _service_findings(inspection, key, state, f"spec.routes[{index}]")


def _entry_point_findings(inspection: Inspection, key: ObjectKey, state: UDPRouterState) -> Iterator[Finding]:
    known = inspection.runtime.udp.entry_points
    advice = f"known for UDP are {', '.join(known)}" if known else "declare one whose address ends in /udp"
    for entry_point in dict.fromkeys(state.config.entry_points):
        if entry_point not in known:
            message = f'entryPoint "{entry_point}" doesn\'t exist'
            yield _finding(key, "warning", "UnknownEntryPoint", message, "spec.entryPoints", advice)
    if not state.using:
        message = "the router is disabled: no valid entryPoint for this router"
        yield _finding(key, "error", "NoEntryPoint", message, "spec.entryPoints", advice)


def _service_findings(
    inspection: Inspection, key: ObjectKey, state: UDPRouterState, field: str
) -> Iterator[Finding]:
    tables = inspection.runtime.udp.tables
    others = {name: tables[name].router for name in state.using if tables[name].router not in ("", state.name)}
    if state.balancer is not None and others:
        served = ", ".join(f"{name} to {router}" for name, router in sorted(others.items()))
        advice = "give the routes entry points of their own, or put their services into one route"
        message = f"an entry point serves one UDP route, the last by name: {served}"
        yield _finding(key, "warning", "RouteNotServed", message, field, advice)


def _finding(key: ObjectKey, severity: Severity, reason: str, message: str, field: str, advice: str) -> Finding:
    return Finding(
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        severity=severity,
        reason=reason,
        message=message,
        field=field,
        advice=advice,
    )
