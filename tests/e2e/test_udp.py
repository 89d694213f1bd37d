"""UDP entry points of the real tree: what clients see in normal times, in changes, crashes and at the end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import FLAGS, StartTree
from tests.e2e.datagrams import UDPClient, UDPUpstream, answers_of, write_manifests
from tests.e2e.test_start import AS_SYSTEMD
from tests.e2e.tree import REAL, Tree
from tests.waiting import wait_until

pytestmark = pytest.mark.process

FLOWS = 1500
Connect = Callable[..., UDPClient]


class Stage:
    """A folder of manifests, two servers of which `a` is served at first, and trees that follow the folder."""

    def __init__(self, start: StartTree, directory: Path, a: UDPUpstream, b: UDPUpstream) -> None:
        self._start = start
        self.directory = directory
        self.a, self.b = a, b
        write_manifests(directory, a)

    def start(
        self,
        *flags: str,
        dns: str = "127.0.0.1:0/udp",
        workers: int = 2,
        idle: str = "60s",
        grace: str = "1s",
        **options: object,
    ) -> Tree:
        tree = self._start(
            f"--workers={workers}",
            f"--entryPoints.dns.address={dns}",
            f"--entryPoints.dns.udp.timeout={idle}",
            f"--entryPoints.dns.transport.lifeCycle.graceTimeOut={grace}",
            f"--providers.manifests.directory={self.directory}",
            "--providers.providersThrottleDuration=0s",
            "--ping.entryPoint=web",
            *flags,
            program=REAL,
            **options,
        )
        port = tree.port("web")
        tree.wait_for(lambda: tree.get("/ready", port).status == 200, "every worker serves the manifests")
        return tree


@pytest.fixture
def stage(start_tree: StartTree, tmp_path: Path) -> Iterator[Stage]:
    directory = tmp_path / "manifests"
    directory.mkdir()
    with UDPUpstream("a", "127.0.0.1") as a, UDPUpstream("b", "127.0.0.2") as b:
        yield Stage(start_tree, directory, a, b)


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened: list[UDPClient] = []

    def make(tree: Tree, host: str = "127.0.0.1") -> UDPClient:
        opened.append(UDPClient(tree.port("dns"), host))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


def sessions_of(tree: Tree, upstream: UDPUpstream) -> int:
    """Sockets of the workers that are connected to this server."""
    count = 0
    for pid in tree.workers():
        for one in psutil.Process(pid).net_connections("udp"):
            count += bool(one.raddr) and one.raddr.port == upstream.port
    return count


@pytest.mark.behaviour("DP-121")
def test_thousands_of_flows_have_a_session_each(stage: Stage, connect: Connect) -> None:
    tree = stage.start()
    clients = [connect(tree) for _ in range(FLOWS)]
    first, second = [], []
    for start in range(0, FLOWS, 100):  # more at once would be lost in the buffers of the test's own server
        some = clients[start : start + 100]
        first += answers_of(some)
        second += answers_of(some)
    assert [answer.source_port for answer in first] == [answer.source_port for answer in second]
    assert len({answer.source_port for answer in first}) == FLOWS
    counts = [len(psutil.Process(pid).net_connections("udp")) for pid in tree.workers()]
    assert min(counts) > FLOWS / 4, "every worker has its share"


@pytest.mark.behaviour("DP-121")
def test_after_the_idle_time_the_session_is_over(stage: Stage, connect: Connect) -> None:
    write_manifests(stage.directory, stage.a, stage.b)
    tree = stage.start(workers=1, idle="300ms")
    one, two = connect(tree), connect(tree)
    first, other = one.ask(), two.ask()
    assert {first.server, other.server} == {"a", "b"}
    wait_until(lambda: sessions_of(tree, stage.a) + sessions_of(tree, stage.b) == 0, what="both sessions are over")
    again = one.ask()
    assert again.source_port not in (first.source_port, other.source_port)


def test_a_wildcard_entry_point_answers_from_the_right_address(stage: Stage, connect: Connect) -> None:
    tree = stage.start(dns=":0/udp")
    for host in ("127.0.0.1", "127.0.0.9", "::1"):
        assert connect(tree, host).ask().server == "a"


def test_a_change_keeps_living_sessions(stage: Stage, connect: Connect) -> None:
    tree = stage.start()
    old = connect(tree)
    before = old.ask()
    write_manifests(stage.directory, stage.b)
    wait_until(lambda: connect(tree).ask().server == "b", what="new sessions go to the new server")
    assert old.ask(b"still")[:2] == before[:2]
    (stage.directory / "udp.yaml").unlink()

    def is_silent() -> bool:
        try:
            connect(tree).ask(timeout_seconds=0.2)
        except TimeoutError:
            return True
        return False

    wait_until(is_silent, what="without a router datagrams are dropped")
    assert old.ask(b"and still")[:2] == before[:2]


def test_the_successor_of_a_killed_worker_serves_its_flows(stage: Stage, connect: Connect) -> None:
    tree = stage.start()
    clients = [connect(tree) for _ in range(40)]
    before = answers_of(clients)
    victim, survivor = tree.workers()
    os.kill(victim, signal.SIGKILL)
    for client in clients:
        client.ask_until_answered(b"after")
    wait_until(lambda: len(set(tree.workers()) - {victim, survivor}) == 1, what="a new worker")
    after = answers_of(clients)
    kept = sum(one.source_port == other.source_port for one, other in zip(before, after, strict=True))
    assert 0 < kept < len(clients), "the other worker's flows were not touched"


def test_datagrams_wait_for_the_successor(stage: Stage, connect: Connect) -> None:
    """The master holds the socket: what comes while nobody reads is answered later, not lost."""
    tree = stage.start(workers=1)
    client = connect(tree)
    client.ask()
    os.kill(tree.workers()[0], signal.SIGSTOP)
    for number in range(50):
        client.socket.send(b"%d" % number)
    os.kill(tree.workers()[0], signal.SIGKILL)
    client.socket.settimeout(10)
    heard = [client.socket.recv(100).rpartition(b" ")[2] for _ in range(50)]
    assert heard == [b"%d" % number for number in range(50)]


def test_a_reload_loses_no_datagram_and_splits_no_flow(stage: Stage, connect: Connect) -> None:
    tree = stage.start()
    clients = [connect(tree) for _ in range(30)]
    before = {client: client.ask().source_port for client in clients}
    ports: dict[UDPClient, list[int]] = {client: [before[client]] for client in clients}
    old = set(tree.workers())
    tree.send(signal.SIGHUP)

    def is_replaced() -> bool:
        for client in clients:
            port = client.ask().source_port
            if port != ports[client][-1]:
                ports[client].append(port)
        return all(len(seen) > 1 for seen in ports.values())

    wait_until(is_replaced, what="every flow is with a new worker")
    assert all(len(seen) == 2 for seen in ports.values()), "it moves once"
    assert len(set(tree.workers()) - old) == 2


def test_a_worker_more_or_less_moves_its_share_of_the_flows(stage: Stage, connect: Connect) -> None:
    tree = stage.start()
    clients = [connect(tree) for _ in range(90)]
    before = answers_of(clients)
    tree.send(signal.SIGTTIN)
    tree.wait_for(lambda: len(tree.workers()) == 3 and tree.get("/ready").status == 200, "three workers")
    more = answers_of(clients)
    moved = [one.source_port != other.source_port for one, other in zip(before, more, strict=True)]
    assert 0 < sum(moved) < 60
    tree.send(signal.SIGTTOU)
    gone = tree.workers()[-1]
    wait_until(lambda: gone not in tree.workers(), what="the third worker leaves")
    less = answers_of(clients)
    stayed = [one.source_port == other.source_port for one, other in zip(more, less, strict=True)]
    assert all(stays or has_moved for stays, has_moved in zip(stayed, moved, strict=True))


def test_the_end_waits_for_sessions_but_not_for_ever(stage: Stage, connect: Connect) -> None:
    tree = stage.start(idle="3s", grace="60s")
    client = connect(tree)
    port = client.ask().source_port
    tree.send(signal.SIGTERM)
    tree.wait_for_log("I have to go")
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert client.ask().source_port == port, "a session under way is served"
    assert tree.process.poll() is None
    assert tree.wait_exit() == 0, "long before the grace time: the session was idle"
    assert "sessions cut" not in tree.log()


def test_the_grace_time_cuts_busy_sessions(stage: Stage, connect: Connect) -> None:
    tree = stage.start()
    client = connect(tree)
    client.ask()
    tree.send(signal.SIGTERM)

    def is_cut() -> bool:
        try:
            client.ask(timeout_seconds=0.3)
        except (TimeoutError, ConnectionRefusedError):
            return True
        return False

    wait_until(is_cut, what="the session is cut")
    assert tree.wait_exit() == 0
    assert "sessions cut after the grace period" in tree.log()


def test_an_upgrade_hands_the_flows_over(stage: Stage, connect: Connect, tmp_path: Path) -> None:
    pidfile = tmp_path / "pointsman.pid"
    tree = stage.start(f"--pidFile={pidfile}")
    clients = [connect(tree) for _ in range(20)]
    before = [client.ask().source_port for client in clients]
    tree.send(signal.SIGUSR2)
    second = tmp_path / "pointsman.pid.2"
    wait_until(second.exists, what="the second pidfile")
    heir = psutil.Process(int(second.read_text()))
    try:
        wait_until(lambda: tree.log().count("worker serves") == 4, what="workers of the new master")
        assert [client.ask().source_port for client in clients] == before, "the old tree goes on with its flows"
        tree.send(signal.SIGTERM)
        wait_until(
            lambda: all(client.ask().source_port != port for client, port in zip(clients, before, strict=True)),
            what="the new tree has them",
        )
        assert tree.wait_exit() == 0
        assert clients[0].ask().server == "a"
    finally:
        family = [heir, *heir.children()]
        heir.terminate()
        heir.wait(20)
        psutil.wait_procs(family, 10)


def test_one_socket_of_systemd_is_read_by_one_worker(stage: Stage, connect: Connect) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        tree = stage.start(
            dns=f"127.0.0.1:{theirs.getsockname()[1]}/udp",
            environ={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "dns"},
            descriptors=(theirs.fileno(),),
            wrapper=(sys.executable, "-c", AS_SYSTEMD, str(theirs.fileno())),
            base=FLAGS,
        )
        client = connect(tree)
        ports = {client.ask().source_port for _ in range(20)}
        assert len(ports) == 1, "one session, though every worker holds the socket"
        old = tree.workers()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        assert client.ask_until_answered(b"again").source_port not in ports
        assert tree.stop() == 0
