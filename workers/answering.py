"""From an admitted request to an answer, whatever protocol it came by: find its route, and what a failure says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from workers.errors import CRASHED, NOT_FOUND, Failure, ProxyError
from workers.exchange import Exchange
from workers.stream import StreamError

if TYPE_CHECKING:
    from workers.http1.options import Site
    from workers.http2.exchange import Http2Exchange

E = TypeVar("E", bound="Http2Exchange")


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


def serve_stream(exchange: E, site: Site, end: Callable[[E], object]) -> None:
    """One request among others of its connection, from the first note of it to the last; then `end`."""
    observer = site.observer
    try:
        if observer is not None:
            observer.begin(exchange)
        answer(exchange, site)
        if not exchange.finished:
            _fail(exchange, site, CRASHED)
    except StreamError:
        exchange.abort()
    except ProxyError as error:
        _fail(exchange, site, error.failure)
    except Exception:
        site.report_crash(exchange.request)
        _fail(exchange, site, CRASHED)
    finally:
        end(exchange)
        if observer is not None:
            observer.end(exchange)


def _fail(exchange: Exchange, site: Site, failure: Failure) -> None:
    try:
        answer_failure(exchange, failure)
    except Exception:  # a hook: the client must hear of the end all the same
        site.report_crash(exchange.request)
        exchange.abort()
