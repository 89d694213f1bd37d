"""MiddlewareTCP -> one TCP middleware. All types are copied as they are."""

from __future__ import annotations

from typing import Final

import msgspec

from config.layer4 import TCPMiddleware
from config.names import normalize, object_id
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_middlewares import MiddlewareTCP, MiddlewareTCPSpec
from provider.translate.output import Output
from provider.translate.typed import typed
from provider.translate.view import View

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
    try:
        spec = typed(output.report, source.spec, MiddlewareTCPSpec, "spec")
    except Rejected as error:
        output.report.rejected(error)
        return output
    _note(output.report, spec)
    name = normalize(object_id(metadata.namespace, metadata.name))
    output.put("tcp.middlewares", name, TCPMiddleware(**msgspec.structs.asdict(spec)))
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
