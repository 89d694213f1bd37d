"""Both proxies in front of TCP servers for drawn routes, and conversations with either."""

from __future__ import annotations

import functools
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.differential.compare import comparable
from tests.differential.generated_tcp_plan import Step, TCPRoute
from tests.differential.proxies import Pair, Proxy
from tests.differential.test_tcp import Server, context, hello
from tests.kube import KubeServer
from tests.ports import PortReservation

PATIENCE_SECONDS: Final = 1.0
SECTIONS: Final = ("tcpRouters", "tcpServices", "tcpMiddlewares")
OPTIONS: Final = (
    "--entrypoints.web.proxyprotocol.insecure=true",
    "--entrypoints.other.proxyprotocol.insecure=true",
    "--entrypoints.web.asdefault=true",
)
WORDS: Final = b"words that no server takes for a request\r\n\r\n"
"""A client's first: no TLS, and no request either."""


class TCPGround:
    """A context manager: the routes served by both proxies."""

    def __init__(self, routes: Sequence[TCPRoute], folder: Path) -> None:
        self._routes, self._folder = routes, folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            words = {
                "PORT_A": str(self._stack.enter_context(Server("a")).port),
                "PORT_B": str(self._stack.enter_context(Server("b")).port),
                "PORT_DEAD": str(self._stack.enter_context(PortReservation()).port),
            }
            text = Path(__file__).with_name("generated_tcp.yaml").read_text()
            for word, value in words.items():
                text = text.replace(word, value)
            kube = self._stack.enter_context(KubeServer())
            kube.apply(text)
            kube.apply([one for route in self._routes for one in route.objects()])
            self.pair = self._stack.enter_context(Pair(kube, OPTIONS, self._folder))
            for proxy in self.proxies:
                proxy.wait_for_router("zz-sentinel")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def proxies(self) -> tuple[Proxy, Proxy]:
        """The original and ours."""
        return self.pair.traefik, self.pair.pointsman

    def objects(self, proxy: Proxy, section: str) -> dict[str, Any]:
        """The routes' objects as the API shows them."""
        shown = proxy.rawdata().get(section, {})
        found = {name: comparable(value) for name, value in shown.items() if name.startswith("drawn-")}
        several = tuple(f"drawn-r{one.number:03}-" for one in self._routes if len(one.route["services"]) > 1)
        return {name: _by_no_chance(one) if name.startswith(several) else one for name, one in found.items()}

    def outcomes(self, proxy: Proxy, route: TCPRoute, pause_seconds: float) -> list[str]:
        """Of the route's steps, one by one. `pause_seconds`: what a proxy gets to see an end."""
        opened: dict[int, socket.socket] = {}
        found = []
        with ExitStack() as stack:
            for place, step in enumerate(route.steps):
                if step.closes >= 0:
                    opened.pop(step.closes).close()
                    time.sleep(pause_seconds)
                    found.append("closed")
                    continue
                port = proxy.web if step.entry_point == "web" else proxy.other
                connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
                stack.callback(connection.close)
                opened[place], outcome = _talk(connection, route, step, place)
                if len(route.route["services"]) > 1 and outcome.startswith("b"):
                    outcome = "a server"
                stack.callback(opened[place].close)
                found.append(outcome)
        time.sleep(pause_seconds)
        return found


def _by_no_chance(shown: dict[str, Any]) -> dict[str, Any]:
    """Of several services the original builds one after the other in any order, up to the first that is wrong."""
    result = {name: value for name, value in shown.items() if name != "serverStatus"}
    if "error" in result:
        result["error"] = len(result["error"]) > 0
    if "serversTransport" in result.get("loadBalancer", {}):
        transport = result["loadBalancer"]["serversTransport"].partition("@")[0]
        result["loadBalancer"] = {**result["loadBalancer"], "serversTransport": transport}
    return result


def _talk(connection: socket.socket, route: TCPRoute, step: Step, place: int) -> tuple[socket.socket, str]:
    """The connection, which stays open, and what was heard on it."""
    connection.settimeout(PATIENCE_SECONDS)
    family = "TCP6" if ":" in step.address else "TCP4"
    to = "::ffff:127.0.0.1" if "::ffff:" in step.address else "::1" if family == "TCP6" else "127.0.0.1"
    connection.sendall(f"PROXY {family} {step.address} {to} {40000 + place} 443\r\n".encode())
    alpn, words = [step.alpn] if step.alpn else [], WORDS
    try:
        if route.tls is None:
            connection.sendall(WORDS)
        elif route.tls.get("passthrough"):
            words = _hello(route.server_name, step.alpn)
            connection.sendall(words)
        else:
            connection = context(alpn).wrap_socket(connection, server_hostname=route.server_name)
            connection.sendall(WORDS)
        return connection, _heard(connection, words)
    except TimeoutError:
        return connection, "silence"
    except (ConnectionError, ssl.SSLError) as error:
        is_end = isinstance(error, (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError))
        return connection, "the end" if is_end else str(getattr(error, "reason", error))


@functools.cache
def _hello(name: str, alpn: str) -> bytes:
    """The same for both proxies."""
    return hello(name, [alpn] if alpn else [])


def _heard(connection: socket.socket, words: bytes) -> str:
    """The first line; of a server's also what comes back of the client's words, with what a proxy put before."""
    data = b""
    while not data.endswith(words):
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
        if data[:1] in (b"\x15", b"\x16"):
            return "a handshake" if data[:1] == b"\x16" else f"alert {data[6]}"
        if data.startswith(b"HTTP/"):
            break
    if data.startswith(b"HTTP/"):
        return data.split(b"\n")[0].decode()
    return repr(data) if data else "the end"
