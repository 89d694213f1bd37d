"""The words that both protocols and all handlers share: client, request, response head, exchange.

Everything stays bytes as received; what a route may not need is computed when it is asked for. A Request is
made by a protocol's codec, then admitted by the header policy (workers/headers.py); after that handlers may
change it freely until the proxy step sends it on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Protocol
from urllib.parse import unquote_to_bytes

from workers.errors import Failure

if TYPE_CHECKING:
    from config.http import KubernetesSource
    from workers.forwarded import Client
    from workers.http1.options import Found
    from workers.metrics import Metrics
    from workers.stream import Stream

Header = tuple[bytes, bytes]

UNKNOWN_LENGTH: Final = -1
"""`content_length` of a body that is framed by chunks (or by the end of the connection)."""


class Request:
    """One request. `headers` are those for handlers and matchers: hop-by-hop ones included (but Connection,
    which is honoured at once, and Transfer-Encoding), Host excluded, X-Forwarded-* as they will be sent except
    that the proxy step appends the peer to X-Forwarded-For.

    `target` is the origin-form that goes to the server, `path` its escaped path, `query` what follows the `?`;
    use `set_target` to change them together. `host_header` is the Host as received, `host` its canonical form.
    A request with a `refusal` is well-formed, but must be answered so before any router sees it.
    """

    __slots__ = (
        "_headers",
        "_query_values",
        "asked_gzip",
        "client",
        "content_length",
        "expect_continue",
        "flat_host",
        "has_query",
        "headers_touched",
        "host",
        "host_header",
        "keep_alive",
        "marks",
        "method",
        "minor_version",
        "path",
        "query",
        "raw_target",
        "refusal",
        "routing_path",
        "target",
        "upgrade",
    )

    protocol: ClassVar[bytes] = b"HTTP/1.1"
    """As logs name it; `minor_version` is nearer to the truth for HTTP/1."""
    method: bytes
    raw_target: bytes
    target: bytes
    path: bytes
    query: bytes
    has_query: bool
    routing_path: bytes
    host: bytes
    flat_host: bytes
    """What `host` is an alias of in DNS; only there where CNAME flattening is on."""
    host_header: bytes
    minor_version: int
    content_length: int
    keep_alive: bool
    expect_continue: bool
    upgrade: bytes
    marks: int
    client: Client
    refusal: Failure | None
    headers_touched: bool
    asked_gzip: bool
    """The server was asked for gzip in the proxy's own name; set by the proxy step."""
    _headers: list[Header]
    _query_values: dict[bytes, list[bytes]] | None

    @property
    def headers(self) -> list[Header]:
        """All of them, as a list that may be changed in place; names as received."""
        if not self.headers_touched:
            from workers.forwarded import forwarded_headers

            self._headers = [*self._headers, *forwarded_headers(self)]
            self.headers_touched = True
        return self._headers

    @headers.setter
    def headers(self, value: list[Header]) -> None:
        self.headers_touched = True
        self._headers = value

    def add_header(self, name: bytes, value: bytes) -> None:
        """One more line, of a name that the entry point adds nothing to; `headers` does not have to be made."""
        self._headers.append((name, value))

    def replace_headers(self, lower_names: Collection[bytes], lines: Sequence[Header]) -> None:
        """Remove all lines of these names, then add `lines`; for names as in `add_header`."""
        self._headers = [header for header in self._headers if header[0].lower() not in lower_names]
        self._headers += lines

    def header_values(self, lower_name: bytes) -> list[bytes]:
        """Values of all lines of one header, in order."""
        return [value for name, value in self.headers if name.lower() == lower_name]

    def received_values(self, lower_name: bytes) -> list[bytes]:
        """As header_values, for names that the entry point has nothing to add to; leaves the fast path open."""
        return [value for name, value in self._headers if name.lower() == lower_name]

    def query_values(self) -> dict[bytes, list[bytes]]:
        """Decoded query parameters, in order; parameters with a broken escape are left out."""
        if self._query_values is None:
            self._query_values = _parse_query(self.query)
        return self._query_values

    @property
    def peer_ip(self) -> str:
        """Address of the connection's peer."""
        return self.client.ip

    @property
    def peer_port(self) -> int:
        return self.client.port

    @property
    def is_tls(self) -> bool:
        return self.client.is_tls

    @property
    def entry_point(self) -> str:
        """Name of the entry point that took the connection."""
        return self.client.entry_point

    def set_target(self, path: bytes, query: bytes | None) -> None:
        """Replace path (escaped) and query; None means: no question mark."""
        self.path = path
        self.has_query = query is not None
        self.query = query or b""
        self.target = path if query is None else b"%b?%b" % (path, query)
        self._query_values = None

    def __repr__(self) -> str:
        return f"<Request {self.method!r} {self.raw_target!r} host {self.host_header!r}>"


def _parse_query(query: bytes) -> dict[bytes, list[bytes]]:
    values: dict[bytes, list[bytes]] = {}
    for part in query.split(b"&"):
        if not part or b";" in part:
            continue
        name, _, value = part.partition(b"=")
        if b"%" in part and not (_is_escaped_well(name) and _is_escaped_well(value)):
            continue
        values.setdefault(_unescape(name), []).append(_unescape(value))
    return values


_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


def _is_escaped_well(text: bytes) -> bool:
    return all(len(rest) >= 2 and rest[0] in _HEX and rest[1] in _HEX for rest in text.split(b"%")[1:])


def _unescape(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


class ResponseHead:
    """Status and end-to-end headers of one response, names as received.

    `content_length` is UNKNOWN_LENGTH where the end of the body is not announced. `trailer` is the value of the
    announced Trailer header, b"" if there is none.
    """

    __slots__ = ("content_length", "has_date", "headers", "status", "trailer")

    def __init__(
        self,
        status: int,
        headers: list[Header],
        content_length: int = UNKNOWN_LENGTH,
        has_date: bool = False,
        trailer: bytes = b"",
    ) -> None:
        self.status = status
        self.headers = headers
        self.content_length = content_length
        self.has_date = has_date
        self.trailer = trailer

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}, {len(self.headers)} headers, length {self.content_length}>"


def received_lines(head: ResponseHead) -> list[Header]:
    """The headers of a response with the length that came with them, as they are now."""
    if head.content_length < 0:
        return list(head.headers)
    return [*head.headers, (b"Content-Length", b"%d" % head.content_length)]


HeadHook = Callable[["Exchange", ResponseHead], None]

TEXT_HEADERS: Final[Sequence[Header]] = (
    (b"Content-Type", b"text/plain; charset=utf-8"),
    (b"X-Content-Type-Options", b"nosniff"),
)
"""What goes with the text of an error."""


class Note:
    """What metrics and access log want to know of a request; filled in on its way, read when it is over.

    One for all exchanges around one request. Seconds are those of time.perf_counter; 0.0 means: never happened.
    """

    started = 0.0
    started_unix = 0.0
    metrics: Metrics | None = None
    """Who counts attempts, if somebody does."""
    route: Found | None = None
    below: tuple[Found, ...] = ()
    """Routers under `route` that the request went on to."""
    router = ""
    """Names of the routers from the root to the one that answers, where there are several."""
    service = ""
    """Qualified name of the load balancer that was asked last."""
    source: KubernetesSource | None = None
    """The Kubernetes Service behind it."""
    server = ""
    """URL of the server that was asked last."""
    user = ""
    """Whom an authenticating middleware took the client for, even if it refused."""
    method = b""
    target = b""
    """As it was before any router; `host` likewise."""
    host = b""
    forwarded_for = b""
    """X-Forwarded-For of a peer whose word counts."""
    protocol = b"http"
    """The metrics' label."""
    origin_seconds = 0.0
    """How long servers were waited for, all attempts together."""
    origin_status = 0
    origin_bytes = 0
    """Of the last server's response body."""
    received_bytes = 0
    """Of the request body, as far as it was read."""
    attempts = 0
    """How often a server was asked."""
    retries = 0
    """How often because an answer was not good enough."""
    keeps_headers = False
    """Does the access log show the server's headers?"""
    origin_headers: Sequence[Header] = ()
    sent_headers: Sequence[Header] = ()
    grpc_lines: Sequence[Header] = ()
    """Where Grpc-Status is to be found."""

    def repeated(self) -> Note:
        """For the same request sent to somebody else whose answer the client does not get."""
        other = Note()
        other.metrics, other.route, other.method, other.protocol = (
            self.metrics,
            self.route,
            self.method,
            self.protocol,
        )
        return other

    def retried(self) -> None:
        """The server's answer was not good enough: another attempt follows."""
        self.retries += 1
        if self.metrics is not None and self.service:
            self.metrics.retried(self)


class Cancellable(Protocol):
    """What a client waits for."""

    def shutdown(self) -> None:
        """Nobody waits any more: end it. Any greenlet may call this, and more than once."""
        ...


class Exchange(ABC):
    """One request and the way to answer it; made by a protocol server, used by handlers in its greenlet.

    A handler either calls `respond`/`respond_error`, or `send` followed, unless the body was complete, by any
    number of `write` and one `finish`. Methods that write raise StreamError when the client is gone or
    stalled; let that pass, the server cleans up.
    """

    __slots__ = ("client_gone", "failure", "hooks", "note", "request", "sent_bytes", "status", "upstream")

    def __init__(self, request: Request, note: Note | None = None) -> None:
        self.request = request
        self.note = note
        """Where to write down what happens; None where nobody wants to know."""
        self.failure: Failure | None = None
        """Why a local answer was given, if one was."""
        self.sent_bytes = 0
        """Bytes of the response body that went to the client, without framing."""
        self.status = 0
        """Status sent to the client, 0 as long as there is none."""
        self.client_gone = False
        """The client has been seen to go away: nobody waits for the response any more."""
        self.upstream: Cancellable | None = None
        """What to shut down when the client goes away: the connection that is asked on its behalf."""
        self.hooks: list[HeadHook] | None = None
        """Called in reverse order with every final head (local ones too) before it is sent."""

    def add_hook(self, hook: HeadHook) -> None:
        """Let `hook` see and change the response head; those added first are called last."""
        if self.hooks is None:
            self.hooks = []
        self.hooks.append(hook)

    def run_hooks(self, head: ResponseHead) -> None:
        """Let the hooks see the head that is about to go out; for those who implement `send`."""
        if self.hooks is not None:
            for hook in reversed(self.hooks):
                hook(self, head)

    def end_connection(self) -> None:  # noqa: B027 - most have nothing to do
        """The client's connection is to end with this response, where it can be said so."""

    def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Answer with a body at hand. Content-Length, Date and connection headers are added."""
        head = ResponseHead(status, list(headers), len(body))
        self.send(head, body, complete=True)

    @abstractmethod
    def respond_error(self, failure: Failure) -> None:
        """Answer with the failure's own status and body; the exact bytes users know."""

    @abstractmethod
    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """Send the final head and a first piece of the body (may be empty) in one go."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send more of the body."""

    def splice_response(self, source: Stream, size_bytes: int) -> int:
        """Send so many bytes of `source` as body without looking at them, if that can be done; how many went.

        Fewer than asked for, but not none: the source has ended. Raises StreamError as `write` does.
        """
        return 0

    @abstractmethod
    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        """The body is complete with `data`."""

    @abstractmethod
    def abort(self) -> None:
        """The response cannot be completed: cut it so that the client notices."""

    @abstractmethod
    def inform(self, status: int, headers: Iterable[Header]) -> None:
        """Relay an interim (1xx) response if the client can take it."""

    @abstractmethod
    def read_body(self) -> bytes:
        """Wait for the next piece of the request body; b"" at its end.

        Raises ProxyError if the client is gone, too slow or sends nonsense.
        """

    def splice_request(self, target: Stream) -> bool:
        """Send the rest of the body to `target` without looking at it; False where that is not to be done.

        Raises as `read_body`, and StreamError where the target takes no more.
        """
        return False

    @property
    @abstractmethod
    def body_complete(self) -> bool:
        """Has the whole request body been read?"""

    @abstractmethod
    def take_body(self) -> bytes:
        """What has arrived of the request body already, without waiting."""

    @abstractmethod
    def cancel_read(self) -> None:
        """Wake the greenlet that waits in read_body, if any, with StreamCancelled."""

    @abstractmethod
    def upgrade(self, head: ResponseHead, first: bytes) -> tuple[Stream, bytes]:
        """Send a 101 followed by `first`; the raw client stream and what the client had sent beyond its head."""


Handler = Callable[[Exchange], None]
