"""One client connection: requests in order, each on its own exchange, until somebody wants to stop.

Runs in one greenlet a connection. A request whose head came in one read and that has no body costs one read
and, where the handler sends a complete response, one write. While a handler works the connection watches the
client without reading: if it goes away the upstream connection is shut down at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workers import errors
from workers.answering import answer, answer_failure
from workers.errors import Answer, Failure, ProxyError
from workers.http1 import grammar
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.exchange import Http1Exchange, bare_answer
from workers.http1.options import ConnectionOptions, Site
from workers.http2.frames import PREFACE_HEAD
from workers.http2.server import Http2Connection
from workers.linger import linger
from workers.phrases import reason_phrase
from workers.stream import Stream, StreamError
from workers.timers import NEVER, TimerWheel
from workers.upstream.own import release

if TYPE_CHECKING:
    from workers.forwarded import Client

SETTLE_SECONDS: Final = 1.0
"""How long a draining entry point waits for the first request of a connection just made."""


class ServerConnection:
    """One HTTP/1 client connection. `run` returns when it is over and the stream closed."""

    __slots__ = (
        "_born",
        "client",
        "exchange",
        "may_end",
        "options",
        "partial",
        "served",
        "site",
        "stream",
        "successor",
    )

    def __init__(
        self, stream: Stream, client: Client, options: ConnectionOptions, site: Site, born: int | None = None
    ) -> None:
        """`born`: the tick when the connection was accepted, None for now."""
        self.stream = stream
        self.client = client
        self.options = options
        self.site = site
        self.successor: Http2Connection | None = None
        self.exchange: Http1Exchange | None = None
        """The exchange under way; None while the connection is idle."""
        self.served = 0
        self._born = stream.wheel.tick if born is None else born
        self.partial = False
        """A request head has begun to come."""
        self.may_end = site.draining or options.max_requests > 0 or options.max_age_ticks < NEVER
        """Is it worth asking ends_soon() at each response? Set when the entry point starts to drain."""
        stream.on_unexpected = self._stirred

    def run(self, data: bytes = b"") -> Http2Connection | None:
        """Serve until the end. `data`: what was read already.

        What comes back takes over: the client has begun with the preface of HTTP/2.
        """
        stream, site, idle_ticks = self.stream, self.site, self.options.idle_ticks
        try:
            stream.set_read_deadline(self._born + self.options.read_ticks)
            if site.draining and self.is_fresh:
                self._settle()
            while True:
                if not data:
                    data = stream.read()
                    if not data:
                        return None
                rest = self._serve(data)
                if rest is None:
                    return self.successor
                data = rest
                if data:
                    stream.give_way()  # one client's pipeline must not hold up everybody else
                elif site.draining:
                    return None
                else:
                    stream.set_read_deadline(stream.wheel.tick + idle_ticks)
        except StreamError:
            return None
        finally:
            if self.successor is None:
                stream.close()
                release(self.client)

    def _serve(self, data: bytes) -> bytes | None:
        """One request from the start of `data`; returns what follows it, None if the connection is to end."""
        options = self.options
        request = parse_request(data, self.client, options.target_policy)
        if request is None:
            self.partial = True
            request, data = self._read_head(data)
            self.partial = False
        if not isinstance(request, IncomingRequest):
            if request is errors.UNSUPPORTED_VERSION and not self.served and data.startswith(PREFACE_HEAD):
                self.successor = Http2Connection(self.stream, self.client, options, self.site, self._born, data)
            else:
                self._refuse(request)
            return None
        if request.consumed > options.head_limit_bytes:
            self._refuse(errors.HEADERS_TOO_LARGE)
            return None
        exchange = Http1Exchange(self, request, data[request.consumed :])
        self.stream.read_deadline = NEVER  # nobody reads until the body is wanted
        if request.content_length or options.write_ticks < NEVER:
            self._arm(exchange)
        self._handle(exchange, request)
        self.served += 1
        if options.write_ticks < NEVER:
            self.stream.write_deadline = NEVER
        if exchange.closes or (request.content_length and not exchange.drain()):
            self._end(exchange)
            return None
        return exchange.rest

    def _handle(self, exchange: Http1Exchange, request: IncomingRequest) -> None:
        site = self.site
        site.active += 1
        site.served += 1
        self.exchange = exchange
        observer = site.observer
        try:
            if observer is not None:
                observer.begin(exchange)
            answer(exchange, site)
            if not exchange.finished:
                answer_failure(exchange, errors.CRASHED)
        except StreamError:
            exchange.abort()
        except ProxyError as error:
            answer_failure(exchange, error.failure)
        except Exception:
            site.report_crash(request)
            answer_failure(exchange, errors.CRASHED)
        finally:
            site.active -= 1
            self.exchange = None
            if observer is not None:
                observer.end(exchange)

    def _arm(self, exchange: Http1Exchange) -> None:
        """Deadlines of a request that is not over with its head."""
        stream, options = self.stream, self.options
        now = stream.wheel.tick
        if not exchange.body_complete:
            stream.set_read_deadline((now if self.served else self._born) + options.read_ticks)
        if options.write_ticks < NEVER:
            stream.set_write_deadline(now + options.write_ticks)

    def _read_head(self, data: bytes) -> tuple[IncomingRequest | Failure, bytes]:
        """The rest of a head that did not come at once."""
        stream, options = self.stream, self.options
        if self.served:
            stream.set_read_deadline(stream.wheel.tick + options.read_ticks)
        partial = grammar.PartialHead(data, grammar.early_refusal)
        while len(partial) <= options.head_limit_bytes:
            piece = stream.read()
            if not piece:
                return errors.CLIENT_SILENT, b""
            whole = partial.feed(piece)
            if isinstance(whole, Failure):
                return whole, b""
            if whole is not None:
                request = parse_request(whole, self.client, options.target_policy)
                if request is not None:
                    return request, whole
        return errors.HEADERS_TOO_LARGE, b""

    def _refuse(self, failure: Failure) -> None:
        """Answer something that is no request we serve, and end."""
        if failure.answer is Answer.SILENT:
            return
        if failure.answer is Answer.BARE:
            self.stream.write(bare_answer(failure))
        else:  # 417
            self.stream.write(
                b"HTTP/1.1 %d %b\r\n%b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                % (failure.status, reason_phrase(failure.status), self.site.date.line)
            )
        linger(self.stream)

    def _end(self, exchange: Http1Exchange) -> None:
        if not exchange.body_complete or exchange.rest:
            linger(self.stream)

    def ends_soon(self) -> bool:
        """Is the response being sent the connection's last one?"""
        if self.site.draining:
            return True
        options = self.options
        return (0 < options.max_requests <= self.served + 1) or (
            self.stream.wheel.tick - self._born >= options.max_age_ticks
        )

    def detach(self) -> Stream:
        """The bare stream for a tunnel: no deadlines, nobody watches it but its new user."""
        stream = self.stream
        stream.on_unexpected = None
        stream.set_read_deadline(NEVER)
        stream.set_write_deadline(NEVER)
        return stream

    def _stirred(self) -> None:
        """Hub: bytes or the end came while nobody was reading."""
        if self.exchange is not None and self.stream.at_end():
            self._client_left(self.exchange)

    def _client_left(self, exchange: Http1Exchange) -> None:
        exchange.client_gone = True
        if exchange.upstream is not None:
            exchange.upstream.shutdown()

    @property
    def is_fresh(self) -> bool:
        """A TLS connection before its first request: its client has done work for it and is about to send."""
        return self.client.is_tls and not self.served and self.exchange is None

    def _settle(self) -> None:
        self.stream.set_read_deadline(
            min(self.stream.read_deadline, self.stream.wheel.tick + TimerWheel.ticks(SETTLE_SECONDS))
        )

    def close_if_idle(self) -> None:
        """Any greenlet: end the connection if it waits for a request."""
        if self.exchange is not None or self.partial:
            return
        if self.is_fresh:
            self._settle()
        else:
            self.stream.stop_reading()

    def abort(self) -> None:
        """Any greenlet: cut the connection whatever it does."""
        if self.exchange is not None:
            self._client_left(self.exchange)
        self.stream.shutdown()

    def __repr__(self) -> str:
        state = "idle" if self.exchange is None else repr(self.exchange.request)
        return f"<ServerConnection {self.client.ip}:{self.client.port} {state}>"
