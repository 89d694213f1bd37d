"""Load balancing through the whole tree: four workers that act like one, while servers and workers come and go."""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

import grpc
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.health_service import HealthService
from tests.e2e.load import Load
from tests.e2e.pool import HEALTH_PATH, Line, Lines, Member, free_port, owner
from tests.e2e.tree import REAL, Tree, is_gone
from tests.kube import KubeServer
from tests.waiting import wait_until

pytestmark = pytest.mark.process

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


@pytest.fixture
def stage(start_tree: StartTree) -> Iterator[Stage]:
    with KubeServer() as kube:
        yield Stage(start_tree, kube)


def kill(tree: Tree, pid: int) -> None:
    """End a worker without warning; another one takes its place."""
    before = set(tree.workers())
    os.kill(pid, signal.SIGKILL)
    tree.wait_for(lambda: is_gone(pid), f"worker {pid} is gone")
    tree.wait_for(lambda: len(set(tree.workers()) - before) == 1, "a worker in its place")


@pytest.mark.behaviour("DP-95")
@pytest.mark.behaviour("DP-96")
def test_one_worker_asks_and_all_of_them_know(stage: Stage) -> None:
    check = f"{{path: {HEALTH_PATH}, interval: 200ms, timeout: 5s}}"
    with Member() as member:
        stage.start(
            EXTERNAL.format(name="checked", host="127.0.0.1", port=member.port)
            + ROUTE.format(
                name="checked", reference=f"{{name: checked, port: {member.port}, healthCheck: {check}}}"
            )
        )
        stage.prober_of(member)
        first = len(member.probes) + 1  # one that was under way did not know whom it talks to yet
        wait_until(lambda: len(member.probes) >= first + 6, what="it is asked again and again")
        askers = set(member.probes[first:])
        assert len(askers) == 1
        assert askers <= set(stage.tree.workers())
        check_verdicts(stage, member)
        kill(stage.tree, askers.pop())
        seen = len(member.probes)
        wait_until(lambda: any(pid in stage.tree.workers() for pid in member.probes[seen:]), what="another asks")
        check_verdicts(stage, member)


def check_verdicts(stage: Stage, member: Member) -> None:
    """Down and up again, on every worker."""
    url = f"http://127.0.0.1:{member.port}"
    with stage.lines() as lines:
        wait_until(lambda: {one.status for one in lines.ask("checked")} == {200}, what="all send to it")
        assert stage.server_status() == {url: "UP"}
        member.status = 503
        wait_until(lambda: {one.body for one in lines.ask("checked")} == {NO_SERVER}, what="nobody sends to it")
        hits = member.hits
        assert {one.status for _ in range(10) for one in lines.ask("checked")} == {503}
        assert member.hits == hits
        wait_until(lambda: stage.server_status() == {url: "DOWN"}, what="the API says so")
        member.status = 200
        wait_until(lambda: {one.status for one in lines.ask("checked")} == {200}, what="all send to it again")
        wait_until(lambda: stage.server_status() == {url: "UP"}, what="the API says so")


@pytest.mark.behaviour("DP-98")
def test_failures_are_counted_over_all_workers(stage: Stage) -> None:
    check = f"{{failureWindow: 60s, maxFailedAttempts: {WORKERS}}}"
    with Member() as member:
        member.status = 500
        stage.start(
            EXTERNAL.format(name="watched", host="127.0.0.1", port=member.port)
            + ROUTE.format(
                name="watched", reference=f"{{name: watched, port: {member.port}, passiveHealthCheck: {check}}}"
            )
        )
        with stage.lines() as lines:
            assert [one.status for one in lines.ask("watched")] == [500] * WORKERS
            assert member.hits == WORKERS
            # the worker that saw the last of them knows at once, though it has seen only one itself
            last = list(lines.by_pid.values())[-1]
            assert last.ask("watched").body == NO_SERVER
            wait_until(lambda: {one.body for one in lines.ask("watched")} == {NO_SERVER}, what="all know")
        for pid in stage.tree.workers()[:1]:
            kill(stage.tree, pid)
        stage.wait_ready()
        with stage.lines() as lines:  # a new worker knows it too
            wait_until(lambda: {one.body for one in lines.ask("watched")} == {NO_SERVER}, what="all know")


@pytest.mark.behaviour("DP-90")
@pytest.mark.behaviour("DP-125")
def test_a_cookie_holds_on_every_worker_and_longer_than_any(stage: Stage) -> None:
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    port = free_port(*addresses)
    reference = "{name: pool, port: 80, sticky: {cookie: {name: own}}}"
    with ExitStack() as stack:
        for address in addresses:
            stack.enter_context(Member(address, port))
        stage.kube.set_endpoints("default", "pool", addresses[:2], port=port)
        stage.start(CLUSTER.format(name="pool") + ROUTE.format(name="pool", reference=reference))
        with stage.lines() as lines:
            first = lines.ask("pool")[0]
        assert len(first.cookies) == 1
        value = first.cookies[0].partition(";")[0]
        assert value.startswith("own=")

        def sticks() -> None:
            with stage.lines() as lines:
                answers = [one for _ in range(3) for one in lines.ask("pool", value)]
            assert {(one.server, tuple(one.cookies)) for one in answers} == {(first.server, ())}

        sticks()
        stage.kube.set_endpoints("default", "pool", addresses, port=port)
        with Line(stage.port) as line:
            wait_until(lambda: line.ask("pool").server == addresses[2], what="the new server takes part")
        sticks()
        for pid in stage.tree.workers():
            kill(stage.tree, pid)
        stage.wait_ready()
        sticks()
        before = set(stage.tree.workers())
        stage.tree.send(signal.SIGHUP)
        stage.tree.wait_for(
            lambda: len(now := set(stage.tree.workers())) == WORKERS and not now & before, "new workers"
        )
        stage.wait_ready()
        sticks()


@pytest.mark.behaviour("DP-94")
def test_cookies_of_two_levels(stage: Stage) -> None:
    addresses = ["127.0.0.2", "127.0.0.3"]
    port = free_port(*addresses)
    reference = "{name: outer, kind: TraefikService}"
    service = (
        "apiVersion: traefik.io/v1alpha1\nkind: TraefikService\nmetadata: {name: outer, namespace: default}\n"
        "spec: {weighted: {sticky: {cookie: {name: outer}}, services: ["
        "{name: one, port: 80, sticky: {cookie: {name: inner}}}, "
        "{name: two, port: 80, sticky: {cookie: {name: inner}}}]}}\n---\n"
    )
    with ExitStack() as stack:
        for address in addresses:
            stack.enter_context(Member(address, port))
        stage.kube.set_endpoints("default", "one", addresses[:1], port=port)
        stage.kube.set_endpoints("default", "two", addresses[1:], port=port)
        stage.start(
            "".join(CLUSTER.format(name=name) for name in ("one", "two"))
            + service
            + ROUTE.format(name="w", reference=reference)
        )
        with stage.lines() as lines:
            first = lines.ask("w")[0]
            names = sorted(one.partition("=")[0] for one in first.cookies)
            assert names == ["inner", "outer"]
            value = "; ".join(one.partition(";")[0] for one in first.cookies)
            answers = [one for _ in range(3) for one in lines.ask("w", value)]
            assert {(one.server, tuple(one.cookies)) for one in answers} == {(first.server, ())}


@pytest.mark.behaviour("DP-100")
def test_mirrors_dead_and_alive(stage: Stage) -> None:
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    port = free_port(*addresses)
    service = (
        "apiVersion: traefik.io/v1alpha1\nkind: TraefikService\nmetadata: {name: m, namespace: default}\n"
        "spec: {mirroring: {name: main, port: 80, mirrors: ["
        "{name: dead, port: 80, percent: 100}, {name: alive, port: 80, percent: 100}]}}\n---\n"
    )
    with Member(addresses[0], port) as main, Member(addresses[1], port) as alive:
        for name, address in zip(("main", "alive", "dead"), addresses, strict=True):
            stage.kube.set_endpoints("default", name, [address], port=port)
        stage.start(
            "".join(CLUSTER.format(name=name) for name in ("main", "alive", "dead"))
            + service
            + ROUTE.format(name="m", reference="{name: m, kind: TraefikService}")
        )
        bodies = [b"body %d " % number * 1000 for number in range(12)]
        with stage.lines() as lines:
            several = list(lines.by_pid.values())
            for number, body in enumerate(bodies):
                answer = several[number % WORKERS].ask("m", "POST", body)
                assert (answer.status, answer.server) == (200, addresses[0])
        assert main.bodies == dict.fromkeys(bodies, 1)
        wait_until(lambda: alive.bodies == dict.fromkeys(bodies, 1), what="the living mirror has them all")
        main.status = 500  # a failure of the main service is mirrored like any answer
        with stage.lines() as lines:
            assert {one.status for one in lines.ask("m")} == {500}
        wait_until(lambda: alive.bodies[b""] == WORKERS, what="the living mirror has these too")


@pytest.mark.behaviour("DP-101")
def test_failover_follows_the_health_check(stage: Stage) -> None:
    check = f"{{path: {HEALTH_PATH}, interval: 200ms, timeout: 5s}}"
    with Member("127.0.0.2") as main, Member("127.0.0.3") as fallback:
        service = (
            "apiVersion: traefik.io/v1alpha1\nkind: TraefikService\nmetadata: {name: f, namespace: default}\n"
            f"spec: {{failover: {{service: {{name: main, port: {main.port}, healthCheck: {check}}}, "
            f"fallback: {{name: other, port: {fallback.port}}}}}}}\n---\n"
        )
        stage.start(
            EXTERNAL.format(name="main", host="127.0.0.2", port=main.port)
            + EXTERNAL.format(name="other", host="127.0.0.3", port=fallback.port)
            + service
            + ROUTE.format(name="f", reference="{name: f, kind: TraefikService}")
        )
        with stage.lines() as lines:
            assert {one.server for one in lines.ask("f")} == {"127.0.0.2"}
            main.status = 503
            wait_until(lambda: {one.server for one in lines.ask("f")} == {"127.0.0.3"}, what="the fallback serves")
            main.status = 200
            wait_until(lambda: {one.server for one in lines.ask("f")} == {"127.0.0.2"}, what="the main one serves")


def use(member: Member) -> None:
    """Wait for some requests to it."""
    enough = member.hits + 5
    wait_until(lambda: member.hits >= enough, what=f"{member.address} is used")


@pytest.mark.behaviour("DP-122")
def test_servers_come_and_go_under_load(stage: Stage) -> None:
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]
    port = free_port(*addresses)
    with ExitStack() as stack:
        members = {address: stack.enter_context(Member(address, port)) for address in addresses}
        stage.kube.set_endpoints("default", "pool", addresses[:2], port=port)
        stage.start(CLUSTER.format(name="pool") + ROUTE.format(name="pool", reference="{name: pool, port: 80}"))
        with Load(stage.port, "pool") as load:
            for turn in range(12):
                pair = [addresses[turn % 4], addresses[(turn + 1) % 4]]
                stage.kube.set_endpoints("default", "pool", pair, port=port)
                use(members[pair[1]])
        assert load.failures == []
        assert set(load.answers) == {200}


@pytest.mark.behaviour("DP-95")
def test_grpc_health(stage: Stage) -> None:
    with HealthService() as server:
        check = "{mode: grpc, interval: 200ms, timeout: 5s}"
        reference = f"{{name: g, port: {server.port}, scheme: h2c, healthCheck: {check}}}"
        stage.start(
            EXTERNAL.format(name="g", host="127.0.0.1", port=server.port)
            + ROUTE.format(name="127.0.0.1", reference=reference)
        )
        url = f"h2c://127.0.0.1:{server.port}"
        wait_until(lambda: server.asked >= 2, what="it is asked")
        assert stage.server_status() == {url: "UP"}
        for answer in (2, None):  # NOT_SERVING, and no such service
            server.answer = answer
            wait_until(lambda: stage.server_status() == {url: "DOWN"}, what="it is down")
            server.answer = 1
            wait_until(lambda: stage.server_status() == {url: "UP"}, what="it is up")
        with grpc.insecure_channel(f"127.0.0.1:{stage.port}") as channel:
            method: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert method(b"", timeout=15) == b"\x08\x01"


class Held(socketserver.ThreadingTCPServer):
    """Answers /half with half a body, and the rest once `going_on` is set. Behind an upgrade bytes come back."""

    daemon_threads = True

    def __init__(self) -> None:
        self.going_on = threading.Event()
        super().__init__(("127.0.0.1", 0), _HeldHandler)
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.going_on.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class _HeldHandler(socketserver.BaseRequestHandler):
    server: Held

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = self.request.recv(65536)
            if not piece:
                return
            head += piece
        if b"upgrade: echo" in head.lower():
            self.request.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            )
            while data := self.request.recv(65536):
                self.request.sendall(data)
        elif not head.startswith(b"GET /half "):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            assert self.server.going_on.wait(30)
            self.request.sendall(b"rest")


@pytest.mark.behaviour("DP-123")
def test_what_is_under_way_outlives_its_router(stage: Stage) -> None:
    with Held() as server:
        stage.start(
            EXTERNAL.format(name="held", host="127.0.0.1", port=server.port)
            + ROUTE.format(name="held", reference=f"{{name: held, port: {server.port}}}")
        )
        address = ("127.0.0.1", stage.port)
        with socket.create_connection(address, 20) as download, socket.create_connection(address, 20) as tunnel:
            download.sendall(b"GET /half HTTP/1.1\r\nHost: held\r\nConnection: close\r\n\r\n")
            wait_until(lambda: download.recv(65536, socket.MSG_PEEK).endswith(b"half"), what="half of it is there")
            tunnel.sendall(b"GET / HTTP/1.1\r\nHost: held\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            assert tunnel.recv(65536).startswith(b"HTTP/1.1 101 ")
            stage.kube.delete("IngressRoute", "default", "held")
            with stage.lines() as lines:
                wait_until(lambda: {one.status for one in lines.ask("held")} == {404}, what="its router is gone")
            tunnel.sendall(b"still here")
            assert tunnel.recv(65536) == b"still here"
            server.going_on.set()
            received = b""
            while piece := download.recv(65536):
                received += piece
            assert received.endswith(b"\r\n\r\nhalfrest")


@pytest.mark.behaviour("DP-126")
def test_a_verdict_outlives_reloads(stage: Stage) -> None:
    """The original sends requests to a dead server for an interval after every reload; ours does not."""
    check = f"{{path: {HEALTH_PATH}, interval: 1h, unhealthyInterval: 1h, timeout: 5s}}"
    quick = f"{{path: {HEALTH_PATH}, interval: 1h, unhealthyInterval: 1h, timeout: 5s, headers: {{X-A: b}}}}"
    with Member() as member:
        member.status = 503
        services = EXTERNAL.format(name="checked", host="127.0.0.1", port=member.port)
        passive = "passiveHealthCheck: {maxFailedAttempts: 1, failureWindow: 1h}"

        def route(check: str) -> str:
            reference = f"{{name: checked, port: {member.port}, healthCheck: {check}, {passive}}}"
            return ROUTE.format(name="checked", reference=reference)

        stage.start(services + route(check))
        with stage.lines() as lines:
            wait_until(
                lambda: {one.body for one in lines.ask("checked")} == {NO_SERVER}, what="a failure is enough"
            )
            stage.kube.apply(
                services + route(check) + ROUTE.format(name="more", reference="{name: none, port: 1}")
            )
            other = "{name: checked, port: %d, strategy: p2c}" % member.port  # noqa: UP031 - braces
            stage.kube.apply(ROUTE.format(name="probe", reference=other))
            wait_until(lambda: {one.status for one in lines.ask("probe")} == {503}, what="the change is in force")
            assert {one.body for one in lines.ask("checked")} == {NO_SERVER}
        before = set(stage.tree.workers())
        stage.tree.send(signal.SIGHUP)
        stage.tree.wait_for(
            lambda: len(now := set(stage.tree.workers())) == WORKERS and not now & before, "new workers"
        )
        stage.wait_ready()
        asked = member.hits
        with stage.lines() as lines:
            assert {one.body for one in lines.ask("checked")} == {NO_SERVER}
        assert member.hits == asked
        stage.kube.apply(services + route(quick))  # another check is another matter
        with stage.lines() as lines:
            wait_until(lambda: lines.ask("checked") and member.hits > asked, what="it is tried again")
