"""Requests, contexts and handlers for the tests of limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from config.static import EntryPoint
from tests.workers.fakes import FakeExchange, surroundings
from workers.exchange import Handler
from workers.forwarded import Client, ForwardedPolicy
from workers.middlewares.base import Builder, Context, Surroundings
from workers.shared import CellsBusy, SharedState

POLICY = ForwardedPolicy(EntryPoint(), "proxy")


def exchange(*headers: tuple[bytes, bytes], ip: str = "192.0.2.1", host: bytes = b"a.test") -> FakeExchange:
    """A request from `ip` with these header lines."""
    made = FakeExchange(host=host)
    made.request.client = Client(ip, 1000, False, "web", POLICY)
    made.request.headers = list(headers)
    return made


def context(shared: SharedState | None = None, owner: str = "router@test", place: int = 0) -> Context:
    given = surroundings()
    around = Surroundings(given.static, given.log, shared or SharedState.private(), given.transport)

    def no_service(name: str) -> Handler:
        raise AssertionError(name)

    return Context("limit@test", owner, (place,), around, no_service)


def chain(builder: Builder, options: Any, handler: Handler, around: Context | None = None) -> Handler:
    return builder(options, around or context())(handler)


def busy(*_: object) -> NoReturn:
    """In place of the lock of the cells."""
    raise CellsBusy("held")


def answers(status: int = 200, body: bytes = b"") -> Handler:
    return lambda taken: taken.respond(status, (), body)


def statuses(handler: Handler, requests: Iterable[FakeExchange]) -> list[int]:
    """What became of each, one after the other."""
    made = list(requests)
    for request in made:
        handler(request)
    return [request.status for request in made]


def requests(count: int, **options: Any) -> Iterable[FakeExchange]:
    return (exchange(**options) for _ in range(count))
