"""Four workers on an API server of their own, and the objects that services are made of."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from typing import Any

from tests.e2e.conftest import StartTree
from tests.e2e.pool import Lines, Member, owner
from tests.e2e.tree import REAL, Tree, is_gone
from tests.kube import KubeServer

WORKERS = 4
NO_SERVER = b"no available server\n"
EXTERNAL = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{type: ExternalName, externalName: {host}, ports: [{{name: web, port: {port}}}]}}
---
"""
ROUTE = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}, namespace: default}}
spec: {{routes: [{{kind: Rule, match: "Host(`{name}`)", services: [{reference}]}}]}}
---
"""
CLUSTER = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{clusterIP: 127.0.0.1, ports: [{{port: 80, protocol: TCP}}]}}
---
"""


class Stage:
    """A tree of four workers on an API server of its own."""

    def __init__(self, start_tree: StartTree, kube: KubeServer) -> None:
        self.kube = kube
        self._start = start_tree

    def start(self, manifests: str) -> Tree:
        self.kube.apply(manifests)
        self.tree = self._start(
            f"--workers={WORKERS}",
            f"--providers.kubernetesCRD.endpoint={self.kube.url}",
            "--providers.kubernetesCRD.allowExternalNameServices=true",
            "--entryPoints.traefik.address=127.0.0.1:0",
            "--api.insecure=true",
            "--ping.entryPoint=web",
            program=REAL,
        )
        self.port = self.tree.port()
        self.wait_ready()
        return self.tree

    def wait_ready(self) -> None:
        self.tree.wait_for(lambda: self._status() == 200, "every worker serves the objects")

    def _status(self) -> int:
        try:
            return self.tree.get("/ready", self.port).status
        except OSError:
            return 0

    def lines(self) -> Lines:
        return Lines(self.tree, self.port, WORKERS)

    def prober_of(self, member: Member) -> None:
        """Let the server find out which worker asks it."""
        member.who = lambda port: owner(self.tree.workers(), port)

    def server_status(self) -> dict[str, str]:
        """What `/api/http/services` says of all servers, by URL."""
        url = f"http://127.0.0.1:{self.tree.port('traefik')}/api/http/services"
        with urllib.request.urlopen(url, timeout=20) as answer:
            services: list[dict[str, Any]] = json.load(answer)
        return {url: status for one in services for url, status in one.get("serverStatus", {}).items()}


def replace_all(tree: Tree) -> None:
    """HUP: every worker makes way for another."""
    before = set(tree.workers())
    tree.send(signal.SIGHUP)
    tree.wait_for(lambda: len(now := set(tree.workers())) == WORKERS and not now & before, "new workers")


def kill(tree: Tree, pid: int) -> None:
    """End a worker without warning; another one takes its place."""
    before = set(tree.workers())
    os.kill(pid, signal.SIGKILL)
    tree.wait_for(lambda: is_gone(pid), f"worker {pid} is gone")
    tree.wait_for(lambda: len(set(tree.workers()) - before) == 1, "a worker in its place")
