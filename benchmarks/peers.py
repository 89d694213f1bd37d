"""How each proxy is configured to do the same thing: route one host to one server and add X-Forwarded-*."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import find

HOST = "bench.example"


@dataclass(frozen=True, slots=True)
class Setting:
    """Ports on loopback and a folder of its own."""

    port: int
    backend_port: int
    folder: Path
    observed: bool = False
    """With an access log to a file and Prometheus metrics, where the proxy has them."""

    @property
    def observing_flags(self) -> list[str]:
        """For Traefik, and for us who take the same."""
        if not self.observed:
            return []
        flags = ["--accesslog=true", f"--accesslog.filepath={self.folder / f'access-{self.port}.log'}"]
        return [*flags, "--metrics.prometheus=true", "--metrics.prometheus.manualrouting=true"]


@dataclass(frozen=True, slots=True)
class Peer:
    """`command` writes what the proxy needs into the folder and returns how to start it; None: not installed."""

    name: str
    command: Callable[[Setting], list[str] | None]


def backend(setting: Setting) -> list[str]:
    """The server behind all of them: nginx answering a small body from memory."""
    program = find("nginx")
    if program is None:
        raise RuntimeError("nginx is needed as the backend (Debian: nginx-light)")
    path = setting.folder / "backend.conf"
    path.write_text(
        _nginx_head(setting)
        + f"server {{ listen 127.0.0.1:{setting.backend_port} reuseport backlog=4096; keepalive_requests 1000000;"
        + 'location / { default_type text/plain; return 200 "0123456789012345678901234567890123456789"; } } }\n'
    )
    return [program, "-c", str(path), "-p", str(setting.folder), "-e", "stderr"]


def _nginx_head(setting: Setting) -> str:
    paths = "".join(
        f"{kind}_temp_path {setting.folder}/tmp-{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        "daemon off; master_process off; worker_processes 1; error_log stderr crit;"
        f"pid {setting.folder}/nginx-{setting.port}.pid; events {{ worker_connections 8000; }}\n"
        f"http {{ access_log off; {paths}\n"
    )


def pointsman(setting: Setting) -> list[str] | None:
    manifests = setting.folder / "manifests"
    manifests.mkdir(exist_ok=True)
    (manifests / "bench.json").write_text(json.dumps(route_objects(setting.backend_port)))
    return [
        *(sys.executable, "-m", "master", "run"),
        "--workers=1",
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.manifests.directory={manifests}",
        *setting.observing_flags,
    ]


def route_objects(backend_port: int, name: str = "bench", host: str = HOST) -> dict[str, object]:
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
    dynamic = {
        "http": {
            "routers": {"bench": {"rule": f"Host(`{HOST}`)", "service": "bench", "entryPoints": ["web"]}},
            "services": {"bench": {"loadBalancer": {"servers": [{"url": url}]}}},
        }
    }
    path = setting.folder / "dynamic.yaml"
    path.write_text(json.dumps(dynamic))
    return [
        program,
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.file.filename={path}",
        "--global.checknewversion=false",
        *setting.observing_flags,
    ]


def envoy(setting: Setting) -> list[str] | None:
    program = find("envoy")
    if program is None:
        return None
    path = setting.folder / "envoy.json"
    path.write_text(json.dumps(_envoy_configuration(setting)))
    return [program, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _envoy_configuration(setting: Setting) -> dict[str, object]:
    kind = "type.googleapis.com/envoy.extensions"
    router = {"name": "router", "typed_config": {"@type": f"{kind}.filters.http.router.v3.Router"}}
    manager = {
        "@type": f"{kind}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "use_remote_address": True,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "bench",
                    "domains": [HOST],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "bench"}}],
                }
            ]
        },
        "http_filters": [router],
    }
    endpoint = {"endpoint": {"address": _envoy_address(setting.backend_port)}}
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _envoy_address(setting.port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "bench",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "bench",
                        "endpoints": [{"lb_endpoints": [endpoint]}],
                    },
                }
            ],
        }
    }


def nginx(setting: Setting) -> list[str] | None:
    program = find("nginx")
    if program is None:
        return None
    path = setting.folder / "proxy.conf"
    path.write_text(
        _nginx_head(setting) + f"upstream bench {{ server 127.0.0.1:{setting.backend_port}; keepalive 64; "
        "keepalive_requests 1000000; }\n"
        f"server {{ listen 127.0.0.1:{setting.port} backlog=4096; server_name {HOST}; "
        "keepalive_requests 1000000; location / { proxy_pass http://bench; proxy_http_version 1.1; "
        'proxy_set_header Connection ""; proxy_set_header Host $host; '
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Real-Ip $remote_addr; "
        "proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host; "
        "proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Forwarded-Server $hostname; } } }\n"
    )
    return [program, "-c", str(path), "-p", str(setting.folder), "-e", "stderr"]


def haproxy(setting: Setting) -> list[str] | None:
    program = find("haproxy")
    if program is None:
        return None
    path = setting.folder / "haproxy.cfg"
    path.write_text(
        "global\n  nbthread 1\n  maxconn 4000\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        "  option forwardfor\n  http-reuse always\n"
        f"frontend web\n  bind 127.0.0.1:{setting.port}\n  acl bench hdr(host) -i {HOST}\n"
        "  http-request set-header X-Forwarded-Proto http\n"
        "  http-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
        "  http-request set-header X-Real-Ip %[src]\n  use_backend bench if bench\n"
        f"backend bench\n  server one 127.0.0.1:{setting.backend_port}\n"
    )
    return [program, "-db", "-f", str(path)]


PEERS = (
    Peer("pointsman", pointsman),
    Peer("traefik", traefik),
    Peer("envoy", envoy),
    Peer("nginx", nginx),
    Peer("haproxy", haproxy),
)
