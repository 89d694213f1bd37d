"""Which routers' requests are counted and logged: decided when the router is built, read as two bits later.

A router may switch itself off (`observability`), its entry point may do so for it, and what leads to a service of
our own (ping, API, redirections) is not shown unless `addInternals` asks for it.
"""

from __future__ import annotations

from config.http import Router
from config.names import PROVIDER_INTERNAL, provider_of
from config.static import EntryPoint, StaticConfiguration
from workers.routing.route import COUNTED, LOGGED


def visibility(router: Router, service: str, static: StaticConfiguration) -> int:
    """Bits of Route.visible. `router` has its entry point's defaults filled in; `service`: its qualified name."""
    given = router.observability
    is_counted = given is None or given.metrics is not False
    is_logged = given is None or given.access_logs is not False
    if service and provider_of(service) == PROVIDER_INTERNAL:
        is_counted &= static.metrics is not None and static.metrics.add_internals
        is_logged &= static.access_log is not None and static.access_log.add_internals
    return COUNTED * is_counted | LOGGED * is_logged


def unmatched_visibility(entry_point: EntryPoint) -> int:
    """The same for requests that no router wants."""
    given = entry_point.observability
    if given is None:
        return COUNTED | LOGGED
    return COUNTED * given.metrics | LOGGED * given.access_logs
