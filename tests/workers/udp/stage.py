"""A UDP entry point with real sockets on the loopback, its clock in the test's hand, and servers that answer."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

import gevent
from gevent import get_hub

from config.layer4 import UDPLoadBalancer, UDPRouter, UDPServer, UDPService
from tests.waiting import wait_until
from workers.timers import TimerWheel
from workers.udp.addressing import OwnAddresses
from workers.udp.entrypoint import MOST_SESSIONS, UDPEntryPointServer
from workers.udp.names import Names
from workers.udp.runtime import UDPRuntime, UDPTable

LIMIT_SECONDS = 5.0


class Clock:
    """Seconds that go by when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Answerer:
    """A UDP server in a greenlet: answers each datagram with `name:` and what came."""

    def __init__(self, name: str, host: str = "127.0.0.1") -> None:
        self.name = name
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((host, 0))
        self.heard: list[tuple[bytes, int]] = []
        """Datagrams and the ports they came from."""
        self.answers: Callable[[bytes], list[bytes]] = lambda data: [f"{name}:".encode() + data]
        self._watcher = get_hub().loop.io(self.socket.fileno(), 1)
        self._watcher.start(self._read)

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _read(self) -> None:
        while True:
            try:
                data, peer = self.socket.recvfrom(65536)
            except BlockingIOError:
                return
            self.heard.append((data, peer[1]))
            for answer in self.answers(data):
                self.socket.sendto(answer, peer)

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        self.socket.close()


class Client:
    """One source address. `ask` sends and waits for one answer."""

    def __init__(self, server: tuple[str, int], family: int = socket.AF_INET) -> None:
        self.server = server
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.server)

    def receive(self) -> bytes:
        """The next answer; AssertionError if it does not come from the address that was written to."""
        found: list[tuple[bytes, tuple[str, int]]] = []

        def arrived() -> bool:
            try:
                found.append(self.socket.recvfrom(65536))
            except BlockingIOError:
                return False
            return True

        wait_until(arrived, LIMIT_SECONDS, what="an answer", pause=gevent.sleep)
        data, peer = found[0]
        assert peer[:2] == self.server[:2]
        return data

    def ask(self, data: bytes) -> bytes:
        self.send(data)
        return self.receive()

    def hears_nothing(self) -> bool:
        try:
            self.socket.recv(65536)
        except BlockingIOError:
            return True
        return False


class UDPStage:
    """A context manager; everything made through it is closed at its end."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        timeout_seconds: float = 3.0,
        most_sessions: int = MOST_SESSIONS,
        own: OwnAddresses | None = None,
    ) -> None:
        self.clock = Clock()
        self.wheel = TimerWheel(get_hub().loop, self.clock)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind((host, 0))
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.names = Names(self.wheel)
        self.server = UDPEntryPointServer(
            "dns",
            timeout_seconds,
            self.socket,
            logging.getLogger("udp"),
            self.names,
            self.wheel,
            most_sessions,
            own,
        )
        self._answerers: list[Answerer] = []
        self._clients: list[Client] = []

    def answerer(self, name: str, host: str = "127.0.0.1") -> Answerer:
        self._answerers.append(Answerer(name, host))
        return self._answerers[-1]

    def client(self, host: str = "", family: int = socket.AF_INET) -> Client:
        """Writes to the entry point at `host`, or where it is bound."""
        self._clients.append(Client((host or self.address[0], self.address[1]), family))
        return self._clients[-1]

    def serve(self, *addresses: str) -> None:
        """New sessions go to these servers in turn."""
        self.server.table = table_of(*addresses)

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.wheel.advance()

    def settle(self) -> None:
        """Let the hub do what is waiting."""
        for _ in range(3):
            gevent.sleep(0.001)

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.abort()
        self.wheel.close()
        for answerer in self._answerers:
            answerer.close()
        for client in self._clients:
            client.socket.close()
        self.socket.close()


class Points:
    """What a runtime needs of the static configuration."""

    def __init__(self, *names: str) -> None:
        self.udp_entry_points = list(names)


def balancer_of(*addresses: str) -> UDPService:
    return UDPService(load_balancer=UDPLoadBalancer(servers=[UDPServer(address=one) for one in addresses]))


def table_of(*addresses: str) -> UDPTable:
    runtime = UDPRuntime().updated(
        {"r@p": UDPRouter(service="s")}, {"s@p": balancer_of(*addresses)}, Points("dns")
    )
    return runtime.tables["dns"]
