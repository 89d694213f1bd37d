"""Servers behind TLS and HTTP/2 through the whole tree: gRPC with real peers, and a private authority."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.grpc_echo import GrpcEcho
from tests.e2e.tree import REAL, Tree
from tests.tls.pki import Authority
from tests.waiting import wait_until

pytestmark = pytest.mark.process

MANIFESTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: all}}
spec:
  entryPoints: [web]
  routes:
    - kind: Rule
      match: PathPrefix(`/`)
      services: [{{name: upstream, port: 80, scheme: {scheme}, serversTransport: own}}]
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
---
apiVersion: v1
kind: Secret
metadata: {{name: authority}}
data: {{ca.crt: {authority}}}
---
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {{name: own}}
spec: {spec}
"""


class Written:
    """A folder with one file of manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, port: int, scheme: str, spec: str = "{}", authority: str = "") -> None:
        """In one step: the provider never sees half a file."""
        part = self.folder / "part"
        encoded = base64.b64encode(authority.encode()).decode()
        part.write_text(MANIFESTS.format(port=port, scheme=scheme, spec=spec, authority=encoded or '""'))
        part.replace(self.folder / "all.yaml")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    folder = tmp_path / "manifests"
    folder.mkdir()
    return Written(folder)


def start(start_tree: StartTree, written: Written) -> tuple[Tree, int]:
    tree = start_tree(
        "--workers=1",
        f"--providers.manifests.directory={written.folder}",
        "--ping.entryPoint=web",
        program=REAL,
    )
    port = tree.port()
    tree.wait_for(lambda: tree.get("/ready", port).status == 200, "every worker serves the manifests")
    return tree, port


@pytest.fixture
def echo() -> Iterator[GrpcEcho]:
    with GrpcEcho() as server:
        yield server


@pytest.mark.behaviour("DP-84")
def test_grpc_through_plaintext(start_tree: StartTree, written: Written, echo: GrpcEcho) -> None:
    written.write(echo.port, "h2c")
    tree, port = start(start_tree, written)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        unary: Any = channel.unary_unary("/test.Echo/Unary")
        answer, call = unary.with_call(b"hello", timeout=15)
        assert answer == b"hellohello"
        assert ("x-seen", "ipv4") in call.trailing_metadata()
        assert unary(b"x" * 1_000_000, timeout=15) == b"x" * 2_000_000
        check_bidirectional(channel.stream_stream("/test.Echo/Stream"))
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/test.Echo/Fail")(b"", timeout=15)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today")
    written.write(echo.port, "http")
    wait_until(lambda: grpc_status(port) != grpc.StatusCode.OK, what="plain HTTP/1.1 carries no gRPC")
    assert tree.stop() == 0


def check_bidirectional(method: Any) -> None:
    """Each answer comes before the next message is written."""
    turn = threading.Semaphore(1)

    def messages() -> Iterator[bytes]:
        for number in range(5):
            assert turn.acquire(timeout=15)
            yield b"%d" % number

    answers = []
    for answer in method(messages(), timeout=30):
        answers.append(answer)
        turn.release()
    assert answers == [b"0", b"1", b"2", b"3", b"4"]


def grpc_status(port: int) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary("/test.Echo/Unary")(b"hello", timeout=15)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def secure_server(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """Port of a server behind TLS, and its authority."""
    authority = Authority()
    pair = authority.issue("upstream.test")
    file = tmp_path / "pair.pem"
    file.write_bytes(pair.chain + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1], authority.pem
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.behaviour("DP-70")
def test_a_transport_changes_while_it_is_used(
    start_tree: StartTree, written: Written, secure_server: tuple[int, str]
) -> None:
    server, authority = secure_server
    trusting = "{serverName: upstream.test, rootCAs: [{secret: authority}]}"
    written.write(server, "https", trusting, authority)
    tree, port = start(start_tree, written)
    assert tree.get("/", port) == (200, "hello")
    written.write(server, "https", "{serverName: other.test, rootCAs: [{secret: authority}]}", authority)
    wait_until(lambda: tree.get("/", port) == (500, "Internal Server Error"))
    written.write(server, "https", "{insecureSkipVerify: true}")
    wait_until(lambda: tree.get("/", port) == (200, "hello"))
    written.write(server, "https", "{spiffe: {}}")
    wait_until(lambda: tree.get("/", port).status == 404, what="its routers are gone")
    written.write(server, "https", trusting, authority)
    wait_until(lambda: tree.get("/", port) == (200, "hello"))
    assert tree.stop() == 0
