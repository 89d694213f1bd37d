"""The end of a handler chain: choose a server, send the request there, relay the answer.

What one request to one server is, repairs included, is in `upstream/attempt.py`; here are the refusals before
it, the server's choice, and the account of it for log and metrics.
"""

from __future__ import annotations

from time import perf_counter

from config.http import KubernetesSource
from workers import errors
from workers.errors import Failure, ProxyError
from workers.exchange import Exchange
from workers.headers import upstream_head
from workers.upstream.attempt import attempt
from workers.upstream.candidate import Candidate
from workers.upstream.servers import Servers, Tracker
from workers.upstream.transport import Transport


class ServiceHandler:
    """A load balancer's servers as a handler. `balancer` may be replaced at any time.

    `flush_interval_seconds` is accepted for the configuration's sake: bytes are always passed on at once.
    """

    __slots__ = ("_pass_host_header", "_transport", "balancer", "name", "source")

    def __init__(
        self,
        name: str,
        balancer: Servers,
        transport: Transport,
        pass_host_header: bool = True,
        flush_interval_seconds: float = 0.1,
    ) -> None:
        self.name = name
        self.balancer = balancer
        self.source: KubernetesSource | None = None
        """The Kubernetes Service that it was made from, for the access log."""
        self._transport = transport
        self._pass_host_header = pass_host_header

    def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        exchange.failure = None  # what another service or an attempt before could not do is history
        if request.method == b"CONNECT":
            _refuse(exchange, errors.CONNECT_REFUSED)
            return
        if request.upgrade and not _is_printable(request.upgrade):
            _refuse(exchange, errors.MALFORMED_UPGRADE)
            return
        balancer = self.balancer
        server = balancer.pick(exchange)
        if server is None:
            _refuse(exchange, errors.NO_SERVER)
            return
        host = request.host_header if self._pass_host_header and request.host_header else server.host_header
        head = server.with_path(upstream_head(request, host), request.method)
        note, tracker = exchange.note, balancer.tracker
        if note is None and tracker is None:
            attempt(exchange, self._transport, server, head)
        elif tracker is None:
            self._noted(exchange, server, head)
        else:
            self._tracked(exchange, server, head, tracker)

    def _tracked(self, exchange: Exchange, server: Candidate, head: bytes, tracker: Tracker) -> None:
        """An attempt that the balancer learns from."""
        failure: Failure | None = None
        tracker.begin(server, exchange)
        try:
            self._noted(exchange, server, head)
        except ProxyError as error:
            failure = error.failure
            raise
        finally:
            tracker.end(server, exchange, failure)

    def _noted(self, exchange: Exchange, server: Candidate, head: bytes) -> None:
        """An attempt with its account, if one is kept."""
        note = exchange.note
        if note is None:
            attempt(exchange, self._transport, server, head)
            return
        note.service, note.server = self.name, server.name
        note.source = self.source
        note.attempts += 1
        note.origin_bytes = 0
        started = perf_counter()
        try:
            attempt(exchange, self._transport, server, head)
        except ProxyError as error:
            note.origin_status, note.origin_bytes = error.failure.status, len(error.failure.body)
            raise
        finally:
            seconds = perf_counter() - started
            note.origin_seconds += seconds
            if note.metrics is not None:
                note.metrics.attempt(exchange, note, seconds)

    def __repr__(self) -> str:
        return f"<ServiceHandler {self.name}>"


def _refuse(exchange: Exchange, failure: Failure) -> None:
    exchange.failure = failure
    exchange.respond_error(failure)


def _is_printable(token: bytes) -> bool:
    return all(32 <= byte < 127 for byte in token)
