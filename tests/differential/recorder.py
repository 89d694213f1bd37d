"""The strict server of the corpus behind both proxies, and raw conversations with them."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.corpus.strict import AnswerOf, Record, Seen, attend, plain_answer
from tests.differential.proxies import Pair, Proxy
from tests.kube import KubeServer

PATIENCE_SECONDS = 15.0
_MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: strict, namespace: corpus}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: strict-1, namespace: corpus, labels: {kubernetes.io/service-name: strict}}
addressType: IPv4
ports: [{name: "", port: PORT, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true, serving: true, terminating: false}}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: everything, namespace: corpus}
spec:
  routes:
  - {kind: Rule, match: "PathPrefix(`/`)", services: [{name: strict, port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: secured, namespace: corpus}
spec:
  tls: {}
  routes:
  - {kind: Rule, match: "PathPrefix(`/`)", services: [{name: strict, port: 80}]}
"""


class StrictServer:
    """Threads that read strictly. `answer` may be changed between two conversations; `record` is what came."""

    def __init__(self) -> None:
        self.record = Record()
        self.answer: AnswerOf = plain_answer
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(PATIENCE_SECONDS * 4)
                outer._open.add(self.request)
                try:
                    attend(outer.record, lambda: bytes(self.request.recv(65536)), self.request.sendall, outer._ask)
                finally:
                    outer._open.discard(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 128

        self._open: set[socket.socket] = set()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port: int = self._server.server_address[1]

    def _ask(self, seen: Seen) -> tuple[bytes, bool]:
        return self.answer(seen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()
        self._thread.join()


class StrictGround:
    """Both proxies in front of one strict server. A context manager."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self._folder, self._options = folder, options
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.server = self._stack.enter_context(StrictServer())
            kube = self._stack.enter_context(KubeServer())
            text = _MANIFESTS.replace("PORT", str(self.server.port))
            kube.apply(text)
            self.pair = self._stack.enter_context(Pair(kube, self._options, self._folder))
            for proxy in (self.pair.traefik, self.pair.pointsman):
                proxy.wait_for_router("corpus-secured")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def converse(self, proxy: Proxy, data: bytes, *, half_close: bool = False) -> tuple[bytes, list[Seen]]:
        """What the client gets until the end of its connection, and the whole requests that the server got."""
        self.server.record.take()
        received = talk(proxy.web, data, half_close=half_close)
        return received, self.server.record.take()[0]


def talk(port: int, data: bytes, *, half_close: bool = False) -> bytes:
    """Send all, read to the end of the connection (a reset is one, too). Raises TimeoutError if it stays open."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
        received = b""
        try:
            client.sendall(data)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                received += piece
        except ConnectionError:
            pass
        return received


def shown(seen: list[Seen]) -> list[dict[str, Any]]:
    """Requests for a comparison that fails readably."""
    return [{"words": one.words, "headers": [list(pair) for pair in one.headers]} for one in seen]
