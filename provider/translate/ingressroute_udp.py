"""IngressRouteUDP -> UDP routers and the services they need.

A datagram says nothing that a rule could look at, so an entry point has one router: of several the one whose
name sorts last.
"""

from __future__ import annotations

from typing import Final

from config.layer4 import UDPRouter
from config.names import PROVIDER_CRD, qualify
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_layer4 import IngressRouteUDP
from provider.translate.entry_points import note_datagrams
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.route_findings import note_class
from provider.translate.services_layer4 import UDP_SERVICES, udp_services
from provider.translate.view import View

KIND: Final = "IngressRouteUDP"
ROUTERS: Final = "udp.routers"


def translate(view: View, route: IngressRouteUDP) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata, spec = route.metadata, route.spec
    output = Output.of(ObjectKey(KIND, metadata.namespace, metadata.name))
    if not view.options.takes_class(route.class_value):
        return output
    note_class(output.report, spec.ingress_class_name, route.class_value)
    holder = Holder(view, metadata.namespace, output.report)
    services = udp_services(holder, output)
    if spec.routes:
        note_datagrams(holder, spec.entry_points, "spec.entryPoints")
    for index, one in enumerate(spec.routes):
        name = view.naming.udp_router(metadata.namespace, metadata.name, index)
        service = services.put(name, one.services, f"spec.routes[{index}].services")
        output.put(ROUTERS, name, UDPRouter(entry_points=spec.entry_points, service=service))
    _warn_of_idle_routes(output)
    return output


def _warn_of_idle_routes(output: Output) -> None:
    """All routes of an object have the same entry points, so at most one of them is served."""
    routers, services = output.of_section(ROUTERS), output.of_section(UDP_SERVICES)
    usable = {name for name, router in routers.items() if router.service in services}
    served = max(usable, key=lambda name: qualify(name, PROVIDER_CRD), default="")
    for index, name in enumerate(routers):
        if name in usable and name != served:
            output.report.warning(
                "RouteNotServed",
                f"an entry point serves one route, and that is {served}",
                field=f"spec.routes[{index}]",
                advice="put the services into one route, or the routes into objects with their own entry points",
            )
