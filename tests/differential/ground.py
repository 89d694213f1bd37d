"""Both proxies on ground of a test's own: manifests, servers, and one question asked of both."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.differential.compare import seen_by_client
from tests.differential.echo import EchoServer
from tests.differential.proxies import Pair
from tests.differential.wire import exchange
from tests.kube import KubeServer

NAMESPACE = "ground"
_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: ground}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: echo-1, namespace: ground, labels: {kubernetes.io/service-name: echo}}
addressType: IPv4
ports: [{name: "", port: PORT, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true, serving: true, terminating: false}}]
"""


def middleware(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return resource("Middleware", name, spec)


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def route(host: str, *middlewares: str, tls: dict[str, Any] | None = None) -> dict[str, Any]:
    """An IngressRoute for one host, to the echo server."""
    rule = {
        "kind": "Rule",
        "match": f"Host(`{host}`)",
        "services": [{"name": "echo", "port": 80}],
        "middlewares": [{"name": name} for name in middlewares],
    }
    spec: dict[str, Any] = {"routes": [rule]}
    if tls is not None:
        spec["tls"] = tls
    return resource("IngressRoute", f"r-{host}", spec)


class Ground:
    """A context manager; `answers` as EchoServer has them. `last`: words in the name of the router to wait for."""

    def __init__(
        self,
        objects: list[dict[str, Any]],
        folder: Path,
        last: str,
        answers: dict[str, bytes] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self._objects, self._folder, self._last = objects, folder, last
        self._answers, self._options = answers, options
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            echo = self._stack.enter_context(EchoServer("echo", self._answers))
            kube = self._stack.enter_context(KubeServer())
            kube.apply(_SERVICE.replace("PORT", str(echo.port)) + "---\n" + yaml.safe_dump_all(self._objects))
            self.pair = self._stack.enter_context(Pair(kube, self._options, self._folder))
            for proxy in (self.pair.traefik, self.pair.pointsman):
                proxy.wait_for_router(self._last)
        except BaseException:
            self._stack.close()
            raise
        return self

    def ask(self, request: bytes) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """What a client sees of the original's answer and of ours."""
        theirs, ours = (exchange(proxy.web, request) for proxy in (self.pair.traefik, self.pair.pointsman))
        return seen_by_client(theirs), seen_by_client(ours)

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._stack.close()
