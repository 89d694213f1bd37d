"""Load balancing through the whole tree: four workers that act like one, while servers and workers come and go."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.load import Load
from tests.e2e.pool import Line, Member, free_port
from tests.e2e.stage import CLUSTER, EXTERNAL, ROUTE, WORKERS, Stage, kill, replace_all
from tests.kube import KubeServer
from tests.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.fixture
def stage(start_tree: StartTree) -> Iterator[Stage]:
    with KubeServer() as kube:
        yield Stage(start_tree, kube)


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
        replace_all(stage.tree)
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
