"""MiddlewareTCP -> one TCP middleware. All types are copied as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from config.layer4 import TCPMiddleware
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_middlewares import MiddlewareTCP, MiddlewareTCPSpec
from provider.translate.middleware_checks import networks
from provider.translate.output import Output
from provider.translate.refusals import refusal
from provider.translate.typed import typed
from provider.translate.view import View

SECTION: Final = "tcp.middlewares"
BY_PRECEDENCE: Final = {
    "ip_allow_list": "ipAllowList",
    "ip_white_list": "ipWhiteList",
    "in_flight_conn": "inFlightConn",
}
"""Of several types in one object the first of these counts."""


def translate(view: View, source: MiddlewareTCP) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata = source.metadata
    output = Output.of(ObjectKey("MiddlewareTCP", metadata.namespace, metadata.name))
    name = view.naming.object(metadata.namespace, metadata.name)
    try:
        spec = typed(output.report, source.spec, MiddlewareTCPSpec, "spec")
    except Rejected as error:
        output.report.rejected(error)
    else:
        _note(output.report, spec)
        output.put(SECTION, name, TCPMiddleware(**msgspec.structs.asdict(spec)))
    output.judge(SECTION, name)
    return output


def _note(report: Report, spec: MiddlewareTCPSpec) -> None:
    types = [wire_name for name, wire_name in BY_PRECEDENCE.items() if getattr(spec, name) is not None]
    if not types:
        none = Rejected(
            "NoType",
            "no type of middleware is set; the routers that use it will be disabled",
            field="spec",
            advice="set one, such as ipAllowList",
        )
        report.rejected(none)
    elif types[0] != "inFlightConn":
        for error in _range_errors(spec):
            report.rejected(error.within(f"spec.{types[0]}"))
    for ignored in types[1:]:
        report.warning(
            "TypeIgnored",
            f"{ignored} has no effect beside {types[0]}",
            field=f"spec.{ignored}",
            advice="make a MiddlewareTCP of each and name them all in the route",
        )
    if spec.ip_white_list is not None:
        report.warning(
            "Deprecated",
            "ipWhiteList is deprecated",
            field="spec.ipWhiteList",
            advice="write ipAllowList",
        )


def _range_errors(spec: MiddlewareTCPSpec) -> Iterator[Rejected]:
    """Of the list that counts."""
    given = spec.ip_allow_list or spec.ip_white_list
    ranges = given.source_range if given is not None else []
    if not ranges:
        yield refusal("SourceRangeMissing", "sourceRange is empty", "sourceRange", "list who may connect")
    yield from networks(ranges, "sourceRange")
