"""From an admitted request to an answer, whatever protocol it came by: find its route, and what a failure says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.errors import NOT_FOUND, Failure
from workers.exchange import Exchange
from workers.stream import StreamError

if TYPE_CHECKING:
    from workers.http1.options import Site


def answer(exchange: Exchange, site: Site) -> None:
    """Let the route's handler answer; without a route, or where none may be asked, answer here."""
    request = exchange.request
    table = site.secure_table if request.client.is_tls else site.table
    if request.refusal is not None:
        exchange.respond_error(request.refusal)
    elif request.target == b"*":
        exchange.respond(200, (), b"")
    else:
        route = table.find(request) if table is not None else None
        if route is None:
            exchange.respond_error(NOT_FOUND)
            return
        if exchange.note is not None:
            exchange.note.route = route
        route.handler(exchange)


def answer_failure(exchange: Exchange, failure: Failure) -> None:
    """The answer to a handler that gave up; a response under way can only be cut."""
    exchange.failure = failure
    if exchange.status:
        exchange.abort()
        return
    try:
        exchange.respond_error(failure)
    except StreamError:
        exchange.abort()
