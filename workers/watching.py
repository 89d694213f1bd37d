"""Whose servers are watched: those of services that some router leads to, as in the original.

A service that nobody uses keeps its handler, so that it is at hand when a router comes back to it, but nobody asks
its servers how they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from workers.pacing import Pause, paced
from workers.routers import RouterState
from workers.services import ServiceState
from workers.upstream.monitoring import Monitor


def wanted_monitors(
    routers: Iterable[RouterState], services: Mapping[str, ServiceState], checked: Collection[str], pause: Pause
) -> dict[str, Monitor]:
    """By service: the monitors of those among `checked` that a router leads to, however far."""
    if not checked:
        return {}
    used: set[str] = set()
    for router in paced(routers, pause):
        used |= router.services
    pending = list(used)
    while pending:
        state = services.get(pending.pop())
        for child in state.children() if state is not None else ():
            if child not in used:
                used.add(child)
                pending.append(child)
        pause()
    found = ((name, services[name]) for name in checked if name in used)
    return {
        name: state.monitor for name, state in found if state.handler is not None and state.monitor is not None
    }


def settle(running: Mapping[str, Monitor], wanted: Mapping[str, Monitor]) -> None:
    """Stop what is not wanted any more and start what is wanted now."""
    if running is wanted:
        return
    for name, monitor in running.items():
        if wanted.get(name) is not monitor:
            monitor.stop()
    for name, monitor in wanted.items():
        if running.get(name) is not monitor:
            monitor.start()
