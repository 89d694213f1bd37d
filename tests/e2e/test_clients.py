"""Clients as people use them, through the whole tree: curl, h2load, websocket-client, grpcio, event streams."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import websocket

from tests.e2e.grpc_echo import GrpcEcho
from tests.e2e.origin import Origin, digest, pattern
from tests.e2e.tree import REAL, Tree
from tests.waiting import wait_until

pytestmark = pytest.mark.process

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: x, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: x, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
"""
ROUTES = """
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: deny}
spec: {ipAllowList: {sourceRange: [192.0.2.1]}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: small}
spec: {buffering: {maxRequestBodyBytes: 1000}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: plain}
spec:
  entryPoints: [web]
  routes: ROUTES
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: secured}
spec:
  entryPoints: [websecure]
  tls: {}
  routes: ROUTES
""".replace(
    "ROUTES",
    """
    - {kind: Rule, match: PathPrefix(`/`), priority: 1, services: [{name: origin, port: 80}]}
    - {kind: Rule, match: PathPrefix(`/denied`), services: [{name: origin, port: 80}], middlewares: [{name: deny}]}
    - {kind: Rule, match: PathPrefix(`/small`), services: [{name: origin, port: 80}], middlewares: [{name: small}]}
    - {kind: Rule, match: PathPrefix(`/test.Echo`), services: [{name: echo, port: 80, scheme: h2c}]}""",
)
CURL = ["curl", "--silent", "--show-error", "--insecure", "--max-time", "30"]
H2LOAD = ["h2load", "-n", "300", "-c", "4", "-T", "30"]
PROTOCOLS = {
    "http1": ("--http1.1", "http"),
    "h2c": ("--http2-prior-knowledge", "http"),
    "https": ("--http1.1", "https"),
    "h2": ("--http2", "https"),
}


@dataclass
class Ground:
    tree: Tree
    origin: Origin
    echo: GrpcEcho
    file: Path

    @property
    def web(self) -> int:
        return self.tree.port("web")

    @property
    def websecure(self) -> int:
        return self.tree.port("websecure")

    def write(self, routes: str = ROUTES) -> None:
        services = [("origin", self.origin.port), ("echo", self.echo.port)]
        part = self.file.with_name("part")
        part.write_text("".join(SERVICE.format(name=name, port=port) for name, port in services) + routes)
        part.replace(self.file)

    def change(self) -> None:
        """A reload that every worker has done when this returns."""
        self.write(ROUTES.replace("middlewares: [{name: deny}]", "middlewares: [{name: small}]"))
        wait_until(lambda: all(self._tells("/denied/x", 200) for _ in range(8)), what="the change is everywhere")

    def _tells(self, path: str, status: int) -> bool:
        return self.tree.get(path, self.web).status == status

    def curl(self, protocol: str, path: str, *arguments: str) -> tuple[str, bytes]:
        """What `--write-out %{http_code}` says, and the body. Fails where curl does."""
        flag, scheme = PROTOCOLS[protocol]
        port = self.websecure if scheme == "https" else self.web
        done = subprocess.run(
            [
                *CURL,
                flag,
                *arguments,
                "--write-out",
                "\n%{http_version} %{http_code}",
                f"{scheme}://127.0.0.1:{port}{path}",
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        body, _, said = done.stdout.rpartition(b"\n")
        return said.decode(), body


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "manifests").mkdir()
    flags = [
        *("--workers=2", "--log.level=INFO", "--ping.entryPoint=web"),
        *(f"--entryPoints.{name}.address=127.0.0.1:0" for name in ("web", "websecure")),
        f"--providers.manifests.directory={folder / 'manifests'}",
    ]
    with Origin() as origin, GrpcEcho() as echo:
        tree = Tree(folder, flags, {}, REAL)
        found = Ground(tree, origin, echo, folder / "manifests" / "all.yaml")
        try:
            found.write()
            tree.wait_for(lambda: tree.get("/ready", found.web).status == 200, "every worker is ready")
            yield found
            assert tree.stop() == 0
        finally:
            tree.end()


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load")


def version(protocol: str) -> str:
    return "2" if protocol in ("h2c", "h2") else "1.1"


# curl


@needs_curl
@pytest.mark.behaviour("DP-87")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["bytes", "chunks"])
@pytest.mark.parametrize("size", [0, 1, 16384, 65536, 5_000_000])
def test_downloads(ground: Ground, protocol: str, kind: str, size: int) -> None:
    said, body = ground.curl(protocol, f"/{kind}/{size}")
    assert said == f"{version(protocol)} 200"
    assert hashlib.sha256(body).digest() == hashlib.sha256(pattern(size)).digest()


@needs_curl
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 3000, 5_000_000])
def test_uploads(ground: Ground, protocol: str, length: bool, size: int, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(pattern(size))
    more = [] if length else ["--header", "Transfer-Encoding: chunked"]
    said, body = ground.curl(protocol, "/upload", "--request", "POST", "--upload-file", str(file), *more)
    assert said == f"{version(protocol)} 200"
    assert body.decode() == digest(pattern(size))


@needs_curl
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("path", "status"), [("/denied", "403"), ("/small", "413"), ("/upload", "200")])
def test_uploads_with_expect(ground: Ground, protocol: str, path: str, status: str, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(pattern(3_000_000))
    said, _ = ground.curl(
        protocol, path, "--header", "Expect: 100-continue", "--request", "POST", "--upload-file", str(file)
    )
    assert said == f"{version(protocol)} {status}"


@needs_curl
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("path", "status"), [("/denied", "403"), ("/small", "413")])
def test_an_early_answer_to_an_upload(
    ground: Ground, protocol: str, path: str, status: str, tmp_path: Path
) -> None:
    """The whole of it is shown, although the client goes on sending for a while."""
    file = tmp_path / "body"
    file.write_bytes(pattern(3_000_000))
    for how in (["--upload-file", str(file)], ["--data-binary", f"@{file}"]):
        said, _ = ground.curl(protocol, path, "--header", "Expect:", *how)
        assert said == f"{version(protocol)} {status}"


@needs_curl
@pytest.mark.behaviour("DP-79")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_trailers(ground: Ground, protocol: str) -> None:
    said, body = ground.curl(protocol, "/trailers", "--include", "--raw")
    assert said == f"{version(protocol)} 200"
    assert b"x-t: 1" in body.lower()


@needs_curl
@pytest.mark.parametrize("protocol", ["http1", "https", "h2"])  # some curls use no h2c connection twice
def test_many_requests_of_one_connection(ground: Ground, protocol: str) -> None:
    flag, scheme = PROTOCOLS[protocol]
    port = ground.websecure if scheme == "https" else ground.web
    urls = [f"{scheme}://127.0.0.1:{port}/bytes/[1-50]"]
    done = subprocess.run(
        [*CURL, flag, "--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n", *urls],
        capture_output=True,
        check=True,
    )
    lines = done.stdout.decode().split("\n")[:-1]
    assert lines == ["200 1"] + ["200 0"] * 49


# h2load


@needs_h2load
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("arguments", [(), ("--h1",), ("-m", "1"), ("-w", "12", "-W", "12")])
def test_h2load(ground: Ground, scheme: str, arguments: Sequence[str]) -> None:
    port = ground.websecure if scheme == "https" else ground.web
    streams = () if arguments else ("-m", "20")
    done = subprocess.run(
        [*H2LOAD, *streams, *arguments, f"{scheme}://127.0.0.1:{port}/bytes/20000"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "300 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "status codes: 300 2xx" in done.stdout


# WebSockets


@pytest.fixture(params=["ws", "wss"])
def socket_client(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Any]:
    port = ground.websecure if request.param == "wss" else ground.web
    client = websocket.create_connection(
        f"{request.param}://127.0.0.1:{port}/ws", timeout=30, sslopt={"cert_reqs": ssl.CERT_NONE}
    )
    yield client
    client.close()
    client.shutdown()


@pytest.mark.behaviour("DP-82")
@pytest.mark.parametrize("size", [0, 1, 125, 126, 70_000, 3_000_000])
def test_a_websocket_echoes(socket_client: Any, size: int) -> None:
    socket_client.send_binary(pattern(size))
    assert socket_client.recv() == pattern(size)


def test_websocket_close_codes_and_pings_pass(socket_client: Any) -> None:
    socket_client.ping("are you there")
    assert socket_client.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"are you there")
    socket_client.send_close(4321, b"enough")
    kind, data = socket_client.recv_data(control_frame=True)
    assert (kind, data) == (websocket.ABNF.OPCODE_CLOSE, (4321).to_bytes(2, "big") + b"enough")


def test_a_websocket_survives_a_reload(ground: Ground, socket_client: Any) -> None:
    socket_client.send("before")
    assert socket_client.recv() == "before"
    ground.change()
    socket_client.send("behind")
    assert socket_client.recv() == "behind"
    ground.write()
    wait_until(lambda: all(ground.tree.get("/denied/x", ground.web).status == 403 for _ in range(8)))
    socket_client.send("and again")
    assert socket_client.recv() == "and again"


# gRPC


@pytest.fixture(params=["plaintext", "tls"])
def channel(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Any]:
    if request.param == "plaintext":
        found = grpc.insecure_channel(f"127.0.0.1:{ground.web}")
    else:
        pem = ssl.get_server_certificate(("127.0.0.1", ground.websecure)).encode()
        name = _name_in(pem)
        found = grpc.secure_channel(
            f"127.0.0.1:{ground.websecure}",
            grpc.ssl_channel_credentials(pem),
            (("grpc.ssl_target_name_override", name),),
        )
    with found:
        yield found


def _name_in(pem: bytes) -> str:
    from cryptography import x509

    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.DNSName)[0]


@pytest.mark.behaviour("DP-84")
def test_grpc_calls(channel: Any) -> None:
    unary = channel.unary_unary("/test.Echo/Unary")
    assert unary(b"abc", timeout=30) == b"abcabc"
    _, call = unary.with_call(b"x" * 500_000, timeout=30)
    assert dict(call.trailing_metadata())["x-seen"]
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Echo/Fail")(b"", timeout=30)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today")
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Echo/Absent")(b"", timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_grpc_streams_both_ways_in_turn(channel: Any) -> None:
    """Each message is answered before the next one is sent: nothing waits for more."""
    answers: list[bytes] = []

    def messages() -> Iterator[bytes]:
        for number in range(20):
            yield b"%d" % number * 1000
            wait_until(lambda: len(answers) > number)  # noqa: B023

    for answer in channel.stream_stream("/test.Echo/Stream")(messages(), timeout=60):
        answers.append(answer)
    assert answers == [b"%d" % number * 1000 for number in range(20)]


@pytest.mark.parametrize("how", ["deadline", "cancel"])
def test_a_grpc_call_that_is_given_up_is_given_up_at_the_server(ground: Ground, channel: Any, how: str) -> None:
    ground.echo.hangs.clear()
    ground.echo.given_up.clear()
    call = channel.unary_unary("/test.Echo/Hang").future(b"", timeout=2 if how == "deadline" else 30)
    assert ground.echo.hangs.wait(15)
    if how == "cancel":
        call.cancel()
    else:
        assert call.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert ground.echo.given_up.wait(15)


# Event streams


@needs_curl
@pytest.mark.behaviour("DP-75")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_event_arrives_before_the_next_one_is_sent(ground: Ground, protocol: str) -> None:
    flag, scheme = PROTOCOLS[protocol]
    port = ground.websecure if scheme == "https" else ground.web
    curl = subprocess.Popen(
        [
            "curl",
            "--silent",
            "--no-buffer",
            "--insecure",
            "--max-time",
            "30",
            flag,
            f"{scheme}://127.0.0.1:{port}/events",
        ],
        stdout=subprocess.PIPE,
    )
    assert curl.stdout is not None
    with curl:
        for number in range(10):
            ground.origin.tell(b"%d" % number)
            assert curl.stdout.readline() == b"data: %d\n" % number
            assert curl.stdout.readline() == b"\n"
        ground.origin.tell(b"")
        assert curl.stdout.read() == b""
    assert curl.returncode == 0


# Rude ones


def test_a_half_closed_client_gets_no_more_than_it_can_use(ground: Ground) -> None:
    """HTTP/1 clients that say they are done are taken to be gone, as by the original; the connection ends."""
    with socket.create_connection(("127.0.0.1", ground.web), 30) as client:
        client.sendall(b"GET /bytes/10 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1") <= 1
    if received:
        assert received.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 499 "))


def test_a_slow_reader_gets_everything(ground: Ground) -> None:
    size = 3_000_000
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", ground.web))
        client.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % size)
        received = b""
        while piece := client.recv(4000):
            received += piece
    assert received.partition(b"\r\n\r\n")[2] == pattern(size)
