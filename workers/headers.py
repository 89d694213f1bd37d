"""Header policy: what a client's headers may say, and what the server gets to see.

Once for all protocols: hop-by-hop headers, `Connection` and what it lists, X-Forwarded-* and whose word counts,
spellings with `_`. The common request needs none of it: the codec sets a mark for every header that wants
attention, and without marks the headers go on as they came, with one prepared block of X-Forwarded-* lines
that is the same for all requests of a connection to one host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from workers.errors import UNDERSCORE_HEADER, Failure
from workers.exchange import Header, Request
from workers.http1.heads import message

# What the codec noticed about a message's headers, one bit each.
HOST: Final = 1
CONTENT_LENGTH: Final = 2
TRANSFER_ENCODING: Final = 4
CONNECTION: Final = 8
EXPECT: Final = 16
UPGRADE: Final = 32
HOP: Final = 64  # any other hop-by-hop header
MANAGED: Final = 128  # X-Forwarded-* and X-Real-Ip, in any spelling
UNDERSCORE: Final = 256  # a name with `_` or anything else but letters, digits and `-`
PRAGMA: Final = 512
DATE: Final = 1024
TRAILER: Final = 2048
TE: Final = 4096
NAMELESS: Final = 8192  # a folded line, as the C parser hands it out
CODING: Final = 32768  # Accept-Encoding, Range: the client says what form the body is to have
CHALLENGE: Final = 65536  # WWW-Authenticate: the server may be about to know whose connection this is
CREDENTIALS: Final = 131072  # Authorization: it may be for the connection, not for the request
ANONYMOUS: Final = 16384  # set by a middleware: the peer is not to be appended to X-Forwarded-For

KINDS: Final = (
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    CONNECTION,
    EXPECT,
    UPGRADE,
    HOP,
    MANAGED,
    UNDERSCORE,
    PRAGMA,
    DATE,
    TRAILER,
    TE,
    CHALLENGE,
)
"""In the order in which _heads.c names them."""

_KINDS: Final[dict[bytes, int]] = {
    b"": NAMELESS,
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"te": TE,
    b"trailer": TRAILER,
    b"date": DATE,
    b"pragma": PRAGMA,
    b"accept-encoding": CODING,
    b"range": CODING,
    b"www-authenticate": CHALLENGE,
    b"authorization": CREDENTIALS,
    b"keep-alive": HOP,
    b"http2-settings": HOP,
    b"proxy-connection": HOP,
    b"proxy-authenticate": HOP,
    b"proxy-authorization": HOP,
}
MANAGED_NAMES: Final = frozenset(
    {
        b"x-forwarded-proto",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-server",
        b"x-forwarded-uri",
        b"x-forwarded-method",
        b"x-forwarded-prefix",
        b"x-forwarded-tls-client-cert",
        b"x-forwarded-tls-client-cert-info",
        b"x-real-ip",
    }
)
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"http2-settings",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

ALIASING: Final = re.compile(rb"[^A-Za-z0-9-]")
"""In a name that servers which make variables of headers take for another one: X_User or X.User for X-User."""
WITH_UNDERSCORE: Final = re.compile(b"_")

_REMEMBERED_NAMES: Final = 4096
_LONGEST_REMEMBERED_BYTES: Final = 64
kinds_by_name: Final[dict[bytes, int]] = {}
"""Kind by name as spelled on the wire: one look-up a header. Filled by `classify`, bounded."""


def classify(name: bytes) -> int:
    """Kind of a header name that is not in `kinds_by_name` yet; 0 for those that are none of our business."""
    lower = name.lower()
    kind = _KINDS.get(lower, 0)
    if ALIASING.search(lower):
        kind = UNDERSCORE | (MANAGED if lower.replace(b"_", b"-") in MANAGED_NAMES else 0)
    elif lower in MANAGED_NAMES:
        kind = MANAGED
    if len(name) <= _LONGEST_REMEMBERED_BYTES:
        if len(kinds_by_name) >= _REMEMBERED_NAMES:
            kinds_by_name.clear()
        kinds_by_name[name] = kind
    return kind


def values_of(headers: Sequence[Header], kind: int) -> list[bytes]:
    """Values of all headers of one kind, in order."""
    return [value for name, value in headers if kinds_by_name.get(name, 0) & kind or classify(name) & kind]


header_line: Final = b": ".join
"""One header as its line, without line end."""


_OF_CONNECTIONS: Final = frozenset({b"ntlm", b"negotiate"})


def authenticates_connection(values: Iterable[bytes]) -> bool:
    """Is a scheme among these challenges or credentials one that authenticates the connection and not the request?

    RFC 4559 section 6. One line may hold several challenges; a comma within one can only make it look like that.
    """
    words = (part.split(None, 1)[:1] for value in values for part in value.split(b","))
    return any(word[0].lower() in _OF_CONNECTIONS for word in words if word)


def encode(headers: Iterable[Header]) -> bytes:
    """Header lines, each with its line end."""
    return b"\r\n".join([*map(header_line, headers), b""])


def admit(request: Request, connection: list[bytes]) -> Failure | None:
    """Apply the entry point's policy to a request with marks, before any router sees it.

    `connection` are the lower-case tokens of the client's Connection header. Returns what to answer instead of
    serving, if anything.
    """
    marks, policy = request.marks, request.client.policy
    unwanted = policy.unwanted_names
    if marks & UNDERSCORE and unwanted is not None:
        wanted = [header for header in request._headers if not unwanted.search(header[0])]
        if policy.rejects and len(wanted) < len(request._headers):
            return UNDERSCORE_HEADER
        request._headers = wanted
    if marks & MANAGED:
        if request.client.trusted:
            request._headers = _without_overwritten(request._headers)
        else:
            request._headers = [header for header in request._headers if not _is_managed(header[0])]
            request.marks &= ~MANAGED
    if connection:
        _drop_listed(request, connection)
    if marks & PRAGMA:
        add_cache_control(request._headers)
    return None


def _is_managed(name: bytes) -> bool:
    return name.lower().replace(b"_", b"-") in MANAGED_NAMES


_FILLED_IN: Final = frozenset({b"x-real-ip", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-host"})


def _without_overwritten(headers: list[Header]) -> list[Header]:
    """Of a trusted peer: of what is filled in, no line counts if the first is empty; the server's name is ours."""
    overwritten = {b"x-forwarded-server"}
    seen = set()
    for name, value in headers:
        lower = name.lower()
        if lower in _FILLED_IN and lower not in seen:
            seen.add(lower)
            if not value:
                overwritten.add(lower)
    return [
        header
        for header in headers
        if (lower := header[0].lower()) not in overwritten and (header[1] or lower != b"x-forwarded-for")
    ]


_NEVER_LISTED: Final = frozenset({b"host", b"content-length"})
"""What frames or routes a message cannot be dropped by its sender's wish."""


def _drop_listed(request: Request, connection: list[bytes]) -> None:
    """Drop what Connection lists; managed names cannot be stripped that way, and Upgrade stays for upgrades."""
    kept = request.client.policy.kept_by_connection
    listed = {name for name in connection if name not in MANAGED_NAMES and name not in kept}
    remaining = [name for name in connection if name in kept]
    if request.upgrade:
        listed.discard(b"upgrade")
        remaining.append(b"Upgrade")
    listed -= _NEVER_LISTED
    request._headers = [header for header in request._headers if header[0].lower() not in listed]
    if remaining:
        request._headers.append((b"Connection", b", ".join(remaining)))
        request.marks |= HOP


def add_cache_control(headers: list[Header]) -> None:
    """`Pragma: no-cache` without Cache-Control gains its modern twin."""
    pragma = b""
    for name, value in headers:
        lower = name.lower()
        if lower == b"cache-control":
            return
        if lower == b"pragma":
            pragma = pragma or value
    if pragma == b"no-cache":
        headers.append((b"Cache-Control", b"no-cache"))


_REWRITTEN: Final = HOP_BY_HOP | {b"host", b"content-length"}
_NEEDS_CARE: Final = HOP | UPGRADE | TE | TRAILER | MANAGED | TRANSFER_ENCODING
CODING_NAMES: Final = frozenset({b"accept-encoding", b"range"})
_WITH_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})


def upstream_head(request: Request, host: bytes) -> bytes:
    """The head as it goes to the server: request line, Host, headers, empty line."""
    marks, length, method = request.marks, request.content_length, request.method
    # The length is not what it was where a body has been counted that came without one, or was left out.
    is_framed_anew = (length > 0) is not bool(marks & CONTENT_LENGTH)
    if is_framed_anew or request.headers_touched or marks & _NEEDS_CARE:
        headers = _for_server(request)
        if length > 0:
            headers.append((b"Content-Length", b"%d" % length))
        block = b"\r\n"
        asks = not any(name.lower() in CODING_NAMES for name, _ in headers)
    else:
        headers = request._headers
        block = request.client.forwarded_block(request.host_header)
        asks = not marks & CODING
    request.asked_gzip = asks = asks and method != b"HEAD"
    if asks:
        block = b"Accept-Encoding: gzip\r\n" + block
    if length < 0:
        block = b"Transfer-Encoding: chunked\r\n" + block
    elif not length and method in _WITH_BODY:
        block = b"Content-Length: 0\r\n" + block
    first = b"%b %b HTTP/1.1\r\nHost: %b" % (method, request.target, host)
    return message(first, headers, block)


def _for_server(request: Request) -> list[Header]:
    """The proxy step: hop-by-hop headers out, upgrade and `Te: trailers` restored, the peer appended."""
    headers = request.headers
    tokens = {
        token for name, value in headers if name.lower() == b"connection" for token in connection_tokens(value)
    }
    drop = _REWRITTEN | (tokens - MANAGED_NAMES)
    kept, chain, te = [], [], False
    for header in headers:
        lower = header[0].lower()
        if lower == b"x-forwarded-for":
            chain.append(header[1])
        elif lower == b"te":
            te = te or b"trailers" in connection_tokens(header[1])
        elif lower not in drop:
            kept.append(header)
    if te:
        kept.append((b"Te", b"trailers"))
    if request.upgrade:
        kept += ((b"Connection", b"Upgrade"), (b"Upgrade", request.upgrade))
    if request.client.policy.append_peer and not request.marks & ANONYMOUS:
        chain.append(request.client.ip.encode())
    if chain:
        kept.append((b"X-Forwarded-For", b", ".join(chain)))
    return kept


_REMEMBERED_TOKENS: Final = 512
_token_lists: Final[dict[bytes, list[bytes]]] = {}


def connection_tokens(value: bytes) -> list[bytes]:
    """Lower-case members of a comma-separated value. The list is shared: do not change it."""
    tokens = _token_lists.get(value)
    if tokens is None:
        tokens = [token for each in value.lower().split(b",") if (token := each.strip(b" \t"))]
        if len(_token_lists) >= _REMEMBERED_TOKENS:
            _token_lists.clear()
        if len(value) <= _LONGEST_REMEMBERED_BYTES:
            _token_lists[value] = tokens
    return tokens
