"""The in-memory API server under real clients: kubectl and Traefik, whose Go client is what clusters meet."""

from __future__ import annotations

import http.client
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kube import KubeServer
from tests.waiting import wait_until

DEADLINE = 60.0
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: web}
spec: {ports: [{name: http, port: 80}]}
"""
ROUTE = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: whoami, namespace: web}
spec: {entryPoints: [web], routes: [{kind: Rule, match: Host(`a.test`), services: [{name: whoami, port: http}]}]}
"""
TRAEFIK_WATCHES = (
    *("IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP", "TraefikService"),
    *("TLSOption", "TLSStore", "ServersTransport", "ServersTransportTCP"),
    *("Service", "EndpointSlice", "Secret", "ConfigMap", "Node"),
)

pytestmark = pytest.mark.process


def program(name: str) -> str:
    """The program of this environment or of PATH; skips the test without one."""
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name, path=f"{beside_python}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with KubeServer() as started:
        yield started


# --- kubectl ----------------------------------------------------------------------------------------------


class Kubectl:
    """kubectl talking to one server, with files of its own."""

    def __init__(self, server: KubeServer, folder: Path) -> None:
        self.command = [
            program("kubectl"),
            "--server",
            server.url,
            "--cache-dir",
            str(folder),
            "--namespace",
            "web",
        ]
        self.environment = {"HOME": str(folder), "KUBECONFIG": str(folder / "none"), "PATH": os.defpath}

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Output of a command that must end with `code`."""
        done = subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=DEADLINE,
            env=self.environment,
            check=False,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def read(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--output", "json"))

    @contextmanager
    def watching(self, *arguments: str) -> Iterator[Callable[[], str]]:
        """Lines that a command prints while it runs."""
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        with subprocess.Popen(
            [*self.command, *arguments], text=True, stdout=subprocess.PIPE, env=self.environment
        ) as process:
            assert process.stdout is not None
            reader = threading.Thread(target=_put_lines, args=(process.stdout, lines))
            reader.start()
            try:
                yield lambda: lines.get(timeout=DEADLINE).strip()
            finally:
                process.kill()
                reader.join(DEADLINE)


def _put_lines(stream: Iterable[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)


@pytest.fixture
def kubectl(server: KubeServer, tmp_path: Path) -> Kubectl:
    return Kubectl(server, tmp_path)


def test_kubectl_apply_three_ways(server: KubeServer, kubectl: Kubectl) -> None:
    output = kubectl.run("apply", "--filename", "-", stdin=f"{SERVICE}---{ROUTE}")
    assert output == "service/whoami created\ningressroute.traefik.io/whoami created\n"
    output = kubectl.run("apply", "--filename", "-", stdin=f"{SERVICE}---{ROUTE}")
    assert output == "service/whoami unchanged\ningressroute.traefik.io/whoami unchanged\n"
    two_ports = SERVICE.replace("port: 80}]", "port: 80, targetPort: 8080}, {name: https, port: 443}]")
    output = kubectl.run("apply", "--filename", "-", stdin=f"{two_ports}---{ROUTE.replace('a.test', 'b.test')}")
    assert output == "service/whoami configured\ningressroute.traefik.io/whoami configured\n"
    ports = server.get("Service", "web", "whoami")["spec"]["ports"]
    assert [(port["name"], port["targetPort"]) for port in ports] == [("http", 8080), ("https", 443)]
    assert server.get("IngressRoute", "web", "whoami")["spec"]["routes"][0]["match"] == "Host(`b.test`)"
    kubectl.run("apply", "--filename", "-", stdin=SERVICE)
    assert [port["name"] for port in server.get("Service", "web", "whoami")["spec"]["ports"]] == ["http"]


def test_kubectl_server_side_apply_and_dry_run(server: KubeServer, kubectl: Kubectl) -> None:
    options = ("apply", "--server-side", "--filename", "-")
    assert "serverside-applied" in kubectl.run(*options, "--dry-run=server", stdin=ROUTE)
    assert server.objects("IngressRoute") == []
    assert "serverside-applied" in kubectl.run(*options, stdin=ROUTE)
    kubectl.run("replace", "--filename", "-", stdin=ROUTE.replace("a.test", "b.test"))
    assert server.get("IngressRoute", "web", "whoami")["spec"]["routes"][0]["match"] == "Host(`b.test`)"


def test_kubectl_get_describe_and_discovery(server: KubeServer, kubectl: Kubectl) -> None:
    server.apply(f"{SERVICE}---{ROUTE}")
    server.set_endpoints("web", "whoami", ["10.0.0.1"], port_name="http")
    lines = kubectl.run("get", "svc,ingressroutes.traefik.io,endpointslices").splitlines()
    assert [line.split()[0] for line in lines if "/" in line] == [
        "service/whoami",
        "ingressroute.traefik.io/whoami",
        "endpointslice.discovery.k8s.io/whoami-1",
    ]
    assert kubectl.read("get", "svc", "whoami")["spec"]["ports"][0]["port"] == 80
    assert "10.0.0.1:80" in kubectl.run("describe", "service", "whoami")
    assert "whoami" not in kubectl.run("get", "svc", "--selector", "owner=helm")
    assert '"none" not found' in kubectl.run("get", "ingressroute", "none", code=1)
    assert "ServersTransportTCP" in kubectl.run("api-resources", "--api-group", "traefik.io")
    assert "Server Version: v1." in kubectl.run("version")
    assert kubectl.run("get", "--raw", "/readyz") == "ok"


def test_kubectl_pages(server: KubeServer, kubectl: Kubectl) -> None:
    server.apply([{**document("ConfigMap"), "metadata": {"name": f"m{i}", "namespace": "web"}} for i in range(7)])
    output = kubectl.run("get", "configmaps", "--chunk-size", "3", "--output", "name")
    assert output.split() == [f"configmap/m{number}" for number in range(7)]
    pages = [request for request in server.requests if request.query.get("limit") == "3"]
    assert len(pages) == 3


def document(kind: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind}


@pytest.mark.parametrize("patch_type", ["merge", "json", "strategic"])
def test_kubectl_patch(server: KubeServer, kubectl: Kubectl, patch_type: str) -> None:
    server.apply(SERVICE)
    patches: dict[str, object] = {
        "merge": {"spec": {"sessionAffinity": "ClientIP"}},
        "json": [{"op": "replace", "path": "/spec/sessionAffinity", "value": "ClientIP"}],
        "strategic": {"spec": {"sessionAffinity": "ClientIP"}},
    }
    kubectl.run("patch", "service", "whoami", "--type", patch_type, "--patch", json.dumps(patches[patch_type]))
    assert server.get("Service", "web", "whoami")["spec"]["sessionAffinity"] == "ClientIP"


def test_kubectl_writes_status_labels_and_annotations(server: KubeServer, kubectl: Kubectl) -> None:
    server.apply(ROUTE)
    patch = json.dumps({"status": {"conditions": [{"type": "Accepted", "status": "True"}]}})
    options = ("--subresource", "status", "--type", "merge", "--patch", patch)
    kubectl.run("patch", "ingressroute", "whoami", *options)
    kubectl.run("label", "ingressroute", "whoami", "owner=helm")
    kubectl.run("annotate", "ingressroute", "whoami", "a=b")
    stored = server.get("IngressRoute", "web", "whoami")
    assert stored["status"]["conditions"][0]["type"] == "Accepted"
    assert (stored["metadata"]["labels"], stored["metadata"]["annotations"]) == ({"owner": "helm"}, {"a": "b"})
    assert stored["metadata"]["generation"] == 1
    kubectl.run("wait", "--for=condition=Accepted", "ingressroute/whoami", "--timeout", "20s")


def test_kubectl_watch(server: KubeServer, kubectl: Kubectl) -> None:
    server.apply(ROUTE)
    options = ("get", "ingressroute", "--watch", "--output-watch-events", "--output", "name")
    with kubectl.watching(*options) as next_line:
        first = next_line()
        server.wait_for_watchers(["IngressRoute"], DEADLINE)
        server.apply(ROUTE.replace("a.test", "b.test"))
        second = next_line()
        server.delete("IngressRoute", "web", "whoami")
        third = next_line()
    assert [line.split()[-1] for line in (first, second, third)] == ["ingressroute.traefik.io/whoami"] * 3


def test_kubectl_delete_waits_for_the_end(server: KubeServer, kubectl: Kubectl) -> None:
    server.apply(f"{SERVICE}---{ROUTE}")
    kubectl.run("delete", "--filename", "-", stdin=f"{SERVICE}---{ROUTE}")
    assert server.objects("Service") == server.objects("IngressRoute") == []
    server.apply([{**document("ConfigMap"), "metadata": {"name": name, "namespace": "web"}} for name in "abc"])
    kubectl.run("delete", "configmap", "--all")
    assert server.objects("ConfigMap") == []
    kubectl.run("delete", "namespace", "web")
    assert [one["metadata"]["name"] for one in server.objects("Namespace")] == ["default", "kube-system"]


def test_kubectl_create_sends_protobuf(server: KubeServer, kubectl: Kubectl) -> None:
    kubectl.run("create", "namespace", "web")
    kubectl.run("create", "configmap", "settings", "--from-literal", "a=b")
    kubectl.run("create", "secret", "generic", "login", "--from-literal", "user=name")
    kubectl.run("create", "service", "nodeport", "whoami", "--tcp=80:http")
    kubectl.run("create", "ingress", "whoami", "--rule=a.test/*=whoami:80,tls=login", "--class=traefik")
    assert server.get("ConfigMap", "web", "settings")["data"] == {"a": "b"}
    assert server.get("Secret", "web", "login")["data"] == {"user": "bmFtZQ=="}
    service = server.get("Service", "web", "whoami")["spec"]
    assert (service["type"], service["selector"]) == ("NodePort", {"app": "whoami"})
    port = service["ports"][0]
    assert (port["name"], port["port"], port["targetPort"], port["protocol"]) == ("80-http", 80, "http", "TCP")
    backend = {"service": {"name": "whoami", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    ingress = server.get("Ingress", "web", "whoami")
    assert ingress["metadata"]["generation"] == 1
    assert ingress["spec"] == {
        "ingressClassName": "traefik",
        "rules": [{"host": "a.test", "http": {"paths": [path]}}],
        "tls": [{"hosts": ["a.test"], "secretName": "login"}],
    }


def test_kubectl_sees_refusals(server: KubeServer, kubectl: Kubectl) -> None:
    server.forbid("services", "list")
    assert "(Forbidden)" in kubectl.run("get", "services", code=1)
    server.validators["IngressRoute"] = lambda _: ["spec.routes: Required value"]
    assert "spec.routes: Required value" in kubectl.run("create", "--filename", "-", stdin=ROUTE, code=1)
    with server.outage(503):
        assert "apiserver not ready" in kubectl.run("get", "configmaps", code=1)


# --- Traefik ----------------------------------------------------------------------------------------------


class Traefik:
    """A running Traefik that takes its configuration from one server."""

    def __init__(
        self, server: KubeServer, folder: Path, ports: Sequence[int], provider: str, options: Sequence[str] = ()
    ) -> None:
        web_port, api_port = ports
        self._api_port = api_port
        self._server = server
        self._log = (folder / "traefik.log").open("w+", encoding="utf-8")
        environment = {"HOME": str(folder), "PATH": os.defpath}
        arguments = [
            f"--providers.{provider}.endpoint={server.url}",
            "--providers.providersthrottleduration=0",
            f"--entrypoints.web.address=127.0.0.1:{web_port}",
            f"--entrypoints.traefik.address=127.0.0.1:{api_port}",
            "--api.insecure=true",
            "--log.level=DEBUG",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            *options,
        ]
        self._process = subprocess.Popen(
            [program("traefik"), *arguments], stdout=self._log, stderr=self._log, env=environment
        )

    def __enter__(self) -> Traefik:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(DEADLINE)
        self._log.close()

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def raw_data(self) -> dict[str, Any]:
        """What /api/rawdata says; nothing while Traefik is not up yet."""
        assert self._process.poll() is None, self.log()
        connection = http.client.HTTPConnection("127.0.0.1", self._api_port, timeout=5)
        try:
            connection.request("GET", "/api/rawdata")
            with connection.getresponse() as response:
                found: dict[str, Any] = json.load(response)
                return found
        except (OSError, ValueError):
            return {}
        finally:
            connection.close()

    def rules(self) -> list[str]:
        routers = self.raw_data().get("routers") or {}
        return [router["rule"] for name, router in routers.items() if name.endswith("@kubernetescrd")]

    def wait_for_rule(self, host: str) -> None:
        wanted = [f"Host(`{host}`)"]
        wait_until(lambda: self.rules() == wanted, DEADLINE, what=f"Traefik routes {host}")

    def wait_for_servers(self, *urls: str) -> None:
        def servers() -> list[str]:
            services = self.raw_data().get("services") or {}
            return sorted(
                server["url"]
                for name, service in services.items()
                if name.endswith("@kubernetescrd")
                for server in service.get("loadBalancer", {}).get("servers") or ()
            )

        wait_until(lambda: servers() == sorted(urls), DEADLINE, what=f"Traefik knows {urls}")

    def wait_for_watches(self) -> None:
        self._server.wait_for_watchers(TRAEFIK_WATCHES, DEADLINE)


@pytest.fixture
def start_traefik(
    server: KubeServer, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Callable[[], Traefik]:
    return lambda: Traefik(server, tmp_path, free_ports(2), "kubernetescrd")


def show(server: KubeServer, host: str) -> None:
    server.apply(ROUTE.replace("a.test", host))


@pytest.mark.parametrize("watch_list", [True, False])
def test_traefik_follows_changes_and_recovers(
    server: KubeServer, start_traefik: Callable[[], Traefik], watch_list: bool
) -> None:
    server.settings.watch_list = watch_list
    server.apply(f"{SERVICE}---{ROUTE}")
    server.set_endpoints("web", "whoami", ["10.0.0.1"], port=8080, port_name="http")
    with start_traefik() as traefik:
        traefik.wait_for_rule("a.test")
        traefik.wait_for_servers("http://10.0.0.1:8080")
        traefik.wait_for_watches()
        lists = [request for request in server.requests if request.query.get("limit")]
        assert bool(lists) is not watch_list
        assert {request.user_agent.partition("/")[0] for request in server.requests} == {"traefik"}

        show(server, "b.test")
        traefik.wait_for_rule("b.test")
        server.set_endpoints("web", "whoami", ["10.0.0.1", "10.0.0.2"], port=8080, port_name="http")
        traefik.wait_for_servers("http://10.0.0.1:8080", "http://10.0.0.2:8080")

        server.compact()
        assert server.drop_watches() >= len(TRAEFIK_WATCHES)
        show(server, "c.test")
        traefik.wait_for_rule("c.test")
        traefik.wait_for_watches()

        server.send_watch_error("IngressRoute")
        show(server, "d.test")
        traefik.wait_for_rule("d.test")
        traefik.wait_for_watches()

        server.drop_watches(clean=True)
        show(server, "e.test")
        traefik.wait_for_rule("e.test")


def test_traefik_lives_through_outages(server: KubeServer, start_traefik: Callable[[], Traefik]) -> None:
    server.apply(f"{SERVICE}---{ROUTE}")
    server.set_endpoints("web", "whoami", ["10.0.0.1"], port_name="http")
    with start_traefik() as traefik:
        traefik.wait_for_rule("a.test")
        traefik.wait_for_watches()
        with server.outage("refuse"):
            show(server, "b.test")
        traefik.wait_for_rule("b.test")
        with server.outage(503):
            count = server.request_count
            server.wait_until(lambda: server.request_count > count, DEADLINE)
            show(server, "c.test")
        traefik.wait_for_rule("c.test")


def test_traefik_waits_for_a_missing_kind(server: KubeServer, start_traefik: Callable[[], Traefik]) -> None:
    """One kind that cannot be listed keeps the whole provider from publishing anything."""
    server.apply(f"{SERVICE}---{ROUTE}")
    server.set_endpoints("web", "whoami", ["10.0.0.1"], port_name="http")
    server.remove_kind("serverstransporttcps")
    server.forbid("nodes")
    with start_traefik() as traefik:
        present = [kind for kind in TRAEFIK_WATCHES if kind not in ("ServersTransportTCP", "Node")]
        server.wait_for_watchers(present, DEADLINE)
        wait_for_request(server, "serverstransporttcps")
        wait_until(traefik.raw_data, DEADLINE, what="Traefik's API")
        assert traefik.rules() == []
        server.add_kind("serverstransporttcps")
        server.wait_for_watchers(["ServersTransportTCP"], DEADLINE)
        wait_for_request(server, "nodes")
        assert traefik.rules() == []
        server.allow("nodes")
        traefik.wait_for_rule("a.test")


def wait_for_request(server: KubeServer, plural: str) -> None:
    def asked() -> bool:
        return any(request.path.endswith(f"/{plural}") for request in server.requests)

    server.wait_until(asked, DEADLINE, f"no request for {plural}")


def test_traefik_writes_the_status_of_an_ingress(
    server: KubeServer, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    backend = {"service": {"name": "whoami", "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    server.apply(SERVICE)
    server.set_endpoints("web", "whoami", ["10.0.0.1"], port_name="http")
    before = server.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "whoami", "namespace": "web", "annotations": {"a": "b"}},
            "spec": {"rules": [{"host": "a.test", "http": {"paths": [path]}}]},
        }
    )[0]
    options = ["--providers.kubernetesingress.ingressendpoint.ip=192.0.2.1"]
    wanted = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    with Traefik(server, tmp_path, free_ports(2), "kubernetesingress", options):
        server.wait_until(lambda: server.get("Ingress", "web", "whoami")["status"] == wanted, DEADLINE)
    after = server.get("Ingress", "web", "whoami")
    assert after["spec"] == before["spec"]
    assert after["metadata"] == {**before["metadata"], "resourceVersion": after["metadata"]["resourceVersion"]}
