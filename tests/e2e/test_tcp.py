"""TCP routers by the real tree: psql through STARTTLS, tunnels through changes and through a graceful stop."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.tree import REAL, Tree
from tests.tls.handshakes import client_context
from tests.tls.pki import Authority, Pair
from tests.waiting import wait_until

pytestmark = pytest.mark.process

AUTHORITY: Final = Authority()
PATIENCE_SECONDS: Final = 10.0
SSL_REQUEST: Final = bytes((0, 0, 0, 8, 4, 210, 22, 47))
MANIFESTS: Final = """
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {{name: ended}}
spec:
  entryPoints: [db]
  tls: {{secretName: pair, options: {{name: speaks}}}}
  routes: [{{match: HostSNI(`ended.test`), services: [{{name: plain, port: 1, serversTransport: late}}]}}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {{name: passed}}
spec:
  entryPoints: [db]
  tls: {{passthrough: true}}
  routes: [{{match: HostSNI(`passed.test`), services: [{{name: secure, port: 1, serversTransport: late}}]}}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {{name: plain}}
spec:
  entryPoints: [tcp]
  routes: [{{match: "{rule}", services: [{{name: echo, port: 1, serversTransport: late}}]}}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {{name: limited}}
spec:
  entryPoints: [limited]
  routes: [{{match: HostSNI(`*`), middlewares: [{{name: one}}], services: [{{name: echo, port: 1}}]}}]
---
apiVersion: traefik.io/v1alpha1
kind: MiddlewareTCP
metadata: {{name: one}}
spec: {{inFlightConn: {{amount: 1}}}}
---
apiVersion: traefik.io/v1alpha1
kind: ServersTransportTCP
metadata: {{name: late}}
spec: {{terminationDelay: 5s}}
---
apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata: {{name: speaks}}
spec: {{alpnProtocols: [postgresql]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: pair}}
type: kubernetes.io/tls
data: {{tls.crt: {chain}, tls.key: {key}}}
"""
SERVICE: Final = """
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{port: 1}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: "", port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""


class Server:
    """Plays `script` with everybody who comes, each in a thread."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        with connection, contextlib.suppress(OSError):
            self._script(connection)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def postgres(connection: socket.socket) -> None:
    """The start-up phase, and one row as the answer to any query."""
    first = connection.recv(8, socket.MSG_WAITALL)
    assert first != SSL_REQUEST, "TLS is somebody else's"
    connection.recv(struct.unpack(">I", first[:4])[0] - 8, socket.MSG_WAITALL)
    ready = message(b"Z", b"I")
    connection.sendall(message(b"R", struct.pack(">I", 0)) + message(b"S", b"server_version\x0015.0\0") + ready)
    while head := connection.recv(5, socket.MSG_WAITALL):
        connection.recv(struct.unpack(">I", head[1:])[0] - 4, socket.MSG_WAITALL)
        if head[:1] == b"X":
            return
        column = struct.pack(">H", 1) + b"answer\0" + struct.pack(">IHIhih", 0, 0, 25, -1, -1, 0)
        row = struct.pack(">HI", 1, 5) + b"hello"
        connection.sendall(message(b"T", column) + message(b"D", row) + message(b"C", b"SELECT 1\0") + ready)


def secured(pair: Pair, folder: Path) -> Callable[[socket.socket], None]:
    """A PostgreSQL server that ends TLS itself."""
    file = folder / "server.pem"
    file.write_bytes(pair.key + pair.chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["postgresql"])

    def script(connection: socket.socket) -> None:
        assert connection.recv(8, socket.MSG_WAITALL) == SSL_REQUEST
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as inside:
            postgres(_Whole(inside))  # type: ignore[arg-type]

    return script


class _Whole:
    """TLS sockets know no MSG_WAITALL."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self.sendall = connection.sendall

    def recv(self, size: int, _: int = 0) -> bytes:
        data = b""
        while len(data) < size and (more := self._connection.recv(size - len(data))):
            data += more
        return data


class Site:
    """The manifests, servers behind them, and the tree."""

    def __init__(self, start: StartTree, folder: Path, ports: dict[str, int], pair: Pair) -> None:
        self._start, self._folder, self._ports, self._pair = start, folder, ports, pair
        self.write()

    def write(self, rule: str = "HostSNI(`*`)") -> None:
        """The manifests with this rule for the plain router, in one step."""
        chain, key = (base64.b64encode(half).decode() for half in self._pair)
        text = MANIFESTS.format(chain=chain, key=key, rule=rule)
        text += "".join(SERVICE.format(name=name, port=port) for name, port in self._ports.items())
        part = self._folder / "part"
        part.write_text(text)
        part.replace(self._folder / "all.yaml")

    def start(self, *flags: str) -> Tree:
        points = [f"--entryPoints.{name}.address=127.0.0.1:0" for name in ("db", "tcp", "limited")]
        tree = self._start(
            "--workers=2",
            f"--providers.manifests.directory={self._folder}",
            "--ping.entryPoint=web",
            "--providers.providersThrottleDuration=0",
            *points,
            *flags,
            program=REAL,
        )
        port = tree.port()
        tree.wait_for(lambda: tree.get("/ready", port).status == 200, "every worker serves the manifests")
        return tree


@pytest.fixture
def site(start_tree: StartTree, tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "manifests"
    folder.mkdir()
    pair = AUTHORITY.issue("ended.test", common_name="ended here")
    own = AUTHORITY.issue("passed.test", common_name="the server's own")
    with Server(echo) as one, Server(postgres) as plain, Server(secured(own, tmp_path)) as secure:
        ports = {"echo": one.port, "plain": plain.port, "secure": secure.port}
        yield Site(start_tree, folder, ports, pair)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)


def says(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    return connection.recv(len(words), socket.MSG_WAITALL)


@pytest.mark.behaviour("DP-118")
@pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")
@pytest.mark.parametrize("name", ["ended.test", "passed.test"])
@pytest.mark.parametrize("gssapi", ["disable", "prefer"])
def test_psql_through_starttls(site: Site, name: str, gssapi: str) -> None:
    port = site.start().port("db")
    target = f"host={name} hostaddr=127.0.0.1 port={port} user=u sslmode=require gssencmode={gssapi}"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    done = subprocess.run(
        ["psql", target, "-At", "-c", "select hello"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environ | {"PGCONNECT_TIMEOUT": "20"},
    )
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_tunnels_survive_changes_and_new_connections_follow_them(site: Site) -> None:
    tree = site.start()
    port = tree.port("tcp")
    with connect(port) as old:
        assert says(old, b"before") == b"before"
        site.write("ClientIP(`192.0.2.1`)")

        def is_http() -> bool:
            with connect(port) as new:
                new.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return new.recv(12) == b"HTTP/1.0 404"

        wait_until(is_http, what="the router is gone for new connections")
        assert says(old, b"after") == b"after"
        site.write()
        wait_until(lambda: not is_http(), what="the router is back")
        assert says(old, b"at last") == b"at last"


def test_graceful_stop_waits_for_tunnels_and_cuts_what_is_left(site: Site) -> None:
    tree = site.start("--entryPoints.tcp.transport.lifeCycle.graceTimeOut=60s")
    port, other = tree.port("tcp"), tree.port("limited")
    with connect(port) as tunnel, connect(other) as short:
        assert says(tunnel, b"before") == b"before"
        assert says(short, b"before") == b"before"
        short.close()
        tree.send(signal.SIGTERM)
        wait_until(lambda: refused(port), what="no new connections")
        assert says(tunnel, b"after") == b"after"
        tunnel.shutdown(socket.SHUT_WR)
        assert tunnel.recv(1) == b""
    assert tree.wait_exit() == 0


def test_tunnels_are_cut_after_the_grace_period(site: Site) -> None:
    tree = site.start("--entryPoints.tcp.transport.lifeCycle.graceTimeOut=1s")
    with connect(tree.port("tcp")) as tunnel:
        assert says(tunnel, b"before") == b"before"
        tree.send(signal.SIGTERM)
        with contextlib.suppress(ConnectionResetError):
            assert tunnel.recv(1) == b""
    assert tree.wait_exit() == 0


def refused(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_connections_are_counted_over_all_workers(site: Site) -> None:
    port = site.start().port("limited")
    with connect(port) as first:
        assert says(first, b"one") == b"one"
        for _ in range(8):
            with connect(port) as more:
                assert is_ended(more)

    def is_free() -> bool:
        with connect(port) as new:
            return not is_ended(new)

    wait_until(is_free, what="the place of the first is free")


def is_ended(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_tls_sessions_of_one_worker_are_taken_up_by_the_other(site: Site) -> None:
    """As for HTTPS: the option of a TCP router has its own."""
    port = site.start().port("db")
    context = client_context(alpn=["postgresql"])
    session = None
    resumed = []
    for _ in range(6):
        with (
            connect(port) as plain,
            context.wrap_socket(plain, server_hostname="ended.test", session=session) as client,
        ):
            resumed.append(client.session_reused)
            assert client.selected_alpn_protocol() == "postgresql"
            client.sendall(struct.pack(">IIB", 9, 196608, 0))
            assert client.recv(1) == b"R"
            session = client.session
    assert resumed == [False, *[True] * 5]
