"""Which routers stand in which table, and tables in which some were exchanged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from workers.pacing import Pause, paced
from workers.routers import RouterState
from workers.routing.table import Route, RoutingTable


def updated_tables(
    tables: Mapping[str, RoutingTable],
    old: Mapping[str, RouterState],
    new: Mapping[str, RouterState],
    names: Collection[str],
    entry_points_of: Callable[[RouterState | None], Sequence[str]],
    pause: Pause,
) -> dict[str, RoutingTable]:
    """`tables` with the routes of `names` exchanged; one that nothing touched stays the same object."""
    removed: dict[str, set[str]] = {}
    added: dict[str, list[Route]] = {}
    for name in paced(names, pause):
        for entry_point in entry_points_of(old.get(name)):
            removed.setdefault(entry_point, set()).add(name)
        state = new.get(name)
        for entry_point in entry_points_of(state):
            assert state is not None
            assert state.route is not None
            added.setdefault(entry_point, []).append(state.route)
    updated = dict(tables)
    for entry_point in removed.keys() | added.keys():
        updated[entry_point] = updated[entry_point].replaced(
            removed.get(entry_point, ()), added.get(entry_point, ()), pause
        )
    return updated


def mounted(state: RouterState | None) -> Sequence[str]:
    """Entry points whose plaintext table holds the router; one with `tls` never answers plaintext."""
    if state is None or state.route is None or state.critical or state.config.tls is not None:
        return ()
    return state.using


def mounted_secure(state: RouterState | None) -> Sequence[str]:
    """Entry points whose table for TLS holds the router."""
    if state is None or state.route is None or state.critical or state.config.tls is None:
        return ()
    return state.using
