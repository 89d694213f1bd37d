"""The real tree with HTTP/3: who serves a connection, what a reload and a stop do to it, what TCP says of it."""

from __future__ import annotations

import base64
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import REAL, Tree, is_gone
from tests.e2e.upstream import Upstream
from tests.http3_client import Closed, Http3Client
from tests.tls.handshakes import client_context
from tests.tls.pki import Authority
from tests.waiting import wait_until

pytestmark = pytest.mark.process

AUTHORITY = Authority()
CLIENTS = Authority("clients")
MANIFESTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: shop}}
spec:
  tls: {{secretName: pair}}
  routes:
    - kind: Rule
      match: Host(`shop.test`)
      services: [{{name: upstream, port: 80}}]
      middlewares: [{{name: marked}}]
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{name: marked}}
spec: {{headers: {{customResponseHeaders: {{X-Marked: "yes"}}}}}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: closed}}
spec:
  tls: {{secretName: pair, options: {{name: known}}}}
  routes: [{{kind: Rule, match: Host(`closed.test`), services: [{{name: upstream, port: 80}}]}}]
---
apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata: {{name: known}}
spec: {{clientAuth: {{clientAuthType: RequireAndVerifyClientCert, secretNames: [clients]}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: clients}}
data: {{ca.crt: {clients}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: pair}}
type: kubernetes.io/tls
data: {{tls.crt: {chain}, tls.key: {key}}}
---
apiVersion: v1
kind: Service
metadata: {{name: upstream}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: upstream-1, labels: {{kubernetes.io/service-name: upstream}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


class Site:
    """A tree with entry point web for TCP and UDP, and clients that are closed after the test."""

    def __init__(self, start: StartTree, folder: Path, stack: ExitStack) -> None:
        self._start = start
        self._folder = folder
        self._stack = stack
        self.clients: list[Http3Client] = []
        upstream = stack.enter_context(Upstream())
        pair = AUTHORITY.issue("shop.test", "closed.test")
        chain, key, clients = (base64.b64encode(text).decode() for text in (*pair, CLIENTS.pem.encode()))
        manifests = MANIFESTS.format(chain=chain, key=key, clients=clients, port=upstream.port)
        (folder / "all.yaml").write_text(manifests)

    def rewrite(self, old: str, new: str) -> None:
        """Change the manifests, while they are served."""
        path, fresh = self._folder / "all.yaml", self._folder / "all.new"
        fresh.write_text(path.read_text().replace(old, new, 1))
        fresh.replace(path)

    def start(self, *flags: str, workers: int = 2) -> Tree:
        self.tree = self._start(
            f"--workers={workers}",
            f"--providers.manifests.directory={self._folder}",
            "--entryPoints.web.http3=true",
            "--ping.entryPoint=web",
            *flags,
            program=REAL,
        )
        self.port = self.tree.port()
        self.wait_ready()
        return self.tree

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            try:
                return self.tree.get("/ready", self.port).status == 200
            except OSError:
                return False

        self.tree.wait_for(is_ready, "every worker serves the manifests")

    def socket(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def client(self, name: str = "shop.test", **members: Any) -> Http3Client:
        client = Http3Client(self.socket(), name, authority=AUTHORITY.pem, **members)
        self._stack.callback(client.close)
        self.clients.append(client)
        client.handshake()
        return client


@pytest.fixture
def site(start_tree: StartTree, tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "manifests"
    folder.mkdir()
    with ExitStack() as stack:
        yield Site(start_tree, folder, stack)


def lane_of(client: Http3Client) -> int:
    """Of the worker that has the connection."""
    first: int = client.quic._peer_cid.cid[0]
    return first


def test_routes_middlewares_and_errors_through_every_worker(site: Site, tmp_path: Path) -> None:
    tree = site.start("--accessLog.filePath=access.log")
    assert f"entry point web/http3 listens at 127.0.0.1:{site.port}/udp" in tree.log()
    lanes: set[int] = set()
    while len(lanes) < 2:
        assert len(site.clients) < 64
        client = site.client()
        lanes.add(lane_of(client))
    answer = client.get(b"/", host=b"shop.test")
    assert (answer.status, answer.body, answer[b"x-marked"]) == (200, b"hello", b"yes")
    assert answer[b"alt-svc"] is None
    missing = client.get(b"/", host=b"nobody.test")
    assert (missing.status, missing.body) == (404, b"404 page not found\n")
    other = client.get(b"/", host=b"closed.test")
    assert (other.status, other.body) == (421, b"Misdirected Request\n")
    log = tree.folder / "access.log"
    tree.wait_for(lambda: log.exists() and '"GET / HTTP/3.0" 421' in log.read_text(), "the lines are written")
    assert '"GET / HTTP/3.0" 200 5' in log.read_text()


def test_a_client_certificate_is_asked_for_and_judged(site: Site) -> None:
    site.start(workers=1)
    known = site.client("closed.test", certificate=CLIENTS.issue("somebody", usage="client"))
    assert known.get(b"/", host=b"closed.test").body == b"hello"
    for pair in (None, AUTHORITY.issue("stranger", usage="client"), CLIENTS.issue("server", usage="server")):
        with pytest.raises(Closed):  # the client hears of it after its own side of the handshake
            site.client("closed.test", certificate=pair).get(b"/", host=b"closed.test")


def test_a_client_that_moves_stays_with_its_worker(site: Site) -> None:
    site.start()
    client = site.client()
    lane = lane_of(client)
    for _ in range(8):
        assert client.get(b"/", host=b"shop.test").status == 200
        client.sock = site.socket()
    assert client.get(b"/", host=b"shop.test").status == 200
    assert lane_of(client) == lane
    assert client.closed is None


def test_a_reload_finishes_what_is_under_way_and_says_goodbye(site: Site) -> None:
    tree = site.start()
    client = site.client()
    before = tree.workers()
    stream_id = client.begin(b"/slow/3", host=b"shop.test")
    client.pump(lambda: client.stream(stream_id).body == b"begun ")
    tree.send(signal.SIGHUP)
    tree.wait_for(lambda: len(set(tree.workers()) - set(before)) == 2, "new workers")
    assert client.answer(stream_id).body == b"begun done"
    assert client.end_of().code == 0x100
    assert bytes((0x07,)) in client.control
    assert site.client().get(b"/", host=b"shop.test").status == 200
    tree.wait_for(lambda: all(map(is_gone, before)), "the old workers end")


def test_a_stop_waits_for_answers(site: Site) -> None:
    tree = site.start(workers=1)
    client = site.client()
    stream_id = client.begin(b"/slow/2", host=b"shop.test")
    client.pump(lambda: client.stream(stream_id).body == b"begun ")
    tree.send(signal.SIGTERM)
    assert client.answer(stream_id).body == b"begun done"
    assert client.end_of().code == 0x100
    assert tree.wait_exit() == 0


@pytest.mark.behaviour("ADV-C-7")
def test_a_connection_from_before_its_option_asked_for_certificates_is_let_in_no_more(site: Site) -> None:
    tree = site.start(workers=1)
    client = site.client()
    assert client.get(b"/", host=b"shop.test").status == 200
    site.rewrite("tls: {secretName: pair}", "tls: {secretName: pair, options: {name: known}}")
    tree.wait_for(lambda: client.get(b"/", host=b"shop.test").status == 421, "the connection is too weak now")
    with pytest.raises(Closed):
        site.client().get(b"/", host=b"shop.test")


def test_an_upgrade_closes_connections_and_serves_new_ones(site: Site, tmp_path: Path) -> None:
    pidfile, second = tmp_path / "pointsman.pid", tmp_path / "pointsman.pid.2"
    tree = site.start(f"--pidFile={pidfile}", workers=1)
    client = site.client()
    client.begin(b"/slow/60", host=b"shop.test")
    tree.send(signal.SIGUSR2)
    wait_until(second.exists, what="the second pidfile")
    heir = psutil.Process(int(second.read_text()))
    try:
        tree.wait_for_log("worker serves", 2)
        assert site.client().get(b"/", host=b"shop.test").status == 200
        tree.send(signal.SIGTERM)
        assert client.end_of().code == 0x100
        assert site.client().get(b"/", host=b"shop.test").body == b"hello"
        assert tree.wait_exit() == 0
        assert site.client().get(b"/", host=b"shop.test").body == b"hello"
    finally:
        family = [heir, *heir.children()]
        heir.terminate()
        heir.wait(20)
    assert all(is_gone(process.pid) for process in family)


def heads(port: int, host: str, context: ssl.SSLContext | None) -> bytes:
    """The head of an answer over TCP."""
    with ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=15))
        client = plain
        if context is not None:
            client = stack.enter_context(context.wrap_socket(plain, server_hostname=host))
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := client.recv(65536):
            received += piece
    return received.partition(b"\r\n\r\n")[0]


@pytest.mark.behaviour("DP-112")
@pytest.mark.parametrize("advertised", [0, 8443])
def test_clients_over_tcp_are_told_of_it(site: Site, advertised: int) -> None:
    flags = [f"--entryPoints.web.http3.advertisedPort={advertised}"] if advertised else []
    site.start(*flags, workers=1)
    line = b'\r\nAlt-Svc: h3=":%d"; ma=2592000' % (advertised or site.port)
    found, missing = (heads(site.port, host, client_context()) for host in ("shop.test", "nobody.test"))
    assert found.startswith(b"HTTP/1.1 200 ")
    assert found.count(line) == 1
    assert missing.startswith(b"HTTP/1.1 404 ")
    assert missing.count(line) == 1
    assert b"Alt-Svc" not in heads(site.port, "shop.test", None)
