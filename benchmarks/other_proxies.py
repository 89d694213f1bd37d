"""Envoy, nginx and HAProxy set up to route one host to one server, and nginx as that server."""

from __future__ import annotations

import json

from benchmarks.processes import find
from benchmarks.setting import HOST, Setting

CHUNKED_PATH = "/chunked"
"""Where the server answers in chunks instead of saying how long the body is."""


def backend(setting: Setting) -> list[str]:
    """The server behind all of them: nginx answering a small body from memory."""
    program = find("nginx")
    if program is None:
        raise RuntimeError("nginx is needed as the backend (Debian: nginx-light)")
    path = setting.folder / "backend.conf"
    answer = 'default_type text/plain; return 200 "0123456789012345678901234567890123456789";'
    path.write_text(
        nginx_head(setting)
        + f"server {{ listen 127.0.0.1:{setting.backend_port} reuseport backlog=4096; keepalive_requests 1000000;"
        + f"location / {{ {answer} }} location {CHUNKED_PATH} {{ ssi on; ssi_types text/plain; {answer} }} }} }}\n"
    )
    return [program, "-c", str(path), "-p", str(setting.folder), "-e", "stderr"]


def nginx_head(setting: Setting) -> str:
    paths = "".join(
        f"{kind}_temp_path {setting.folder}/tmp-{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    clients = 2 * setting.connections  # each has a connection to the server as well
    return (
        "daemon off; master_process off; worker_processes 1; error_log stderr crit;"
        f"pid {setting.folder}/nginx-{setting.port}.pid; events {{ worker_connections {clients}; }}\n"
        f"http {{ access_log off; {paths}\n"
    )


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
        "upgrade_configs": [{"upgrade_type": "websocket"}] if setting.upgrades else [],
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
    upgrade = "proxy_set_header Upgrade $http_upgrade; " if setting.upgrades else ""
    connection = "upgrade" if setting.upgrades else ""
    path = setting.folder / "proxy.conf"
    path.write_text(
        nginx_head(setting) + f"upstream bench {{ server 127.0.0.1:{setting.backend_port}; keepalive 64; "
        "keepalive_requests 1000000; }\n"
        f"server {{ listen 127.0.0.1:{setting.port} backlog=4096; server_name {HOST}; "
        "keepalive_requests 1000000; location / { proxy_pass http://bench; proxy_http_version 1.1; "
        f'{upgrade}proxy_set_header Connection "{connection}"; proxy_set_header Host $host; '
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
        f"global\n  nbthread 1\n  maxconn {setting.connections}\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        "  option forwardfor\n  http-reuse always\n"
        f"frontend web\n  bind 127.0.0.1:{setting.port}\n  acl bench hdr(host) -i {HOST}\n"
        "  http-request set-header X-Forwarded-Proto http\n"
        "  http-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
        "  http-request set-header X-Real-Ip %[src]\n  use_backend bench if bench\n"
        f"backend bench\n  server one 127.0.0.1:{setting.backend_port}\n"
    )
    return [program, "-db", "-f", str(path)]
