"""Requests as an observer sees them when they are over."""

from __future__ import annotations

from config.static import EntryPoint
from config.static_entrypoint import ForwardedHeaders
from tests.workers.fakes import FakeExchange
from workers.exchange import Note
from workers.forwarded import Client, ForwardedPolicy
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.target import TargetPolicy
from workers.routing.matchers import Predicate
from workers.routing.route import Route


class Observed(FakeExchange):
    """A request that was parsed for real; its answer is made up."""

    __slots__ = ()

    def __init__(
        self,
        head: bytes = b"GET /a?b=c HTTP/1.1\r\nHost: a:81\r\n\r\n",
        ip: str = "10.0.0.1",
        trusted: bool = False,
    ) -> None:
        super().__init__()
        policy = ForwardedPolicy(EntryPoint(address=":80", forwarded_headers=ForwardedHeaders(insecure=trusted)))
        request = parse_request(head, Client(ip, 999, False, "web", policy), TargetPolicy())
        assert isinstance(request, IncomingRequest), head
        self.request = request


def noted(exchange: Observed, status: int = 200, sent_bytes: int = 5, **fields: object) -> Note:
    """The note of an exchange that was answered so."""
    note = exchange.note = Note()
    note.method, note.target, note.host = b"GET", exchange.request.target, exchange.request.host_header
    exchange.status, exchange.sent_bytes = status, sent_bytes
    for name, value in fields.items():
        setattr(note, name, value)
    return note


def _always(_: object) -> bool:
    return True


def route(name: str = "r@p", service: str = "s@p", visible: int = 3) -> Route:
    """A router as the observer meets it."""
    matches: Predicate = _always
    made = Route(name, "PathPrefix(`/`)", 1, matches, lambda exchange: None)
    made.service, made.visible = service, visible
    return made
