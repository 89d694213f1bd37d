"""`/api`: the running configuration as Traefik's JSON, answered by any worker from its own runtime.

`/api/findings` is ours: what the provider found wrong with objects, `config.findings.Finding` as JSON. The query
may name `kind`, `namespace` and `severity`, each any number of times.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from config.findings import Finding
from config.static import API, StaticConfiguration
from workers.api_certificates import count_certificates, describe_certificate
from workers.api_entry_points import describe_entry_point
from workers.api_lists import Item, ListError, ListQuery, page_of, select
from workers.api_shapes import (
    describe_internal,
    describe_middleware,
    describe_router,
    describe_service,
    named,
    named_middleware,
    used_by_middleware,
    used_by_service,
)
from workers.exchange import Exchange
from workers.middlewares.chains import MiddlewareState
from workers.pacing import Pacer
from workers.routers import RouterState
from workers.runtime import Runtime, shown_certificates
from workers.tcp import api as tcp
from workers.udp import api as udp

_JSON: Final = ((b"Content-Type", b"application/json"),)
_JSON_UTF8: Final = ((b"Content-Type", b"application/json; charset=UTF-8"),)
_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff"))
_FILTERS: Final = ("kind", "namespace", "severity")


class APIHandler:
    """Handler of `api@internal`. `runtime` gives the running configuration at the moment of the request."""

    def __init__(
        self,
        static: StaticConfiguration,
        runtime: Callable[[], Runtime],
        internal_services: Callable[[], Iterable[str]],
        findings: Callable[[], Iterable[Finding]] = list,
    ) -> None:
        self._static = static
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
        self._collections: dict[bytes, tuple[str, Callable[[], list[Item]]]] = {
            f"{prefix}/api/{path}".encode(): (noun, items)
            for path, noun, items in (
                ("entrypoints", "entry point", self._entry_points),
                ("http/routers", "router", self._routers),
                ("http/services", "service", self._services),
                ("http/middlewares", "middleware", self._middlewares),
                ("certificates", "certificate", self._certificates),
                ("tcp/routers", "router", lambda: tcp.list_routers(runtime().tcp, Pacer())),
                ("tcp/services", "service", lambda: tcp.list_services(runtime().tcp, Pacer())),
                ("tcp/middlewares", "middleware", lambda: tcp.list_middlewares(runtime().tcp, Pacer())),
                ("udp/routers", "router", lambda: udp.list_routers(runtime().udp)),
                ("udp/services", "service", lambda: udp.list_services(runtime().udp)),
            )
        }

    def __call__(self, exchange: Exchange) -> None:
        answer = self._page(exchange.request.path)
        if answer is None:
            exchange.respond(404, _PLAIN, b"404 page not found\n")
        elif exchange.request.method != b"GET":
            exchange.respond(405, (), b"")
        else:
            answer(exchange)

    def _page(self, path: bytes) -> Callable[[Exchange], None] | None:
        page = self._pages.get(path)
        if page is not None:
            return page
        if path in self._collections:
            return partial(self._list, self._collections[path][1])
        parent, _, name = path.rpartition(b"/")
        if parent in self._collections and name:
            noun, items = self._collections[parent]
            return partial(self._one, noun, items, unquote(name.decode(errors="replace")))
        return None

    def _list(self, items: Callable[[], list[Item]], exchange: Exchange) -> None:
        try:
            query = ListQuery.of(exchange.request.query_values())
            page, following = page_of(select(items(), query), query)
        except ListError as error:
            _refuse(exchange, 400, str(error))
        else:
            exchange.respond(200, (*_JSON, (b"X-Next-Page", b"%d" % following)), go_json(page))

    def _one(self, noun: str, items: Callable[[], list[Item]], name: str, exchange: Exchange) -> None:
        for item in items():
            if item["name"] == name:
                exchange.respond(200, _JSON, go_json(item))
                return
        _refuse(exchange, 404, f"{noun} not found: {name}")

    def _entry_points(self) -> list[Item]:
        return [describe_entry_point(name, one) for name, one in self._static.entry_points.items()]

    def _routers(self) -> list[Item]:
        runtime, pause, routers = self._runtime(), Pacer(), []
        for name, router in runtime.routers.items():
            routers.append(named(name, describe_router(router, runtime.attached_as)))
            pause()
        return routers

    def _services(self) -> list[Item]:
        runtime, pause = self._runtime(), Pacer()
        used_by, services = used_by_service(runtime), []
        for name, service in runtime.services.items():
            services.append(named(name, describe_service(service, used_by)))
            pause()
        return services + [named(name, describe_internal(name, used_by)) for name in self._internal_services()]

    def _middlewares(self) -> list[Item]:
        runtime, pause = self._runtime(), Pacer()
        used_by, middlewares = used_by_middleware(runtime), []
        for name, state in runtime.middlewares.items():
            middlewares.append(named_middleware(name, describe_middleware(state, used_by)))
            pause()
        return middlewares

    def _certificates(self) -> list[Item]:
        pause, found = Pacer(), {}
        for certificate in shown_certificates(self._runtime()):
            item = describe_certificate(certificate)
            found[item["name"]] = item
            pause()
        return list(found.values())

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
        used_by, users = used_by_service(runtime), used_by_middleware(runtime)
        routers, services = {}, {}
        for name, router in sorted(runtime.routers.items()):
            routers[name] = describe_router(router, runtime.attached_as)
            pause()
        for name, service in sorted(runtime.services.items()):
            services[name] = describe_service(service, used_by)
            pause()
        for name in self._internal_services():
            services[name] = describe_internal(name, used_by)
        middlewares = {
            name: describe_middleware(state, users) for name, state in sorted(runtime.middlewares.items())
        }
        members = {"routers": routers, "middlewares": middlewares, "services": dict(sorted(services.items()))}
        members |= tcp.rawdata(runtime.tcp, pause) | udp.rawdata(runtime.udp)
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
        exchange.respond(
            200,
            _JSON,
            go_json(
                {
                    "http": {
                        "routers": _count_routers(runtime.routers.values()),
                        "services": _counts(services, 0, broken),
                        "middlewares": _count_middlewares(runtime.middlewares.values()),
                    },
                    "tcp": tcp.overview(runtime.tcp),
                    "udp": udp.overview(runtime.udp),
                    "certificates": count_certificates(shown_certificates(runtime)),
                    "features": _features(self._static),
                    "providers": _providers(self._static),
                }
            ),
        )


def _features(static: StaticConfiguration) -> dict[str, object]:
    is_counting = static.metrics is not None and static.metrics.prometheus is not None
    return {
        "tracing": "",
        "metrics": "Prometheus" if is_counting else "",
        "accessLog": static.access_log is not None,
    }


def _providers(static: StaticConfiguration) -> list[str]:
    """Names of the providers that are on, in the original's order; manifests stand for custom resources."""
    providers = static.providers
    crd = providers.kubernetes_crd is not None or providers.manifests is not None
    known = {"KubernetesIngress": providers.kubernetes_ingress is not None, "KubernetesCRD": crd}
    return [name for name, is_on in known.items() if is_on]


def _refuse(exchange: Exchange, status: int, message: str) -> None:
    """An error of the API: JSON in a text/plain answer, as the original sends it."""
    exchange.respond(status, _PLAIN, go_json({"message": message}))


def _count_routers(routers: Iterable[RouterState]) -> dict[str, int]:
    statuses = [router.status for router in routers]
    return _counts(len(statuses), statuses.count("warning"), statuses.count("disabled"))


def _count_middlewares(middlewares: Iterable[MiddlewareState]) -> dict[str, int]:
    statuses = [state.status for state in middlewares]
    return _counts(len(statuses), statuses.count("warning"), statuses.count("disabled"))


def _counts(total: int, warnings: int, errors: int) -> dict[str, int]:
    return {"total": total, "warnings": warnings, "errors": errors}


def go_json(value: Any) -> bytes:
    """JSON bytes with a newline behind and the characters escaped that Go's encoder escapes."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in "&<>":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode() + b"\n"
