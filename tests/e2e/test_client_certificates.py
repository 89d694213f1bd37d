"""Client certificates through the whole tree, over HTTP/1 and HTTP/2: who gets in, what servers are told, and
that no request finds its way to a host whose demands its connection did not meet."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.e2e.conftest import FLAGS
from tests.e2e.tree import REAL, Tree
from tests.http2_client import Http2Client
from tests.tls.handshakes import TLS12, TLS13, client_context
from tests.tls.pki import Authority, Pair

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("e2e client certificates")]

ROOT, OTHER = Authority(), Authority("other root")
CERTIFICATES: dict[str, Pair | None] = {
    "none": None,
    "good": ROOT.issue("client", usage="client"),
    "foreign": OTHER.issue("client", usage="client"),
}
ADMITTED = {
    "RequestClientCert": {"none", "good", "foreign"},
    "RequireAnyClientCert": {"good", "foreign"},
    "VerifyClientCertIfGiven": {"none", "good"},
    "RequireAndVerifyClientCert": {"good"},
}
_HEADER = "X-Forwarded-Tls-Client-Cert"
_COMMON = """
apiVersion: v1
kind: Secret
metadata: {{name: authority}}
data: {{tls.ca: {authority}}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {{name: tell}}
spec: {{passTLSClientCert: {{pem: true}}}}
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
_HOST = """
---
apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata: {{name: {name}}}
spec: {spec}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}}}
spec:
  tls: {{options: {{name: {name}}}}}
  routes:
    - kind: Rule
      match: Host(`{name}.test`)
      services: [{{name: upstream, port: 80}}]
      middlewares: [{{name: tell}}]
"""


class _Mirror(BaseHTTPRequestHandler):
    """Answers with what it was told of the client's certificate."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.headers.get(_HEADER, "nothing").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("client-certificates")
    manifests = Path(folder, "manifests")
    manifests.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Mirror)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    text = _COMMON.format(authority=base64.b64encode(ROOT.pem.encode()).decode(), port=server.server_address[1])
    for kind in ADMITTED:
        demands = f"{{clientAuth: {{secretNames: [authority], clientAuthType: {kind}}}}}"
        text += _HOST.format(name=kind.lower(), spec=demands)
    text += _HOST.format(name="open", spec="{}") + _HOST.format(name="http1", spec="{alpnProtocols: [http/1.1]}")
    (manifests / "all.yaml").write_text(text)
    flags = ("--workers=2", f"--providers.manifests.directory={manifests}", "--ping.entryPoint=web")
    tree = Tree(folder, [*FLAGS, *flags], {}, REAL)
    try:
        found = tree.port()
        tree.wait_for(lambda: tree.get("/ready", found).status == 200, "every worker serves the manifests")
        yield found
    finally:
        tree.end()
        server.shutdown()
        server.server_close()
        thread.join()


class Seen(NamedTuple):
    """`told`: what the server knows of the client's certificate."""

    status: int
    told: str
    protocol: str | None


def ask(port: int, name: str, *hosts: str, context: ssl.SSLContext) -> list[Seen]:
    """Requests on one connection. Raises OSError as it comes."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
        context.wrap_socket(plain, server_hostname=name) as client,
    ):
        protocol = client.selected_alpn_protocol()
        if protocol == "h2":
            replies = Http2Client(client)
            return [Seen(r.status, r.body.decode(), protocol) for r in (replies.get(host) for host in hosts)]
        return [_ask_1(client, host) for host in hosts]


def _ask_1(client: ssl.SSLSocket, host: str) -> Seen:
    client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(client)
    head, _, body = received.partition(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-le")
    )
    while len(body) < length:
        body += _some(client)
    return Seen(int(head.split(b" ")[1]), body.decode(), client.selected_alpn_protocol())


def _some(client: ssl.SSLSocket) -> bytes:
    data = client.recv(65536)
    if not data:
        raise ConnectionResetError("closed without an answer")
    return data


def as_told(pair: Pair | None) -> str:
    """The header for this client: the certificate's DER bytes in base64."""
    if pair is None:
        return "nothing"
    return base64.b64encode(x509.load_pem_x509_certificate(pair.chain).public_bytes(Encoding.DER)).decode()


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("certificate", CERTIFICATES)
@pytest.mark.parametrize("kind", ADMITTED)
def test_who_gets_in_and_what_the_server_is_told(
    port: int, kind: str, certificate: str, version: ssl.TLSVersion, alpn: str
) -> None:
    pair, host = CERTIFICATES[certificate], f"{kind.lower()}.test"
    context = client_context(only=version, alpn=[alpn], certificate=pair)
    if certificate in ADMITTED[kind]:
        assert ask(port, host, host, context=context) == [Seen(200, as_told(pair), alpn)]
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(port, host, host, context=context)


@pytest.mark.behaviour("DP-108")
@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
@pytest.mark.behaviour("ADV-C-3")
def test_a_connection_to_one_host_is_none_to_another_option_s(port: int, alpn: str) -> None:
    """ADV-C: browsers coalesce HTTP/2 connections whose certificate covers both names."""
    strict, lax = "requireandverifyclientcert.test", "requestclientcert.test"
    context = client_context(only=TLS13, alpn=[alpn], certificate=CERTIFICATES["good"])
    seen = ask(port, "open.test", "open.test", strict, strict.upper() + ".", lax, "open.test", context=context)
    assert [one.status for one in seen] == [200, 421, 421, 421, 200]
    seen = ask(port, strict, strict, "open.test", lax, strict, context=context)
    assert [one.status for one in seen] == [200, 421, 421, 200]
    assert seen[-1].told == as_told(CERTIFICATES["good"])


def test_an_option_without_http_2_is_served_http_1_alone(port: int) -> None:
    (seen,) = ask(port, "http1.test", "http1.test", context=client_context(alpn=["h2", "http/1.1"]))
    assert (seen.status, seen.protocol) == (200, "http/1.1")
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        ask(port, "http1.test", "http1.test", context=client_context(alpn=["h2"]))
    (seen,) = ask(port, "open.test", "open.test", context=client_context(alpn=["http/1.1", "h2"]))
    assert (seen.status, seen.protocol) == (200, "h2")
