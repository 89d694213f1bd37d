"""`/api`: the running configuration as Traefik's JSON, answered by any worker from its own runtime.

`/api/findings` is ours: what the provider found wrong with objects, `config.findings.Finding` as JSON. The query
may name `kind`, `namespace` and `severity`, each any number of times.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import msgspec

from config.findings import Finding
from config.http import LoadBalancer
from config.names import resolve_reference
from config.static import API, StaticConfiguration
from workers.exchange import Exchange
from workers.reload import Pacer
from workers.runtime import RouterState, Runtime
from workers.services import ServiceState

_JSON: Final = ((b"Content-Type", b"application/json"),)
_JSON_UTF8: Final = ((b"Content-Type", b"application/json; charset=UTF-8"),)
_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff"))
_FILTERS: Final = ("kind", "namespace", "severity")
_OBSERVABILITY: Final = {"accessLogs": True, "metrics": True, "tracing": True, "traceVerbosity": "minimal"}


class APIHandler:
    """Handler of `api@internal`. `runtime` gives the running configuration at the moment of the request."""

    def __init__(
        self,
        static: StaticConfiguration,
        runtime: Callable[[], Runtime],
        internal_services: Callable[[], Iterable[str]],
        findings: Callable[[], Iterable[Finding]] = list,
    ) -> None:
        self._api = static.api or API()
        self._runtime = runtime
        self._internal_services = internal_services
        self._all_findings = findings
        self._started = datetime.now(UTC)
        prefix = self._api.base_path.rstrip("/")
        self._pages: dict[bytes, Callable[[Exchange], None]] = {
            f"{prefix}/api/version".encode(): self._version,
            f"{prefix}/api/rawdata".encode(): self._rawdata,
            f"{prefix}/api/overview".encode(): self._overview,
            f"{prefix}/api/findings".encode(): self._findings,
        }

    def __call__(self, exchange: Exchange) -> None:
        page = self._pages.get(exchange.request.path)
        if page is None:
            exchange.respond(404, _PLAIN, b"404 page not found\n")
        elif exchange.request.method != b"GET":
            exchange.respond(405, (), b"")
        else:
            page(exchange)

    def _version(self, exchange: Exchange) -> None:
        members: dict[str, Any] = {
            "Version": version("pointsman"),
            "Codename": f"python-{platform.python_version()}",
            "startDate": self._started.isoformat().replace("+00:00", "Z"),
        }
        if self._api.disable_dashboard_ad:
            members["disableDashboardAd"] = True
        if self._api.dashboard_name:
            members["dashboardName"] = self._api.dashboard_name
        exchange.respond(200, _JSON_UTF8, go_json(members))

    def _rawdata(self, exchange: Exchange) -> None:
        pause = Pacer()
        runtime = self._runtime()
        used_by = _used_by(runtime)
        routers, services = {}, {}
        for name, router in sorted(runtime.routers.items()):
            routers[name] = describe_router(router)
            pause()
        for name, service in sorted(runtime.services.items()):
            services[name] = describe_service(service, used_by)
            pause()
        for name in self._internal_services():
            services[name] = {"status": "enabled"} | _listed("usedBy", used_by.get(name, ()))
        members = {"routers": routers, "services": dict(sorted(services.items()))}
        exchange.respond(200, _JSON, go_json({key: value for key, value in members.items() if value}))

    def _findings(self, exchange: Exchange) -> None:
        query = exchange.request.query_values()
        wanted = {name: query[name.encode()] for name in _FILTERS if name.encode() in query}
        found = [
            finding
            for finding in self._all_findings()
            if all(getattr(finding, name).encode() in values for name, values in wanted.items())
        ]
        found.sort(key=lambda one: (one.severity != "error", one.kind, one.namespace, one.name))
        exchange.respond(200, _JSON, msgspec.json.encode(found) + b"\n")

    def _overview(self, exchange: Exchange) -> None:
        runtime = self._runtime()
        services = len(runtime.services) + len(list(self._internal_services()))
        broken = sum(1 for service in runtime.services.values() if service.errors)
        nothing = _counts(0, 0, 0)
        exchange.respond(
            200,
            _JSON,
            go_json(
                {
                    "http": {
                        "routers": _count_routers(runtime.routers.values()),
                        "services": _counts(services, 0, broken),
                        "middlewares": nothing,
                    },
                    "tcp": {"routers": nothing, "services": nothing, "middlewares": nothing},
                    "udp": {"routers": nothing, "services": nothing},
                    "certificates": nothing,
                    "features": {"tracing": "", "metrics": "", "accessLog": False},
                    "providers": ["KubernetesCRD"],
                }
            ),
        )


def describe_router(state: RouterState) -> dict[str, Any]:
    """One router as `/api/rawdata` shows it."""
    config = state.config
    members: dict[str, Any] = msgspec.to_builtins(config)
    if state.qualified_middlewares and config.middlewares:
        members["middlewares"] = [resolve_reference(one, state.name) for one in config.middlewares]
    if state.using and not config.entry_points:
        members["entryPoints"] = state.using
    if state.priority:
        members["priority"] = state.priority
    if not config.parent_refs:
        members["observability"] = _OBSERVABILITY | members.get("observability", {})
    if config.tls is not None:
        members["tls"] = members.get("tls", {})
    return members | _listed("error", state.errors) | {"status": state.status} | _listed("using", state.using)


def describe_service(state: ServiceState, used_by: Mapping[str, list[str]]) -> dict[str, Any]:
    """One service as `/api/rawdata` shows it; the servers come back from their own section."""
    members: dict[str, Any] = msgspec.to_builtins(state.config)
    balancer = state.config.load_balancer
    if balancer is not None:
        members["loadBalancer"] = _describe_balancer(balancer, state)
    members |= _listed("error", state.errors) | {"status": "disabled" if state.errors else "enabled"}
    members |= _listed("usedBy", used_by.get(state.name, ()))
    if state.built and state.servers and not state.errors:
        members["serverStatus"] = {server.url: "UP" for server in state.servers}
    return members


def _describe_balancer(balancer: LoadBalancer, state: ServiceState) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(balancer)
    if state.servers:
        members["servers"] = msgspec.to_builtins(state.servers)
    if state.built and balancer.servers_transport:
        members["serversTransport"] = resolve_reference(balancer.servers_transport, state.name)
    return members


def _used_by(runtime: Runtime) -> dict[str, list[str]]:
    used_by: dict[str, list[str]] = {}
    for name in sorted(runtime.routers):
        service = runtime.routers[name].service
        if service:
            used_by.setdefault(service, []).append(name)
    return used_by


def _listed(key: str, values: Iterable[str]) -> dict[str, list[str]]:
    """`{key: values}`, or nothing where there are none: empty members are left out."""
    listed = list(values)
    return {key: listed} if listed else {}


def _count_routers(routers: Iterable[RouterState]) -> dict[str, int]:
    statuses = [router.status for router in routers]
    return _counts(len(statuses), statuses.count("warning"), statuses.count("disabled"))


def _counts(total: int, warnings: int, errors: int) -> dict[str, int]:
    return {"total": total, "warnings": warnings, "errors": errors}


def go_json(value: Any) -> bytes:
    """JSON bytes with a newline behind and the characters escaped that Go's encoder escapes."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in "&<>":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode() + b"\n"
