"""Routers and services that Pointsman brings itself: ping, ready, metrics, API, noop.

They are built from the static configuration, live in the same routing tables as everything else, and are
named as the original names them; `ready@internal` is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from config.control_page import Cell, ControlPage, Head
from config.http import Router
from config.middlewares import Middleware
from config.middlewares_paths import RedirectScheme
from config.names import PROVIDER_INTERNAL, normalize
from config.static import StaticConfiguration
from config.static_protocols import RedirectEntryPoint
from workers.exchange import Exchange, Handler

HIGHEST_PRIORITY: Final = (1 << 63) - 1
_KNOWN: Final = {
    "api": "api is not enabled",
    "dashboard": "dashboard is not enabled",
    "ping": "ping is not enabled",
    "ready": "ping is not enabled",
    "prometheus": "prometheus is not enabled",
    "rest": "rest is not enabled",
    "acme-http": "HTTP challenge is not enabled",
}


def internal_routers(static: StaticConfiguration) -> dict[str, Router]:
    """Qualified name to router, for the features that are switched on without manual routing."""
    routers = {}
    if static.ping is not None and not static.ping.manual_routing:
        for name in ("ping", "ready"):
            routers[name] = _router(name, static.ping.entry_point, f"PathPrefix(`/{name}`)", HIGHEST_PRIORITY)
    prometheus = static.metrics.prometheus if static.metrics is not None else None
    if prometheus is not None and not prometheus.manual_routing:
        rule = "PathPrefix(`/metrics`)"
        routers["prometheus"] = _router("prometheus", prometheus.entry_point, rule, HIGHEST_PRIORITY)
    if static.api is not None and static.api.insecure:
        routers["api"] = _router("api", "traefik", "PathPrefix(`/api`)", HIGHEST_PRIORITY - 1)
    for name, point in static.entry_points.items():
        redirect = point.http.redirections.entry_point
        if redirect is not None:
            target = _target_of(name, redirect)
            rule = "HostRegexp(`^.+$`)"
            if point.allow_acme_by_pass:
                rule += " && !PathPrefix(`/.well-known/acme-challenge/`)"
            routers[target] = _router("noop", name, rule, redirect.priority, [f"redirect-{target}"])
    return {f"{name}@{PROVIDER_INTERNAL}": router for name, router in routers.items()}


def _target_of(name: str, redirect: RedirectEntryPoint) -> str:
    return normalize(f"{name}-to-{redirect.to}")


def internal_middlewares(static: StaticConfiguration) -> dict[str, Middleware]:
    """Qualified name to middleware, for the routers above."""
    found = {}
    for name, point in static.entry_points.items():
        redirect = point.http.redirections.entry_point
        if redirect is None:
            continue
        to = redirect.to
        port = to[1:] if to.startswith(":") else str(static.entry_points[to].port)
        scheme = RedirectScheme(scheme=redirect.scheme, port=port, permanent=redirect.permanent)
        key = f"redirect-{_target_of(name, redirect)}@{PROVIDER_INTERNAL}"
        found[key] = Middleware(redirect_scheme=scheme)
    return found


def _router(service: str, entry_point: str, rule: str, priority: int, middlewares: Sequence[str] = ()) -> Router:
    return Router(
        entry_points=[entry_point],
        middlewares=list(middlewares),
        service=f"{service}@{PROVIDER_INTERNAL}",
        rule=rule,
        rule_syntax="default",
        priority=priority,
    )


class InternalServices:
    """Handlers by qualified name; a name whose feature is off gives the sentence for the API instead."""

    def __init__(
        self, static: StaticConfiguration, page: ControlPage, api: Handler, prometheus: Handler | None = None
    ) -> None:
        self._handlers: dict[str, Handler] = {"noop": noop}
        if static.ping is not None:
            self._handlers["ping"] = Ping(page, static.ping.terminating_status_code)
            self._handlers["ready"] = Ready(page)
        if static.api is not None:
            self._handlers["api"] = api
        if prometheus is not None:
            self._handlers["prometheus"] = prometheus

    def names(self) -> list[str]:
        """Qualified names of the services that answer."""
        return [f"{name}@{PROVIDER_INTERNAL}" for name in self._handlers]

    def __call__(self, qualified: str) -> Handler | str:
        name = qualified.removesuffix(f"@{PROVIDER_INTERNAL}")
        return self._handlers.get(name) or _KNOWN.get(name) or f"unknown internal service {qualified}"


def noop(exchange: Exchange) -> None:
    exchange.respond(HTTPStatus.IM_A_TEAPOT, (), b"")


class Ping:
    """200 `OK` while the process is meant to get traffic; another status from the first moment of a stop."""

    def __init__(self, page: ControlPage, terminating_status: int) -> None:
        self._page = page
        self._terminating_status = terminating_status

    def __call__(self, exchange: Exchange) -> None:
        if self._page[Head.TERMINATING]:
            exchange.respond(self._terminating_status, (), _phrase(self._terminating_status))
        else:
            exchange.respond(HTTPStatus.OK, (), b"OK")


class Ready:
    """200 only when every worker serves a configuration made from a complete view of all sources."""

    def __init__(self, page: ControlPage) -> None:
        self._page = page

    def __call__(self, exchange: Exchange) -> None:
        waiting = self._waiting_for()
        status = HTTPStatus.SERVICE_UNAVAILABLE if waiting else HTTPStatus.OK
        exchange.respond(status, _TEXT, f"{waiting or 'OK'}\n".encode())

    def _waiting_for(self) -> str:
        page = self._page
        if page[Head.TERMINATING]:
            return "terminating"
        if page[Head.READY]:
            return ""
        first = page[Head.FIRST_COMPLETE]
        if not first:
            return "no complete configuration yet: not every watched kind has been listed (see the log)"
        behind = [str(slot.index) for slot in page.live_slots() if slot[Cell.GENERATION] < first]
        return f"workers {', '.join(behind)} have not applied generation {first} yet" if behind else ""


_TEXT: Final = ((b"Content-Type", b"text/plain; charset=utf-8"),)


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
