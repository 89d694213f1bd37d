"""One request of our own through a servers transport, its answer in memory: health checks, sub-requests.

It takes the way of every client's request (pools, TLS, protocols, retry of a stale connection), but is bounded
as a whole: in time, and in the bytes of its answer. Redirects are answers like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, NoReturn

from workers import errors
from workers.errors import Failure, ProxyError
from workers.exchange import Exchange, Header, Request, ResponseHead
from workers.headers import CODING_NAMES, header_line
from workers.stream import Stream
from workers.timers import NEVER, TimerWheel
from workers.upstream.attempt import attempt
from workers.upstream.server import UpstreamServer
from workers.upstream.transport import Transport

_WITH_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})


class Fetched(NamedTuple):
    """A whole answer. Headers are the end-to-end ones, without Content-Length.

    `announced_bytes` is what that said, UNKNOWN_LENGTH if it was not there.
    """

    status: int
    headers: list[Header]
    body: bytes
    announced_bytes: int


def fetch(
    transport: Transport,
    server: UpstreamServer,
    method: bytes,
    path: bytes,
    host: bytes,
    headers: Iterable[Header],
    timeout_seconds: float,
    max_body_bytes: int,
    body: bytes = b"",
    client: Exchange | None = None,
) -> Fetched:
    """Ask `server`; `path` is the whole request target, `host` the Host header, `headers` go as they are.

    `timeout_seconds` limit everything together (0: nothing but the transport's own limits). An answer with more
    than `max_body_bytes` is a failure; 0 means that nobody wants the body. Any greenlet may call this.
    `client`: on whose behalf; if its client goes away, nobody wants the answer any more.

    Raises ProxyError, ValueError for headers that would break out of their line.
    """
    wheel = transport.wheel
    wheel.acquire()
    until = wheel.tick + TimerWheel.ticks(timeout_seconds)
    request, headers = _request(method, path, len(body)), list(headers)
    request.headers = [header for header in headers if header[0].lower() == b"authorization"]
    request.asked_gzip = method != b"HEAD" and not any(name.lower() in CODING_NAMES for name, _ in headers)
    if request.asked_gzip:
        headers.append((b"Accept-Encoding", b"gzip"))
    exchange = _Probe(request, body, max_body_bytes)
    limit = _Limit(exchange)
    if until < NEVER:
        wheel.schedule(limit, until)
    if client is not None:
        client.upstream = exchange
        exchange.client_gone = client.client_gone
    try:
        attempt(exchange, transport, server, _head(method, path, host, headers, len(body)), until)
    except _Enough:
        pass
    except ProxyError as error:
        if exchange.expired or wheel.tick >= until:
            raise ProxyError(errors.RESPONSE_TIMEOUT, f"{server.name}: {timeout_seconds:g} s") from error
        raise
    finally:
        wheel.forget(limit)
        wheel.release()
        if client is not None:
            client.upstream = None
    return exchange.fetched(server)


def _request(method: bytes, path: bytes, length: int) -> Request:
    request = Request()
    request.method = method
    request.raw_target = path
    request.set_target(*_split(path))
    request.content_length = length
    request.expect_continue = False
    request.upgrade = b""
    request.minor_version = 1
    request.marks = 0
    request.headers = []
    return request


def _split(target: bytes) -> tuple[bytes, bytes | None]:
    path, mark, query = target.partition(b"?")
    return path, query if mark else None


def _head(method: bytes, path: bytes, host: bytes, headers: Iterable[Header], length: int) -> bytes:
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + host, *map(header_line, headers)]
    if length or method in _WITH_BODY:
        lines.append(b"Content-Length: %d" % length)
    if any(b"\r" in line or b"\n" in line for line in lines) or b" " in path:
        raise ValueError("a line break or blank where none may be")
    return b"\r\n".join([*lines, b"", b""])


class _Enough(Exception):
    """Nobody wants the rest."""


class _Probe(Exchange):
    """Keeps what is sent to it."""

    __slots__ = ("_body", "_head", "_limit", "_pieces", "_size", "expired", "finished")

    def __init__(self, request: Request, body: bytes, limit_bytes: int) -> None:
        super().__init__(request)
        self._body = body
        self._limit = limit_bytes
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.expired = False
        self.finished = False

    def fetched(self, server: UpstreamServer) -> Fetched:
        """The answer, if it came to its end. Raises ProxyError."""
        if self._head is None or not self.finished:
            failure = errors.RESPONSE_TIMEOUT if self.expired else errors.BODY_CUT
            raise ProxyError(failure, f"{server.name}: the answer broke off")
        head = self._head
        return Fetched(head.status, head.headers, b"".join(self._pieces), head.content_length)

    def shutdown(self) -> None:
        """Nobody waits any more."""
        self.client_gone = True
        if self.upstream is not None:
            self.upstream.shutdown()

    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        self.status = head.status
        self._head = head
        self.finished = complete
        if not self._limit:
            self._stop(complete)
        elif head.content_length > self._limit and self.request.method != b"HEAD":
            self._too_large()
        else:
            self.write(body)

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._too_large()
        self._pieces.append(data)

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        if self._limit:
            self.write(data)
        self.finished = True

    def _stop(self, complete: bool) -> None:
        if not complete:
            self.finished = True
            raise _Enough

    def _too_large(self) -> NoReturn:
        raise ProxyError(errors.RESPONSE_TOO_LARGE, f"more than {self._limit} bytes")

    def respond_error(self, failure: Failure) -> None:
        raise ProxyError(failure)

    def abort(self) -> None:
        self.finished = False

    def inform(self, status: int, headers: Iterable[Header]) -> None:
        """Interim responses are nobody's."""

    # The request body goes with the head

    def read_body(self) -> bytes:
        return self.take_body()

    @property
    def body_complete(self) -> bool:
        return not self._body

    def take_body(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def cancel_read(self) -> None:
        """Nobody reads."""

    def upgrade(self, head: ResponseHead, first: bytes) -> tuple[Stream, bytes]:
        raise ProxyError(errors.WRONG_UPGRADE)


class _Limit:
    """For the wheel: the end of the exchange's time."""

    __slots__ = ("_exchange", "scheduled")

    def __init__(self, exchange: _Probe) -> None:
        self._exchange = exchange
        self.scheduled = NEVER

    def on_tick(self, tick: int) -> int:
        self._exchange.expired = True
        self._exchange.shutdown()
        return NEVER
