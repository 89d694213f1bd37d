"""How each proxy is configured to do the same thing: route one host to one server and add X-Forwarded-*."""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.other_proxies import envoy, haproxy, nginx
from benchmarks.processes import find
from benchmarks.setting import HOST, Peer, Setting


def pointsman(setting: Setting) -> list[str] | None:
    manifests = setting.folder / "manifests"
    manifests.mkdir(exist_ok=True)
    (manifests / "bench.json").write_text(json.dumps(all_routes(setting.routes, setting.backend_port)))
    return [
        *(sys.executable, "-m", "master", "run"),
        f"--workers={setting.workers}",
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.manifests.directory={manifests}",
        *setting.observing_flags,
    ]


def host_of(number: int, routes: int) -> str:
    """Host of one of so many routes; the last is the one that the load asks for."""
    return HOST if number == routes - 1 else f"app-{number}.example"


def all_routes(routes: int, backend_port: int) -> dict[str, Any]:
    """So many IngressRoutes with a Service and an EndpointSlice each, as one v1 List."""
    items: list[object] = []
    for number in range(routes):
        items += route_objects(backend_port, f"bench-{number}", host_of(number, routes))["items"]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def route_objects(backend_port: int, name: str = "bench", host: str = HOST) -> dict[str, Any]:
    """One IngressRoute with its Service and EndpointSlice, as a v1 List."""
    labels = {"kubernetes.io/service-name": name}
    port = {"name": "", "port": backend_port, "protocol": "TCP"}
    service = {"name": name, "port": 80}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "traefik.io/v1alpha1",
                "kind": "IngressRoute",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"routes": [{"kind": "Rule", "match": f"Host(`{host}`)", "services": [service]}]},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": "default", "labels": labels},
                "addressType": "IPv4",
                "ports": [port],
                "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True, "serving": True}}],
            },
        ],
    }


def traefik(setting: Setting) -> list[str] | None:
    program = find("traefik")
    if program is None:
        return None
    url = f"http://127.0.0.1:{setting.backend_port}"
    routers, services = {}, {}
    for number in range(setting.routes):
        name, host = f"bench-{number}", host_of(number, setting.routes)
        routers[name] = {"rule": f"Host(`{host}`)", "service": name, "entryPoints": ["web"]}
        services[name] = {"loadBalancer": {"servers": [{"url": url}]}}
    path = setting.folder / "dynamic.yaml"
    path.write_text(json.dumps({"http": {"routers": routers, "services": services}}))
    return [
        program,
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.file.filename={path}",
        "--global.checknewversion=false",
        *setting.observing_flags,
    ]


PEERS = (
    Peer("pointsman", pointsman),
    Peer("traefik", traefik),
    Peer("envoy", envoy),
    Peer("nginx", nginx),
    Peer("haproxy", haproxy),
)
