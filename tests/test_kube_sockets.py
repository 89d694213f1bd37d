"""The in-memory API server's sockets and threads: what it leaves behind, odd requests, TLS."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kube import KubeServer, protobuf
from tests.kube.cluster import MemoryServer, with_query
from tests.kube.follower import DEADLINE, Follower

ROUTES = "/apis/traefik.io/v1alpha1/ingressroutes"
SERVICES = "/api/v1/services"

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: whoami, namespace: web}
spec: {entryPoints: [web], routes: [{kind: Rule, match: Host(`a.test`), services: [{name: whoami, port: 80}]}]}
"""


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with KubeServer() as started:
        yield started


@pytest.fixture
def client(server: KubeServer) -> MemoryServer:
    return MemoryServer(server)


def test_stop_and_start_again(client: MemoryServer, server: KubeServer) -> None:
    server.apply(MANIFESTS)
    port, version = server.port, server.version
    for hold_port in (True, False):
        server.stop(hold_port=hold_port)
        server.stop(hold_port=hold_port)
        with pytest.raises(ConnectionRefusedError):
            client.request("GET", SERVICES)
        server.start()
        server.start()
        assert (server.port, server.version) == (port, version)
        assert len(client.request("GET", SERVICES)[1]["items"]) == 1


def test_nothing_is_left_after_stop() -> None:
    before = resources()
    server = KubeServer()
    with server:
        followers = [Follower(server, ROUTES) for _ in range(3)]
        idle = socket.create_connection(("127.0.0.1", server.port))
        server.wait_until(lambda: server.watchers("IngressRoute") == 3, DEADLINE)
        server.drop_watches()
        with server.outage("hang"):
            idle.sendall(b"GET /version HTTP/1.1\r\n\r\n")
            server.stop()
    for follower in followers:
        follower.close()
    idle.close()
    del follower, followers
    assert resources() == before
    assert server.watchers("IngressRoute") == 0


def resources() -> tuple[set[str], int]:
    gc.collect()  # what earlier tests left to it would be missed only once
    names = {thread.name for thread in threading.enumerate() if thread.name.startswith("kube-")}
    return names, psutil.Process().num_fds()


def test_keep_alive_chunked_bodies_and_expectations(server: KubeServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    body = json.dumps({"metadata": {"name": "one"}}).encode()
    connection.request(
        "POST", "/api/v1/namespaces/web/configmaps", iter([body[:9], body[9:]]), encode_chunked=True
    )
    with connection.getresponse() as response:
        assert response.status == 201
        response.read()
    connection.request("HEAD", "/version")
    with connection.getresponse() as response:
        assert (response.status, response.read()) == (200, b"")
    watched = with_query("/api/v1/configmaps", watch="true", timeoutSeconds=1)
    connection.request("GET", watched)
    with connection.getresponse() as response:
        assert json.loads(response.read())["object"]["metadata"]["name"] == "one"
    connection.request("GET", "/version", headers={"Expect": "100-continue", "Connection": "close"})
    with connection.getresponse() as response:
        assert response.status == 200
        response.read()
    connection.close()


def test_protobuf_bodies(server: KubeServer) -> None:
    """Each part is tag, length, content; real clients send more of them (`test_kube_clients.py`)."""
    kind = b"\x0a\x0f\x0a\x02v1\x12\x09ConfigMap"
    raw = b"\x0a\x05\x0a\x03one" + b"\x12\x08\x0a\x01a\x12\x03b c" + b"\x20\x00"
    body = b"k8s\x00" + kind + b"\x12" + bytes([len(raw)]) + raw
    client = MemoryServer(server)
    path = "/api/v1/namespaces/web/configmaps"
    code, stored = client.request("POST", path, body, None, protobuf.MEDIA_TYPE)
    assert code == 201
    assert (stored["metadata"]["name"], stored["data"], stored["immutable"]) == ("one", {"a": "b c"}, False)
    for broken in (body[:-1], body[:4] + b"\xff", b"{}", body.replace(b"ConfigMap", b"ConfigMop"), b""):
        assert client.request("POST", path, broken, None, protobuf.MEDIA_TYPE)[0] == 400


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\xff\xfe\r\n\r\n"])
def test_nonsense_closes_the_connection(server: KubeServer, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as asking:
        asking.sendall(line)
        assert asking.recv(1) == b""


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key, good for servers and clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "tls.crt").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "tls.crt", folder / "tls.key"


def test_tls_with_token_or_client_certificate(certificate: tuple[Path, Path]) -> None:
    path, key = certificate
    with KubeServer(token="secret", tls_cert=path, tls_key=key, client_ca=path) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        server.apply(MANIFESTS)
        anonymous = ssl.create_default_context(cafile=str(path))
        certified = ssl.create_default_context(cafile=str(path))
        certified.load_cert_chain(path, key)
        assert tls_get(server, anonymous, "/version") == 401
        assert tls_get(server, anonymous, "/version", {"Authorization": "Bearer secret"}) == 200
        assert tls_get(server, certified, with_query(ROUTES, watch="true", timeoutSeconds=1)) == 200
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(100):
                    pass  # an alert, then the end


def test_a_watch_over_tls_notices_that_its_client_goes(certificate: tuple[Path, Path]) -> None:
    path, key = certificate
    context = ssl.create_default_context(cafile=str(path))
    with KubeServer(tls_cert=path, tls_key=key) as server:
        connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=DEADLINE)
        connection.request("GET", with_query(ROUTES, watch="true"))
        with connection.getresponse() as response:
            server.wait_for_watchers(["IngressRoute"], DEADLINE)
            server.apply(MANIFESTS)
            assert json.loads(response.readline())["type"] == "ADDED"
        connection.close()
        server.wait_until(lambda: server.watchers("IngressRoute") == 0, DEADLINE)


def tls_get(server: KubeServer, context: ssl.SSLContext, path: str, headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=DEADLINE)
    try:
        connection.request("GET", path, headers=headers or {})
        with connection.getresponse() as response:
            response.read()
            return response.status
    finally:
        connection.close()
