"""A check's report as text: findings, the routes that result, one line of summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from config.findings import Finding
from master.check_rows import RouteRow
from master.checking import CheckReport, Summary
from master.tables import clean, table

_ROUTE_HEAD: Final = ("ENTRY POINT", "TLS", "PRIORITY", "STATUS", "SERVERS", "SERVICE", "RULE")
_LAYER4_HEAD: Final = ("ENTRY POINT", "PROTOCOL", *_ROUTE_HEAD[1:])


def lines(report: CheckReport) -> Iterator[str]:
    for finding in report.findings:
        yield from _finding(finding)
    if report.findings:
        yield ""
    http = [_route(row) for row in report.routes if row.protocol == "http"]
    if http:
        yield from table(_ROUTE_HEAD, http)
        yield ""
    layer4 = [_layer4_route(row) for row in report.routes if row.protocol != "http"]
    if layer4:
        yield from table(_LAYER4_HEAD, layer4)
        yield ""
    yield from _summary(report.summary)


def _finding(finding: Finding) -> Iterator[str]:
    place = f"{finding.namespace}/{finding.name}" if finding.namespace else finding.name
    where = " ".join(filter(None, (finding.kind, place, finding.field)))
    yield f"{finding.severity:<8} {clean(where)}"
    yield f"{'':8} {clean(finding.message)} [{finding.reason}]"
    if finding.advice:
        yield f"{'':8} -> {clean(finding.advice)}"


def _route(row: RouteRow) -> Sequence[str]:
    return (
        row.entry_point,
        "yes" if row.tls else "no",
        str(row.priority),
        row.status,
        "-" if row.service.endswith("@internal") else str(len(row.servers)),
        row.service or "-",
        row.rule,
    )


def _layer4_route(row: RouteRow) -> Sequence[str]:
    entry_point, tls, priority, *rest = _route(row)
    if row.protocol == "udp":
        tls, priority = "-", "-"
    return entry_point, row.protocol, tls, priority, *rest


def _summary(summary: Summary) -> Iterator[str]:
    objects = ", ".join(f"{count} {kind}" for kind, count in summary.objects.items()) or "no objects"
    yield f"Read {', '.join(map(clean, summary.sources))}: {objects}."
    yield f"Entry points ({clean(summary.static)}): {', '.join(summary.entry_points)}."
    if summary.assumed_endpoints:
        yield f"Endpoints assumed for {clean(', '.join(summary.assumed_endpoints))}."
    if summary.hint:
        yield f"Hint: {summary.hint}."
    routes = f"{_count(summary.routes, 'router')}, {summary.routes_disabled} disabled"
    yield f"{routes}; {_count(summary.errors, 'error')}, {_count(summary.warnings, 'warning')}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
