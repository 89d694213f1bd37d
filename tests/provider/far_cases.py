"""Objects that are not served for what lies outside of them, and some that are, for `test_workers_agree_afar`."""

from __future__ import annotations

from typing import Any

from tests.provider.support import Json, middleware, route, rule
from tests.provider.translate.routes import custom

A: Json = {"name": "web", "port": 80}
BROKEN = middleware("m", addPrefix={})
ANNOTATION = "traefik.ingress.kubernetes.io/"
CYCLE = [
    route("r", rule("Path(`/`)", A), parentRefs=[{"name": "p"}]),
    route("p", rule("Host(`a`)"), parentRefs=[{"name": "r"}]),
]


def tcp(name: str = "r", service: Json = A, match: str = "HostSNI(`*`)", **spec: Any) -> Json:
    one = {"match": match, "services": [service], **spec.pop("route", {})}
    return custom("IngressRouteTCP", name, routes=[one], **spec)


def udp(name: str = "r", service: Json = A, **spec: Any) -> Json:
    return custom("IngressRouteUDP", name, routes=[{"services": [service]}], **spec)


def named(service: str, **more: Any) -> Json:
    return {"kind": "TraefikService", "name": service, **more}


def web_route(*routes: Json, **spec: Any) -> Json:
    return route("r", *(routes or (rule("Host(`a`)", A),)), **spec)


def using(*middlewares: str) -> Json:
    return web_route(rule("Host(`a`)", A, middlewares=[{"name": name} for name in middlewares]))


def ingress(name: str = "i", host: str = "a", service: str = "web", **annotations: str) -> Json:
    """`annotations` without their prefix, `_` for a dot."""
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
    written = {f"{ANNOTATION}{key.replace('_', '.')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": written},
        "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]},
    }


def service_with(**annotations: str) -> list[Json]:
    written = {f"{ANNOTATION}service.{key}": value for key, value in annotations.items()}
    metadata = {"name": "other", "namespace": "default", "annotations": written}
    spec = {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "other",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "other"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.0.0.2"], "conditions": {"ready": True}}],
    }
    return [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}, piece]


def child(**spec: Any) -> Json:
    return route("c", rule("Path(`/`)", A), parentRefs=[{"name": "p"}], **spec)


def parent(*routes: Json, **spec: Any) -> Json:
    return route("p", *(routes or (rule("Host(`a`)"),)), **spec)


ENTRY_POINTS: dict[str, list[Json]] = {
    "none of them exists": [web_route(entryPoints=["nope", "neither"])],
    "one for UDP": [web_route(entryPoints=["dns"])],
    "TCP: none exists": [tcp(entryPoints=["nope"])],
    "TCP: one for UDP": [tcp(entryPoints=["dns"])],
    "UDP: none exists": [udp(entryPoints=["nope"])],
    "UDP: one for TCP": [udp(entryPoints=["web"])],
    "UDP: no service": [udp(service={"name": "gone", "port": 80})],
    "an Ingress": [ingress(router_entrypoints="nope")],
    "an Ingress, for UDP": [ingress(router_entrypoints="dns")],
}
OTHER_PROVIDERS: dict[str, list[Json]] = {
    "middleware": [using("m@file")],
    "internal middleware": [using("redirect@internal")],
    "one of the other provider": [using("default-m@kubernetes")],
    "the second middleware": [middleware("good", addPrefix={"prefix": "/a"}), using("good", "m@consul")],
    "service": [web_route(rule("Host(`a`)", named("web@docker")))],
    "service that is switched off": [web_route(rule("Host(`a`)", named("api@internal")))],
    "internal service": [web_route(rule("Host(`a`)", named("nonsense@internal")))],
    "service of an Ingress": [web_route(rule("Host(`a`)", named("default-web-80@kubernetes")))],
    "one of several services": [web_route(rule("Host(`a`)", A, named("web@docker")))],
    "service in a TraefikService": [
        custom("TraefikService", "s", mirroring={**A, "mirrors": [named("web@file", percent=1)]}),
        web_route(rule("Host(`a`)", named("s"))),
    ],
    "service of error pages": [
        middleware("m", errors={"status": ["404"], "service": named("web@file")}),
        using("m"),
    ],
    "middleware in a chain": [middleware("m", chain={"middlewares": [{"name": "x@file"}]}), using("m")],
    "transport": [web_route(rule("Host(`a`)", {**A, "serversTransport": "t@file"}))],
    "option": [web_route(tls={"options": {"name": "o@file"}})],
    "the default option of a provider": [web_route(tls={"options": {"name": "default@kubernetes"}})],
    "middleware of a service": [web_route(rule("Host(`a`)", {**A, "middlewares": [{"name": "m@file"}]}))],
    "TCP middleware": [tcp(route={"middlewares": [{"name": "m@file"}]})],
    "TCP transport": [tcp(service={**A, "serversTransport": "t@file"})],
    "TCP option": [tcp(match="HostSNI(`a`)", tls={"options": {"name": "o@file"}})],
}
INGRESSES: dict[str, list[Json]] = {
    "broken middleware": [BROKEN, ingress(router_middlewares="default-m@kubernetescrd")],
    "no middleware": [ingress(router_middlewares="default-gone@kubernetescrd")],
    "middleware without a provider": [BROKEN, ingress(router_middlewares="default-m")],
    "chain of a broken one": [
        BROKEN,
        middleware("c", chain={"middlewares": [{"name": "m"}]}),
        ingress(router_middlewares="default-c@kubernetescrd"),
    ],
    "no option": [ingress(router_tls_options="default-o@kubernetescrd")],
    "broken option": [
        custom("TLSOption", "o", clientAuth={"clientAuthType": "RequireAndVerifyClientCert"}),
        ingress(router_tls_options="default-o@kubernetescrd"),
    ],
    "transport of the Service": [*service_with(serverstransport="gone@kubernetescrd"), ingress(service="other")],
    "middleware of the Service": [
        BROKEN,
        *service_with(middlewares="default-m@kubernetescrd"),
        ingress(service="other"),
    ],
    "route to such a service": [
        BROKEN,
        *service_with(middlewares="default-m@kubernetescrd"),
        ingress(service="other"),
        web_route(rule("Host(`b`)", named("default-other-80@kubernetes"))),
    ],
    "priority": [ingress(router_priority=str((1 << 63) - 1))],
}
FAMILIES: dict[str, list[Json]] = {
    "broken reference of the child": [
        BROKEN,
        parent(),
        route("c", rule("Path(`/`)", A, middlewares=[{"name": "m"}]), parentRefs=[{"name": "p"}]),
    ],
    "broken reference of the parent": [BROKEN, parent(rule("Host(`a`)", middlewares=[{"name": "m"}])), child()],
    "missing reference of the parent": [parent(rule("Host(`a`)", middlewares=[{"name": "m@file"}])), child()],
    "entry point of the parent": [parent(entryPoints=["nope"]), child()],
    "option of the parent": [parent(tls={"options": {"name": "gone"}}), child()],
    "rule of the parent": [parent(rule("Hots(`a`)")), child()],
    "parent of another class": [parent(ingressClassName="other"), child()],
    "parent without an own parent": [parent(parentRefs=[{"name": "gone"}]), child()],
    "grandchild": [
        BROKEN,
        parent(rule("Host(`a`)", middlewares=[{"name": "m"}])),
        route("c", rule("PathPrefix(`/`)"), parentRefs=[{"name": "p"}]),
        route("d", rule("Path(`/x`)", A), parentRefs=[{"name": "c"}]),
    ],
    "only grandchild": [
        BROKEN,
        parent(),
        route("c", rule("PathPrefix(`/`)"), parentRefs=[{"name": "p"}]),
        route("d", rule("Path(`/x`)", A, middlewares=[{"name": "m"}]), parentRefs=[{"name": "c"}]),
    ],
    "cycle": CYCLE,
}
TLS: dict[str, list[Json]] = {
    "broken default option": [
        custom("TLSOption", "default", clientAuth={"clientAuthType": "RequireAndVerifyClientCert"}),
        web_route(tls={}),
        tcp("t", match="HostSNI(`a`)", tls={}),
        ingress(router_tls="true", host="b"),
    ],
}
HOLES = {
    f"{title}: {name}": objects
    for title, cases in {
        "entry points": ENTRY_POINTS,
        "other providers": OTHER_PROVIDERS,
        "Ingress": INGRESSES,
        "families": FAMILIES,
        "TLS": TLS,
    }.items()
    for name, objects in cases.items()
}
SERVED: dict[str, list[Json]] = {
    "one of two entry points exists": [web_route(entryPoints=["web", "nope"])],
    "entry points are written twice": [web_route(entryPoints=["web", "web"])],
    "TCP: one of two": [tcp(entryPoints=["postgres", "nope"])],
    "UDP: one of two": [udp(entryPoints=["dns", "web"])],
    "an Ingress: one of two": [ingress(router_entrypoints="web, nope")],
    "internal service": [web_route(rule("Host(`a`)", named("noop@internal")))],
    "internal transport": [web_route(rule("Host(`a`)", {**A, "serversTransport": "default@internal"}))],
    "service of an Ingress": [ingress(), web_route(rule("Host(`b`)", named("default-web-80@kubernetes")))],
    "middleware of an Ingress": [
        middleware("m", addPrefix={"prefix": "/a"}),
        ingress(router_middlewares="default-m@kubernetescrd"),
    ],
    "transport of an Ingress": [
        custom("ServersTransport", "t", serverName="a"),
        *service_with(serverstransport="default-t@kubernetescrd"),
        ingress(service="other"),
    ],
    "option of an Ingress": [custom("TLSOption", "o"), ingress(router_tls_options="default-o@kubernetescrd")],
    "default option, twice": [
        custom("TLSOption", "default", clientAuth={"clientAuthType": "RequireAndVerifyClientCert"}),
        custom("TLSOption", "default", namespace="other"),
        web_route(tls={}),
    ],
    "broken default option and no TLS": [
        custom("TLSOption", "default", clientAuth={"clientAuthType": "RequireAndVerifyClientCert"}),
        web_route(),
        tcp("t", match="HostSNI(`a`)", tls={"passthrough": True}),
    ],
    "a missing option beside passthrough": [
        tcp(match="HostSNI(`a`)", tls={"passthrough": True, "options": {"name": "gone"}})
    ],
    "a broken option beside passthrough": [
        custom("TLSOption", "o", clientAuth={"clientAuthType": "RequireAndVerifyClientCert"}),
        tcp(match="HostSNI(`a`)", tls={"passthrough": True, "options": {"name": "o"}}),
    ],
    "a family": [parent(), child()],
    "what nobody uses is broken": [BROKEN, middleware("n", chain={"middlewares": [{"name": "m"}]}), web_route()],
}
REFERRERS: dict[str, list[Json]] = {
    "Middleware": [middleware("oops", addPrefix={"prefix": "/a"}), using("oops")],
    "Middleware of an Ingress": [
        middleware("oops", addPrefix={"prefix": "/a"}),
        ingress(router_middlewares="default-oops@kubernetescrd"),
    ],
    "Middleware in a chain": [
        middleware("oops", addPrefix={"prefix": "/a"}),
        middleware("m", chain={"middlewares": [{"name": "oops"}]}),
        using("m"),
    ],
    "MiddlewareTCP": [
        custom("MiddlewareTCP", "oops", inFlightConn={"amount": 1}),
        tcp(route={"middlewares": [{"name": "oops"}]}),
    ],
    "TraefikService": [
        custom("TraefikService", "oops", weighted={"services": [A]}),
        web_route(rule("Host(`a`)", named("oops"))),
    ],
    "ServersTransport": [
        custom("ServersTransport", "oops"),
        web_route(rule("Host(`a`)", {**A, "serversTransport": "oops"})),
    ],
    "ServersTransportTCP": [custom("ServersTransportTCP", "oops"), tcp(service={**A, "serversTransport": "oops"})],
    "TLSOption": [custom("TLSOption", "oops"), web_route(tls={"options": {"name": "oops"}})],
    "parent": [
        route("oops", rule("Host(`a`)")),
        route("r", rule("Path(`/`)", A), parentRefs=[{"name": "oops"}]),
    ],
}
