"""Options through the whole tree: what is on answers, what is off does not, a start waits for nobody."""

from __future__ import annotations

import json
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.stage import EXTERNAL, ROUTE
from tests.e2e.tree import REAL, SlowRequest, Tree
from tests.e2e.upstream import Upstream
from tests.kube import KubeServer

pytestmark = pytest.mark.process

INSIDE = "--entryPoints.traefik.address=127.0.0.1:0"
# The arguments of Traefik's Helm chart with its defaults; every port is one of 127.0.0.1.
CHART = """
--entryPoints.metrics.address=127.0.0.1:0/tcp --entryPoints.traefik.address=127.0.0.1:0/tcp
--entryPoints.web.address=127.0.0.1:0/tcp --entryPoints.websecure.address=127.0.0.1:0/tcp
--api.dashboard=true --ping=true --metrics.prometheus=true --metrics.prometheus.entrypoint=metrics
--providers.kubernetescrd --providers.kubernetescrd.allowEmptyServices=true
--providers.kubernetesingress --providers.kubernetesingress.allowEmptyServices=true
--providers.kubernetesingress.ingressendpoint.publishedservice=default/upstream
--entryPoints.websecure.http.tls=true --log.level=INFO
"""


@pytest.fixture
def kube() -> Iterator[KubeServer]:
    with KubeServer() as server:
        yield server


def objects(port: int, rule: str = "Host(`test`)") -> str:
    """One route to the server at this port of 127.0.0.1."""
    route = ROUTE.format(name="test", reference=f"{{name: upstream, port: {port}}}")
    return EXTERNAL.format(name="upstream", host="127.0.0.1", port=port) + route.replace("Host(`test`)", rule)


def status(tree: Tree, path: str, port: int) -> int:
    """Of an answer; 0 while there is none."""
    try:
        return tree.get(path, port).status
    except OSError:
        return 0


def secure_status(port: int, name: str) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
        context.wrap_socket(plain, server_hostname=name) as client,
    ):
        client.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return int(client.makefile("rb").readline().split()[1])


@pytest.mark.behaviour("OP-4")
@pytest.mark.parametrize(("ping", "answer"), [("ping:", 404), ("ping: {}", 200)])
def test_a_section_is_on_when_it_has_a_value(
    start_tree: StartTree, tmp_path: Path, ping: str, answer: int
) -> None:
    file, manifests = tmp_path / "static.yaml", tmp_path / "manifests"
    manifests.mkdir()
    file.write_text(f"""
{ping}
api: {{insecure: true}}
entryPoints: {{web: {{address: "127.0.0.1:0"}}, traefik: {{address: "127.0.0.1:0"}}}}
providers: {{manifests: {{directory: {manifests}}}}}
log: {{level: INFO}}
""")
    tree = start_tree(f"--configFile={file}", program=REAL, base=())
    port = tree.port("traefik")
    tree.wait_for(lambda: status(tree, "/api/version", port) == 200, "the API answers")
    assert status(tree, "/ping", port) == answer


@pytest.mark.behaviour("OP-22")
@pytest.mark.parametrize("api", [(), ("--api=true",)])
@pytest.mark.behaviour("ADV-H-4")
def test_the_api_is_nowhere_unless_it_is_asked_for(
    start_tree: StartTree, tmp_path: Path, api: tuple[str, ...]
) -> None:
    tree = start_tree(INSIDE, "--ping=true", f"--providers.manifests.directory={tmp_path}", *api, program=REAL)
    inside, web = tree.port("traefik"), tree.port()
    tree.wait_for(lambda: status(tree, "/ready", inside) == 200, "it is ready")
    assert {status(tree, path, port) for port in (inside, web) for path in ("/api/rawdata", "/api", "/")} == {404}


@pytest.mark.behaviour("OP-19")
def test_ping_by_a_route_of_ones_own(start_tree: StartTree, tmp_path: Path) -> None:
    tree = start_tree("--ping.manualRouting=true", f"--providers.manifests.directory={tmp_path}", program=REAL)
    port = tree.port()
    tree.wait_for(lambda: status(tree, "/ping", port) == 404, "there is no such route")
    route = ROUTE.format(name="test", reference="{kind: TraefikService, name: ping@internal}")
    (tmp_path / "part").write_text(route)
    (tmp_path / "part").replace(tmp_path / "ping.yaml")
    tree.wait_for(lambda: status(tree, "/ping", port) == 200, "the route leads to it")
    assert tree.get("/ping", port).body == "OK"


@pytest.mark.behaviour("OP-7")
@pytest.mark.behaviour("OP-9")
def test_the_arguments_of_the_chart(start_tree: StartTree, kube: KubeServer) -> None:
    with Upstream() as upstream:
        kube.apply(objects(upstream.port, "Host(`test`) && Path(`/`)"))
        tree = start_tree(
            *CHART.split(),
            f"--providers.kubernetescrd.endpoint={kube.url}",
            f"--providers.kubernetesingress.endpoint={kube.url}",
            "--providers.kubernetescrd.allowExternalNameServices=true",
            "--entryPoints.websecure.http.tls.domains[0].main=a.example",
            "--api.insecure=true",
            program=REAL,
            base=(),
        )
        ports = {name: tree.port(name) for name in ("metrics", "traefik", "web", "websecure")}
        tree.wait_for(lambda: status(tree, "/ready", ports["traefik"]) == 200, "it is ready")
        assert status(tree, "/ping", ports["traefik"]) == 200
        assert "traefik_config_reloads_total" in tree.get("/metrics", ports["metrics"]).body
        assert status(tree, "/other", ports["web"]) == 404
        assert secure_status(ports["websecure"], "unknown") == 404
        assert secure_status(ports["websecure"], "test") == 200
        shown = json.loads(tree.get("/api/entrypoints/websecure", ports["traefik"]).body)
        assert shown["http"]["tls"]["domains"] == [{"main": "a.example"}]


@pytest.mark.behaviour("OP-11")
def test_a_start_without_the_api_server(start_tree: StartTree, kube: KubeServer) -> None:
    with Upstream() as upstream:
        kube.apply(objects(upstream.port))
        kube.stop(hold_port=True)
        tree = start_tree(
            INSIDE,
            "--ping=true",
            f"--providers.kubernetescrd.endpoint={kube.url}",
            "--providers.kubernetescrd.allowExternalNameServices=true",
            program=REAL,
        )
        port = tree.port("traefik")
        tree.wait_for(lambda: status(tree, "/ping", port) == 200, "ping answers")
        assert status(tree, "/ready", port) == 503
        kube.start()
        tree.wait_for(lambda: status(tree, "/ready", port) == 200, "it is ready")
        assert status(tree, "/", tree.port()) == 200


@pytest.mark.behaviour("DP-30")
def test_a_stop_waits_for_answers_but_not_for_ever(start_tree: StartTree, tmp_path: Path) -> None:
    with Upstream() as upstream:
        (tmp_path / "all.yaml").write_text(objects(upstream.port))
        tree = start_tree(
            f"--providers.manifests.directory={tmp_path}",
            "--providers.kubernetescrd.allowExternalNameServices=true",
            "--ping.entryPoint=web",
            program=REAL,
        )
        port = tree.port()
        tree.wait_for(lambda: status(tree, "/ready", port) == 200, "it is ready")
        short, long = SlowRequest(port, 3), SlowRequest(port, 30)
        tree.send(signal.SIGTERM)
        tree.wait_for(lambda: status(tree, "/ready", port) == 0, "new connections are refused")
        assert short.body() == "begun done"
        assert tree.process.poll() is None, "the other answer is still under way"
        assert long.body() == "begun "
        assert tree.wait_exit() == 0
