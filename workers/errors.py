"""What can go wrong with one request, as data: kind, side, retry, status and the exact answer.

Status line, body, log level, metric label and the decision to retry all read these values. Code that fails
raises ProxyError around one of them, or returns it where a failure is an ordinary outcome (parsing). Foreign
errors are turned into these at one place each: streams, resolver, parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Side(Enum):
    """Who caused it."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    PROXY = "proxy"


class Retry(Enum):
    """May the same request be sent again without the client noticing?"""

    NEVER = "never"
    REUSED = "reused"  # only if the connection had served before and the request is replayable
    ALWAYS = "always"  # nothing of it has reached a server


class Answer(Enum):
    """Form of the response."""

    SILENT = "silent"  # close without a byte
    BARE = "bare"  # the parser's own: body ends with the connection, no Date, no length
    EMPTY = "empty"
    PLAIN = "plain"  # body without Content-Type
    TEXT = "text"  # body ends in a newline; text/plain and nosniff


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` is stable and snake_case; `reason` replaces the status phrase where it is not empty."""

    kind: str
    side: Side
    status: int
    answer: Answer
    body: bytes = b""
    reason: bytes = b""
    retry: Retry = Retry.NEVER
    closes: bool = False  # the client's connection ends with this answer


class ProxyError(Exception):
    """A request that cannot go on. `detail` is for logs, never for the client."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure.kind, detail)
        self.failure = failure
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.failure.kind}: {self.detail}" if self.detail else self.failure.kind


def _bare(kind: str, status: int, text: bytes, phrase: bytes = b"") -> Failure:
    return Failure(kind, Side.CLIENT, status, Answer.BARE, text, phrase or text[4:], closes=True)


# Read from the client, before any router.
MALFORMED_REQUEST: Final = _bare("malformed_request", 400, b"400 Bad Request")
MISSING_HOST: Final = _bare("missing_host", 400, b"400 Bad Request: missing required Host header")
MALFORMED_HOST: Final = _bare("malformed_host", 400, b"400 Bad Request: malformed Host header")
INVALID_HEADER_NAME: Final = _bare("invalid_header_name", 400, b"400 Bad Request: invalid header name")
HEADERS_TOO_LARGE: Final = _bare("headers_too_large", 431, b"431 Request Header Fields Too Large")
UNSUPPORTED_CODING: Final = _bare("unsupported_coding", 501, b"Unsupported transfer encoding", b"Not Implemented")
UNSUPPORTED_VERSION: Final = _bare(
    "unsupported_version", 505, b"505 HTTP Version Not Supported: unsupported protocol version"
)
UNKNOWN_EXPECTATION: Final = Failure("unknown_expectation", Side.CLIENT, 417, Answer.EMPTY, closes=True)
CLIENT_SILENT: Final = Failure("client_silent", Side.CLIENT, 408, Answer.SILENT, closes=True)

# Behind the parser: refused, but the connection may go on.
RAW_FRAGMENT: Final = Failure("raw_fragment", Side.CLIENT, 400, Answer.EMPTY)
UNDERSCORE_HEADER: Final = Failure("underscore_header", Side.CLIENT, 400, Answer.TEXT, b"Bad Request\n")
ENCODED_CHARACTER: Final = Failure("encoded_character", Side.CLIENT, 400, Answer.EMPTY)
NOT_FOUND: Final = Failure("not_found", Side.CLIENT, 404, Answer.TEXT, b"404 page not found\n")
MISDIRECTED: Final = Failure("misdirected", Side.CLIENT, 421, Answer.TEXT, b"Misdirected Request\n")

# Around the upstream server.
BODY_TOO_LARGE: Final = Failure(
    "request_body_too_large", Side.CLIENT, 413, Answer.TEXT, b"Request body too large\n"
)
NO_SERVER: Final = Failure("no_server", Side.PROXY, 503, Answer.TEXT, b"no available server\n")
CONNECT_REFUSED: Final = Failure("connect_method", Side.CLIENT, 501, Answer.EMPTY, closes=True)


def _gateway(kind: str, status: int, body: bytes, retry: Retry = Retry.NEVER) -> Failure:
    return Failure(kind, Side.UPSTREAM, status, Answer.PLAIN, body, retry=retry)


_502: Final = b"Bad Gateway"
_504: Final = b"Gateway Timeout"
_500: Final = b"Internal Server Error"
UNREACHABLE: Final = _gateway("unreachable", 502, _502, Retry.ALWAYS)
STALE: Final = _gateway("stale", 502, _502, Retry.ALWAYS)  # closed before the request was written
CLOSED_EARLY: Final = _gateway("closed_early", 502, _502, Retry.REUSED)
DIAL_TIMEOUT: Final = _gateway("dial_timeout", 504, _504, Retry.ALWAYS)
RESPONSE_TIMEOUT: Final = _gateway("response_timeout", 504, _504)
MALFORMED_RESPONSE: Final = _gateway("malformed_response", 500, _500)
TLS_TIMEOUT: Final = _gateway("tls_timeout", 504, _504, Retry.ALWAYS)
TLS_REFUSED: Final = _gateway("tls_refused", 502, _502, Retry.ALWAYS)  # the server sent an alert, or hung up
TLS_FAILED: Final = _gateway("tls_failed", 500, _500, Retry.ALWAYS)
UNTRUSTED_SERVER: Final = _gateway("untrusted_server", 500, _500, Retry.ALWAYS)
PROXY_REFUSED: Final = _gateway("proxy_refused", 500, _500, Retry.ALWAYS)  # one that stands before the server
PROTOCOL_UNAVAILABLE: Final = _gateway("protocol_unavailable", 500, _500)  # h2c where HTTP/2 is switched off
STREAM_REFUSED: Final = _gateway("stream_refused", 502, _502, Retry.ALWAYS)  # HTTP/2: not processed, for certain
STREAM_RESET: Final = _gateway("stream_reset", 500, _500)
HTTP2_BROKEN: Final = _gateway("http2_broken", 500, _500)
HTTP2_ENDED: Final = _gateway("http2_ended", 500, _500, Retry.REUSED)  # closed in order, but too early
PING_TIMEOUT: Final = _gateway("ping_timeout", 500, _500)
RESPONSE_TOO_LARGE: Final = _gateway("response_too_large", 500, _500)
WRONG_UPGRADE: Final = _gateway("wrong_upgrade", 500, _500)
BODY_CUT: Final = _gateway("body_cut", 502, _502)  # the response had begun: the client sees it cut
BODY_TIMEOUT: Final = Failure("request_body_timeout", Side.CLIENT, 504, Answer.PLAIN, _504, closes=True)
MALFORMED_BODY: Final = _bare("malformed_body", 400, b"400 Bad Request")
MALFORMED_UPGRADE: Final = Failure("malformed_upgrade", Side.CLIENT, 500, Answer.PLAIN, _500)
CLIENT_GONE: Final = Failure(
    "client_gone", Side.CLIENT, 499, Answer.PLAIN, b"Client Closed Request", b"Client Closed Request", closes=True
)
CLIENT_STALLED: Final = Failure("client_stalled", Side.CLIENT, 499, Answer.SILENT, closes=True)
CRASHED: Final = Failure("crashed", Side.PROXY, 500, Answer.TEXT, b"Internal Server Error\n")
LIMIT_UNKNOWN: Final = Failure("limit_unknown", Side.PROXY, 503, Answer.PLAIN, b"Service Unavailable")
"""What all workers share cannot be asked (a worker is stopped while it holds a lock): nothing passes unchecked."""
SHUTTING_DOWN: Final = Failure("shutting_down", Side.PROXY, 503, Answer.SILENT, closes=True)
