"""An exchange without a connection: what a handler answered is kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from config.http import LoadBalancer, Router, Server, Service, Weighted, WeightedEntry
from config.static import StaticConfiguration
from workers.environment import Environment
from workers.errors import Failure
from workers.exchange import Exchange, Header, Request
from workers.middlewares.base import Surroundings
from workers.shared import SharedState
from workers.timers import current_wheel
from workers.upstream.health import HealthBoard
from workers.upstream.transport import Transport
from workers.upstream.transports import DEFAULT_TRANSPORT, TransportBook


class FakeExchange(Exchange):
    """Takes one answer. Only what local handlers use is there."""

    __slots__ = ("body", "headers")

    def __init__(self, path: bytes = b"/", method: bytes = b"GET", host: bytes = b"a") -> None:
        request = Request.__new__(Request)
        request.method, request.host, request.host_header, request._query_values = method, host, host, None
        request.set_target(path, None)
        request.routing_path = path
        super().__init__(request)
        self.headers: list[Header] = []
        self.body = b""

    def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        assert self.status == 0, "answered twice"
        self.status, self.headers, self.body = status, list(headers), body

    def respond_error(self, failure: Failure) -> None:
        self.failure = failure
        self.respond(failure.status, (), failure.body)

    def send(self, *_: object) -> None:
        raise AssertionError

    write = finish = abort = inform = send  # type: ignore[assignment]
    read_body = take_body = cancel_read = watch = upgrade = send  # type: ignore[assignment]
    body_complete = True


def environment(**changed: object) -> Environment:
    """Entry points web and other; no internal services; the default transport."""
    values: dict[str, object] = {
        "entry_points": frozenset({"web", "other"}),
        "default_entry_points": ["other", "web"],
        "default_rule_syntax": "v3",
        "internal": lambda name: f"unknown internal service {name}",
        "transports": TransportBook({DEFAULT_TRANSPORT: transport()}),
        "models": {},
        "surroundings": surroundings(),
        "health": HealthBoard(SharedState.private(), current_wheel(), lambda: True),
    }
    return Environment(**(values | changed))  # type: ignore[arg-type]


def surroundings() -> Surroundings:
    return Surroundings(StaticConfiguration(), logging.getLogger("tests"), None, transport())


def transport() -> Transport:
    return Transport(
        dial_timeout_seconds=1, response_header_timeout_seconds=0, idle_conn_timeout_seconds=1, max_idle_per_host=2
    )


def router(rule: str = "Host(`a`)", service: str = "s", **members: object) -> Router:
    return Router(rule=rule, service=service, **members)  # type: ignore[arg-type]


def balancer(**members: object) -> Service:
    return Service(load_balancer=LoadBalancer(pass_host_header=True, **members))  # type: ignore[arg-type]


def weighted(*names: str) -> Service:
    return Service(weighted=Weighted(services=[WeightedEntry(name=name, weight=1) for name in names]))


def servers(*ports: int) -> list[Server]:
    return [Server(url=f"http://127.0.0.1:{port}") for port in ports]
