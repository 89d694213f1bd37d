"""The real tree through TLS: Secrets and routes from manifests, sessions that every worker takes up."""

from __future__ import annotations

import base64
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import REAL, Tree
from tests.e2e.upstream import Upstream
from tests.tls.handshakes import TLS12, TLS13, client_context
from tests.tls.pki import Authority, Pair
from tests.waiting import wait_until

pytestmark = pytest.mark.process

WORKERS = 4
AUTHORITY = Authority()
MANIFESTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: shop}}
spec:
  tls: {{secretName: pair, options: {{name: newest}}}}
  routes:
    - {{kind: Rule, match: Host(`shop.test`), services: [{{name: upstream, port: 80}}]}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: blog}}
spec:
  tls: {{secretName: pair}}
  routes:
    - {{kind: Rule, match: Host(`blog.test`), services: [{{name: upstream, port: 80}}]}}
---
apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata: {{name: newest}}
spec: {{minVersion: VersionTLS13}}
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


class Visit(NamedTuple):
    """`answered_by`: pid of the worker, 0 if it was not asked for."""

    status: int
    certificate: bytes
    resumed: bool
    session: ssl.SSLSession | None
    answered_by: int


class Site:
    """A directory of manifests with one certificate for all hosts, and the tree that serves it."""

    def __init__(self, start: StartTree, directory: Path, upstream: Upstream) -> None:
        self._start = start
        self._directory = directory
        self._upstream = upstream
        self.pair = self.renew("number 0")

    def renew(self, common_name: str) -> Pair:
        """Another certificate for the same names, in one step."""
        pair = AUTHORITY.issue("shop.test", "blog.test", common_name=common_name)
        chain, key = (base64.b64encode(half).decode() for half in pair)
        part = self._directory / "part"
        part.write_text(MANIFESTS.format(chain=chain, key=key, port=self._upstream.port))
        part.replace(self._directory / "all.yaml")
        return pair

    def start(self, *flags: str, workers: int = 2) -> Tree:
        tree = self._start(
            f"--workers={workers}",
            f"--providers.manifests.directory={self._directory}",
            "--ping.entryPoint=web",
            "--providers.providersThrottleDuration=0",
            *flags,
            program=REAL,
        )
        port = tree.port()
        tree.wait_for(lambda: tree.get("/ready", port).status == 200, "every worker serves the manifests")
        return tree


@pytest.fixture
def site(start_tree: StartTree, tmp_path: Path) -> Iterator[Site]:
    directory = tmp_path / "manifests"
    directory.mkdir()
    with Upstream() as upstream:
        yield Site(start_tree, directory, upstream)


def visit(
    port: int,
    name: str,
    context: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    workers: tuple[int, ...] = (),
) -> Visit:
    """One request on a connection of its own. Raises OSError as it comes."""
    with ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=15))
        client = stack.enter_context(context.wrap_socket(plain, server_hostname=name or None, session=session))
        client.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % name.encode())
        received = b""
        while not received.endswith((b"hello", b"\n")):
            piece = client.recv(65536)
            if not piece:
                raise ConnectionResetError("closed without an answer")
            received += piece
        return Visit(
            int(received.split(b" ")[1]),
            client.getpeercert(True) or b"",
            bool(client.session_reused),
            client.session,
            _owner(client.getsockname()[1], workers),
        )


def _owner(client_port: int, workers: tuple[int, ...]) -> int:
    for pid in workers:
        if any(one.raddr and one.raddr.port == client_port for one in psutil.Process(pid).net_connections("tcp")):
            return pid
    return 0


def test_a_secret_and_its_routes_are_served(site: Site) -> None:
    tree = site.start()
    port = tree.port()
    shop = visit(port, "shop.test", client_context())
    assert (shop.status, b"number 0" in shop.certificate) == (200, True)
    assert b"TRAEFIK DEFAULT CERT" in visit(port, "other.test", client_context()).certificate
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        visit(port, "shop.test", client_context(only=TLS12))
    assert visit(port, "blog.test", client_context(only=TLS12)).status == 200
    assert tree.get("/", port).status == 404, "routes with tls answer no plaintext"


@pytest.mark.behaviour("OP-69")
def test_a_secret_that_comes_after_its_route(site: Site) -> None:
    file, part = site._directory / "all.yaml", site._directory / "part"
    whole = file.read_text()
    file.write_text(whole.replace("{name: pair}", "{name: other}"))
    port = site.start().port()
    early = visit(port, "blog.test", client_context())
    assert (early.status, b"TRAEFIK DEFAULT CERT" in early.certificate) == (200, True)
    part.write_text(whole)
    part.replace(file)
    wait_until(
        lambda: b"number 0" in visit(port, "blog.test", client_context()).certificate, what="the Secret is used"
    )


def test_a_route_that_is_broken_by_a_change_of_its_option(site: Site) -> None:
    tree = site.start()
    port = tree.port()
    assert visit(port, "shop.test", client_context()).status == 200
    file = site._directory / "all.yaml"
    part = site._directory / "part"
    part.write_text(file.read_text().replace("VersionTLS13}", "VersionTLS13, cipherSuites: [NOPE]}"))
    part.replace(file)

    def is_closed() -> bool:
        try:
            visit(port, "shop.test", client_context())
        except (ssl.SSLError, ConnectionError):
            return True
        return False

    wait_until(is_closed, what="the option is broken")
    assert visit(port, "blog.test", client_context()).status == 200


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_sessions_are_taken_up_by_every_worker(site: Site, version: ssl.TLSVersion) -> None:
    """By the other workers, by the successor of one that was killed, and by those of a reload."""
    tree = site.start(workers=WORKERS)
    port, context = tree.port(), client_context(only=version)
    session = visit(port, "blog.test", context).session

    def resume_everywhere() -> None:
        nonlocal session
        workers = tuple(tree.workers())
        seen: set[int] = set()
        ends = time.monotonic() + 30
        while len(seen) < len(workers):
            assert time.monotonic() < ends, f"only {seen} of {workers} were met"
            met = visit(port, "blog.test", context, session, workers)
            assert (met.status, met.resumed) == (200, True)
            session = met.session
            seen.add(met.answered_by)

    resume_everywhere()
    victim = tree.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in tree.workers() and len(tree.workers()) == WORKERS, what="a successor")
    resume_everywhere()
    before = set(tree.workers())
    tree.send(signal.SIGHUP)
    wait_until(lambda: len(tree.workers()) == WORKERS and not set(tree.workers()) & before, what="new workers")
    resume_everywhere()


def test_no_session_is_taken_up_under_another_option(site: Site) -> None:
    """ADV-C: not for another name, not without a name, and not for the same name once its option has changed."""
    tree = site.start(workers=WORKERS)
    port, context = tree.port(), client_context(only=TLS13)
    of_blog = visit(port, "blog.test", context).session
    of_shop = visit(port, "shop.test", context).session
    for _ in range(4 * WORKERS):  # whichever worker comes
        assert not visit(port, "shop.test", context, of_blog).resumed
        assert not visit(port, "blog.test", context, of_shop).resumed
        assert not visit(port, "", context, of_shop).resumed
    file, part = site._directory / "all.yaml", site._directory / "part"
    part.write_text(file.read_text().replace("VersionTLS13}", "VersionTLS13, sniStrict: true}"))
    of_shop = visit(port, "shop.test", context).session
    part.replace(file)

    def is_forgotten() -> bool:
        return not visit(port, "shop.test", context, of_shop).resumed

    wait_until(is_forgotten, what="the option changed")
    assert visit(port, "blog.test", context, of_blog).resumed


class Customers:
    """Handshakes and a request without pause from a thread, counted."""

    def __init__(self, port: int) -> None:
        self.failures: list[str] = []
        self.certificates: set[bytes] = set()
        self.served = 0
        self._port = port
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Customers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        context = client_context()
        while not self._stopping.is_set():
            try:
                met = visit(self._port, "blog.test", context)
                assert met.status == 200
                self.certificates.add(met.certificate)
                self.served += 1
            except Exception as error:
                self.failures.append(repr(error))


def test_no_handshake_fails_while_certificates_are_renewed_and_workers_replaced(site: Site) -> None:
    tree = site.start()
    port = tree.port()
    with Customers(port) as one, Customers(port) as two:
        for number in range(1, 31):
            site.renew(f"number {number}")
            time.sleep(0.1)
        before = set(tree.workers())
        tree.send(signal.SIGHUP)
        wait_until(lambda: len(tree.workers()) == 2 and not set(tree.workers()) & before, what="new workers")
        served = one.served
        wait_until(lambda: one.served >= served + 20, what="further answers")
    assert one.failures + two.failures == []
    assert len(one.certificates | two.certificates) > 5
    assert one.served + two.served > 50
    assert tree.stop() == 0


@pytest.mark.behaviour("ADV-I-6")
def test_no_key_is_in_the_log_or_the_api(site: Site) -> None:
    tree = site.start("--log.level=DEBUG", "--api.insecure", "--entryPoints.traefik.address=127.0.0.1:0")
    visit(tree.port(), "shop.test", client_context())
    secret = site.pair.key.decode().splitlines()[1]
    shown = tree.get("/api/rawdata", tree.port("traefik")).body
    assert "shop" in shown
    for text in (shown, tree.log()):
        assert secret not in text
        assert base64.b64encode(site.pair.key).decode()[40:80] not in text
