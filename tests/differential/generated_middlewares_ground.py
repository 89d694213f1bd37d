"""Both proxies in front of one strict server for drawn middlewares, and conversations with either."""

from __future__ import annotations

import dataclasses
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import brotli
import zstandard
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.corpus.strict import Seen
from tests.differential.compare import seen_by_client
from tests.differential.generated_middlewares_calls import Call
from tests.differential.generated_middlewares_digest import answer, challenge_in, hidden
from tests.differential.generated_middlewares_plan import Route, manifests
from tests.differential.generated_middlewares_replies import Header, Reply
from tests.differential.proxies import Pair, Proxy
from tests.differential.recorder import StrictServer, shown
from tests.differential.wire import Answer, read_answer
from tests.kube import KubeServer
from tests.tls.handshakes import client_context
from tests.tls.pki import Pair as KeyPair
from tests.tls.pki import key_pem
from tests.workers.middlewares.certificates import full_certificate

PATIENCE_SECONDS: Final = 10.0
OPTIONS: Final = ("--entrypoints.web.forwardedheaders.trustedips=127.0.0.1/32",)
_NONCE: Final = re.compile(r"'nonce-[\w+/-]{22}'")
Outcome = dict[str, Any]


class Script:
    """What the server answers next. `is_held`: not before `release`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.begin((), ())

    def begin(self, replies: Sequence[Reply], side_replies: Sequence[Reply], *, is_held: bool = False) -> None:
        self._replies = {False: list(replies), True: list(side_replies)}
        if is_held:
            self._released.clear()
        else:
            self._released.set()

    def release(self) -> None:
        self._released.set()

    def answer(self, seen: Seen) -> tuple[bytes, bool]:
        """The last reply stays. Every connection is closed behind it, so that nobody tries a dying one."""
        self._released.wait(PATIENCE_SECONDS)
        with self._lock:
            replies = self._replies[seen.target.startswith(("/auth", "/page"))]
            if not replies:
                return Reply(200).data(seen.method), False
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply.data(seen.method), False


class MiddlewareGround:
    """A context manager: the routes served by both proxies."""

    def __init__(self, routes: Sequence[Route], folder: Path, more: Sequence[Any] = ()) -> None:
        self._routes, self._folder, self._more = routes, folder, more
        self._stack = ExitStack()
        self.script = Script()
        certificate = full_certificate(key := ec.generate_private_key(ec.SECP256R1()))
        pair = KeyPair(certificate.public_bytes(Encoding.PEM), key_pem(key))
        self._contexts = [client_context(), client_context(certificate=pair)]

    def __enter__(self) -> Self:
        try:
            self.server = self._stack.enter_context(StrictServer())
            self.server.answer = self.script.answer
            dead = self._stack.enter_context(socket.socket())
            dead.bind(("127.0.0.1", 0))
            kube = self._stack.enter_context(KubeServer())
            for one in (*manifests(list(self._routes), self.server.port, dead.getsockname()[1]), *self._more):
                kube.apply(one)
            self.pair = self._stack.enter_context(Pair(kube, OPTIONS, self._folder))
            for proxy in self.proxies:
                proxy.wait_for_router(f"r{self._routes[-1].number:03}")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.script.release()
        self._stack.close()

    @property
    def proxies(self) -> tuple[Proxy, Proxy]:
        """The original and ours."""
        return self.pair.traefik, self.pair.pointsman

    def outcomes(self, proxy: Proxy, route: Route) -> Iterator[Outcome]:
        """Of the route's calls, one after the other."""
        if "inFlightReq" in route.kinds:
            yield self._held(proxy, route)
            return
        random, challenge = Random(route.number), dict[str, str]()
        for call in route.calls:
            more: list[Header] = []
            if "digestAuth" in route.kinds:
                more.append(("Authorization", answer(random, challenge, call.method, call.target)))
            outcome = self._talk(proxy, route, call, more)
            yield outcome
            challenge = outcome.pop("challenge") or challenge

    def _talk(self, proxy: Proxy, route: Route, call: Call, more: Sequence[Header]) -> Outcome:
        self.server.record.take()
        self.script.begin(call.replies, call.side_replies)
        with self._connection(proxy, route, call) as connection:
            connection.sendall(call.wire(*more))
            with connection.makefile("rb") as stream:
                found = read_answer(stream, call.method.encode())
        challenges = found.values("www-authenticate") if found is not None else []
        return {
            "client": _comparable(found),
            "server": _shown(self.server.record.take()[0]),
            "challenge": challenge_in(challenges[0]) if challenges and "nonce=" in challenges[0] else None,
        }

    def _held(self, proxy: Proxy, route: Route) -> Outcome:
        """All calls at once: the server answers none before the last of them has been sent."""
        self.server.record.take()
        self.script.begin([Reply(200, (), b"ok")], (), is_held=True)
        with ExitStack() as stack:
            connections = []
            for call in route.calls:
                connection = stack.enter_context(self._connection(proxy, route, call))
                before = len(self.server.record.requests)
                connection.sendall(call.wire())
                self._wait(connection, before)
                connections.append(connection)
            self.script.release()
            clients = [_answer(one, call.method) for one, call in zip(connections, route.calls, strict=True)]
        return {"client": clients, "server": _shown(self.server.record.take()[0])}

    def _wait(self, connection: socket.socket, before: int) -> None:
        """Until the server has the request, or the client an answer."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and len(self.server.record.requests) == before:
            if select.select([connection], [], [], 0.002)[0]:
                return

    @contextmanager
    def _connection(self, proxy: Proxy, route: Route, call: Call) -> Iterator[socket.socket]:
        port = proxy.web if call.is_trusted else proxy.other
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as plain:
            plain.settimeout(PATIENCE_SECONDS)
            if not route.is_tls:
                yield plain
                return
            context = self._contexts[route.number % 2]
            with context.wrap_socket(plain, server_hostname=route.host) as secure:
                assert isinstance(secure, ssl.SSLSocket)
                yield secure


def _answer(connection: socket.socket, method: str) -> dict[str, Any] | None:
    with connection.makefile("rb") as stream:
        return _comparable(read_answer(stream, method.encode()))


def _comparable(found: Answer | None) -> dict[str, Any] | None:
    try:
        seen = seen_by_client(found)
    except (OSError, EOFError, brotli.error, zstandard.ZstdError) as error:  # a body that nobody can read
        assert found is not None
        headers = tuple(pair for pair in found.headers if pair[0].lower() != "content-encoding")
        seen = seen_by_client(dataclasses.replace(found, headers=headers, body=str(error).encode()))
    if seen is not None:
        seen["headers"] = sorted([name, _steady(name, value)] for name, value in seen["headers"])
    return seen


def _steady(name: str, value: str) -> str:
    if name == "x-retry-in":
        return ""
    if name == "retry-after" and len(value) > 2:  # seconds may pass between two requests
        return value[:-1]
    return hidden(_NONCE.sub("'nonce'", value))


def _shown(seen: list[Seen]) -> list[dict[str, Any]]:
    requests = shown(seen)
    for request in requests:
        request["headers"] = [[name, hidden(value)] for name, value in request["headers"]]
    return requests
