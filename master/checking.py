"""What `pointsman check` has to say about an inspection, as plain data; `check_text.py` prints it.

Findings are the provider's, with those beside them that only a worker can know: an entry point that does not
exist, a service or a middleware that cannot be built.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from config.findings import Finding, Severity
from master.check_rows import RouteRow, layer4_origins, rows_of
from master.checking_udp import udp_findings
from master.inspection import Inspection, Origin
from workers.routers import RouterState
from workers.tcp.routers import TCPRouterState

_ONLY_WORKERS_KNOW: Final = frozenset(("UnknownEntryPoint", "NoEntryPoint"))
"""Reasons of findings that an error of the provider about the same route never stands for."""
_OF_ALL_ROUTES: Final = "spec.routes"
_ROUTE: Final = re.compile(r"spec\.routes\[[0-9]+\]")
_KINDS: Final = (
    (r'entryPoint ".*" doesn\'t exist', "UnknownEntryPoint"),
    (r"no valid entryPoint", "NoEntryPoint"),
    (r'.*service ".*" does not exist', "ServiceNotFound"),
    (r'.*middleware ".*" does not exist', "MiddlewareNotFound"),
    (r".*unknown TLS options", "TLSOptionNotFound"),
    (r".*servers transport not found", "ServersTransportNotFound"),
    (r".*this version of Pointsman", "NotServedYet"),
    (r"the name .* is another router's", "NameTaken"),
)


class Summary(msgspec.Struct, rename="camel", kw_only=True):
    """`sources`: what was read; `static`: where entry points and options come from."""

    sources: list[str]
    static: str
    entry_points: list[str]
    objects: dict[str, int]
    routes: int
    routes_disabled: int
    errors: int
    warnings: int
    assumed_endpoints: list[str]
    hint: str


class CheckReport(msgspec.Struct, rename="camel", kw_only=True):
    summary: Summary
    findings: list[Finding]
    routes: list[RouteRow]

    def fails(self, *, strict: bool) -> bool:
        return bool(self.summary.errors or (strict and self.summary.warnings))


def check(inspection: Inspection, namespaces: Collection[str] = ()) -> CheckReport:
    """The report; with `namespaces`, only on objects there (and on what belongs to no namespace)."""
    origins = {name: origin for name, origin, _ in inspection.origins()}
    findings = [
        one
        for one in _in_order(_joined(inspection.reading.findings, _of_workers(inspection, origins)))
        if not namespaces or one.namespace in ("", *namespaces)
    ]
    rows = [
        row
        for row in rows_of(inspection, origins)
        if not namespaces or row.object.rpartition(" ")[2].partition("/")[0] in namespaces
    ]
    states = {(row.protocol, row.router): row.status for row in rows}
    severities = [finding.severity for finding in findings]
    store = inspection.reading.store
    counts = {kind: len(list(store.keys(kind))) for kind in inspection.reading.kinds()}
    counts["EndpointSlice"] -= len(inspection.reading.assumed)
    summary = Summary(
        sources=inspection.sources,
        static=inspection.source,
        entry_points=sorted(inspection.static.entry_points),
        objects={kind: count for kind, count in counts.items() if count},
        routes=len(states),
        routes_disabled=list(states.values()).count("disabled"),
        errors=severities.count("error"),
        warnings=severities.count("warning"),
        assumed_endpoints=inspection.reading.assumed,
        hint=_hint(inspection, findings),
    )
    return CheckReport(summary=summary, findings=findings, routes=rows)


def _joined(provider: list[Finding], worker: Iterable[Finding]) -> list[Finding]:
    """All findings; what both tell is told once, in the provider's words and with the worker's severity."""
    found = list(provider)
    for one in worker:
        same = [index for index, other in enumerate(found) if _is_same(one, other)]
        for index in same:
            found[index] = msgspec.structs.replace(found[index], severity=one.severity)
        if not same:
            found.append(one)
    return found


def _is_same(worker: Finding, provider: Finding) -> bool:
    """Whether the provider's finding is about the same thing, in a place that may be more exact."""
    key = worker.kind, worker.namespace, worker.name, worker.reason
    is_there = provider.field == worker.field or provider.field.startswith(
        (f"{worker.field}.", f"{worker.field}[")
    )
    return is_there and key == (provider.kind, provider.namespace, provider.name, provider.reason)


def _hint(inspection: Inspection, findings: list[Finding]) -> str:
    if inspection.reading.is_cluster or not any(finding.reason == "NoEndpoints" for finding in findings):
        return ""
    return "files rarely hold EndpointSlices; --assume-endpoints checks what else there is"


def _in_order(findings: list[Finding]) -> list[Finding]:
    """Errors first, then by object; the order within an object is that of its fields as reported."""
    return sorted(findings, key=lambda one: (one.severity != "error", one.kind, one.namespace, one.name))


def _of_workers(inspection: Inspection, origins: dict[str, Origin]) -> Iterator[Finding]:
    yield from _worker_findings(inspection, origins)
    yield from dict.fromkeys(_tcp_findings(inspection))
    yield from dict.fromkeys(udp_findings(inspection))


def _worker_findings(inspection: Inspection, origins: Mapping[str, Origin]) -> Iterator[Finding]:
    """Of HTTP routers; `origins` by the name that the object gave them."""
    states = [(state, origins.get(state.source)) for _, state in sorted(inspection.runtime.routers.items())]
    yield from _of_states(inspection, states)


def _tcp_findings(inspection: Inspection) -> Iterator[Finding]:
    origins = layer4_origins(inspection)
    states = [(state, origins.get(name)) for name, state in sorted(inspection.runtime.tcp.routers.items())]
    yield from _of_states(inspection, states)


def _of_states(
    inspection: Inspection, states: Iterable[tuple[RouterState | TCPRouterState, Origin | None]]
) -> Iterator[Finding]:
    """What each router says of itself, once, unless the provider has said why it is disabled."""
    told = {
        (one.kind, one.namespace, one.name, _route_of(one.field))
        for one in inspection.reading.findings
        if one.severity == "error"
    }
    seen: set[Finding] = set()
    for state, origin in states:
        if origin is None:
            continue
        is_told = not told.isdisjoint(((*origin.key, origin.field), (*origin.key, _OF_ALL_ROUTES)))
        for error in state.errors:
            finding = _finding(inspection, state, origin, error)
            if finding not in seen and not (is_told and finding.reason not in _ONLY_WORKERS_KNOW):
                seen.add(finding)
                yield finding


def _route_of(field: str) -> str:
    """The route in the path of a field, `_OF_ALL_ROUTES` for what disables all, empty if it is about none."""
    matched = _ROUTE.match(field)
    if matched is None and field.startswith(("spec.tls.options", "spec.parentRefs")):
        return _OF_ALL_ROUTES
    return matched[0] if matched else ""


def _finding(inspection: Inspection, state: RouterState | TCPRouterState, origin: Origin, error: str) -> Finding:
    reason = next((name for pattern, name in _KINDS if re.match(pattern, error)), "RouterDisabled")
    is_fatal = state.critical and reason != "UnknownEntryPoint"
    severity: Severity = "error" if is_fatal else "warning"
    return Finding(
        kind=origin.key.kind,
        namespace=origin.key.namespace,
        name=origin.key.name,
        severity=severity,
        reason=reason,
        message=f"the router is disabled: {error}" if is_fatal else error,
        field=_FIELDS.get(reason, origin.field).replace("spec.routes[]", origin.field),
        advice=_advice(inspection, reason),
    )


_FIELDS: Final = {
    "UnknownEntryPoint": "spec.entryPoints",
    "NoEntryPoint": "spec.entryPoints",
    "TLSOptionNotFound": "spec.tls.options",
    "MiddlewareNotFound": "spec.routes[].middlewares",
    "ServiceNotFound": "spec.routes[].services",
}


def _advice(inspection: Inspection, reason: str) -> str:
    match reason:
        case "UnknownEntryPoint" | "NoEntryPoint":
            known = ", ".join(sorted(inspection.static.entry_points))
            if inspection.assumed_entry_points:
                return f"{known} are assumed; give the real ones with --configFile or --entryPoints.<name>.address"
            return f"known are {known}"
        case "ServiceNotFound" | "MiddlewareNotFound" | "TLSOptionNotFound" | "ServersTransportNotFound":
            return "define it, or correct its own findings if it is defined"
        case "NotServedYet":
            return "see docs/compatibility.md"
    return ""
