"""UDP for whole-tree tests: servers that answer from a thread, clients, and manifests that lead to the servers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

ROUTE = """
apiVersion: traefik.io/v1alpha1
kind: IngressRouteUDP
metadata: {name: all}
spec:
  routes: [{services: [{name: upstream, port: 53}]}]
---
apiVersion: v1
kind: Service
metadata: {name: upstream}
spec: {ports: [{name: dns, port: 53, protocol: UDP}]}
"""
SLICE = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: upstream-{port}, labels: {{kubernetes.io/service-name: upstream}}}}
addressType: IPv4
ports: [{{name: dns, port: {port}, protocol: UDP}}]
endpoints: [{{addresses: ["{host}"], conditions: {{ready: true}}}}]
"""


class Answered(NamedTuple):
    """Which server answered, from which source port it was asked, and what it was asked."""

    server: str
    source_port: int
    data: bytes


class UDPUpstream:
    """Answers every datagram with its name, the port that the datagram came from, and the datagram.

    Servers of one service need different addresses: of endpoints with the same one only the first counts.
    """

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.host = host
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self._socket.bind((host, 0))
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                data, peer = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            self._socket.sendto(f"{self.name} {peer[1]} ".encode() + data, peer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._socket.close()


def write_manifests(directory: Path, *servers: UDPUpstream) -> None:
    """A route for every UDP entry point to these servers; in one step, so that nobody reads half a file."""
    part = directory / "part"
    part.write_text(ROUTE + "".join(SLICE.format(host=one.host, port=one.port) for one in servers))
    part.replace(directory / "udp.yaml")


class UDPClient:
    """One source address. It is connected, so that only answers from the entry point's address reach it."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, port))

    def ask(self, data: bytes = b"x", timeout_seconds: float = 10.0) -> Answered:
        """One datagram and its answer; answers to earlier ones are passed over. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        self.socket.send(data)
        while True:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            answer = answered(self.socket.recv(65536))
            if answer.data == data:
                return answer

    def ask_until_answered(self, data: bytes = b"x") -> Answered:
        """As a careful client does: it asks again."""
        for _ in range(20):
            try:
                return self.ask(data, 1.0)
            except TimeoutError:
                pass
        raise AssertionError("no answer")

    def close(self) -> None:
        self.socket.close()


def answered(raw: bytes) -> Answered:
    name, port, data = raw.split(b" ", 2)
    return Answered(name.decode(), int(port), data)


def answers_of(clients: Sequence[UDPClient]) -> list[Answered]:
    """All ask at once; an answer for each. Raises TimeoutError if one of them gets none."""
    for number, client in enumerate(clients):
        client.socket.send(b"%d" % number)
    found = []
    for number, client in enumerate(clients):
        client.socket.settimeout(10)
        answer = answered(client.socket.recv(65536))
        assert answer.data == b"%d" % number
        found.append(answer)
    return found
