"""From a header list to a request that handlers can take: RFC 9113 section 8.3, then the policy of every protocol.

What is malformed here is answered by a reset of the stream, as the RFC wants it; what is well-formed and not to be
served has a Failure to answer with. The rules about hosts, targets, X-Forwarded-* and names with `_` are those of
HTTP/1, from the same modules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workers.errors import Failure
from workers.exchange import UNKNOWN_LENGTH, Header, Request
from workers.forwarded import Client
from workers.headers import CONTENT_LENGTH, EXPECT, HOST, MANAGED, TE, UNDERSCORE, admit, connection_tokens
from workers.http1.grammar import MOST_LINES, is_length
from workers.http1.target import TargetPolicy, resolve_target
from workers.http2.hpack import Field
from workers.http2.names import COOKIE, NOT_ALLOWED, judge, spellings

_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"[!-~\x80-\xff]+")
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")
_PLAIN: Final = bytes([*range(32, 127), *range(128, 256)])
_SEPARATORS: Final = b"\n" * MOST_LINES
_SCHEMES: Final = frozenset({b"https", b"http"})
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})
_NEEDS_CARE: Final = HOST | CONTENT_LENGTH | EXPECT | TE | COOKIE | NOT_ALLOWED


class Malformed(Exception):
    """The list is no request; the message says why."""


class Http2Request(Request):
    """A request that came over HTTP/2; the minor version is that of HTTP/1.1, which it is passed on as.

    `awaits_continue`: the client holds its body back until it has a 100. That is between the client and us: the
    server is not told.
    """

    __slots__ = ("awaits_continue",)

    protocol = b"HTTP/2.0"
    awaits_continue: bool


def request_from(
    fields: Sequence[Field],
    end_stream: bool,
    client: Client,
    policy: TargetPolicy,
    kind: type[Http2Request] = Http2Request,
) -> Http2Request | Failure:
    """An admitted request, or what to answer instead of one that cannot be routed at all. Raises Malformed.

    `kind`: what HTTP/3, whose rules are the same (RFC 9114 section 4), makes of it.
    """
    if len(fields) > MOST_LINES:
        raise Malformed("too many fields")
    if not _are_plain(fields):
        fields = [(name, _clean(value), False) for name, value, _ in fields]
    request = kind()
    request.client = client
    request._query_values = None
    request.headers_touched = request.expect_continue = request.awaits_continue = False
    request.keep_alive = True
    request.minor_version = 1
    request.upgrade = b""
    request.content_length = 0 if end_stream else UNKNOWN_LENGTH
    _set_headers(request, fields, _set_start(request, fields))
    if end_stream and request.content_length:
        raise Malformed("a Content-Length and no body")
    failure = admit(request, []) if request.marks & (MANAGED | UNDERSCORE) else None
    failure = resolve_target(request, policy) or failure
    if failure is not None and failure.closes:
        return failure
    request.refusal = failure
    return request


def _are_plain(fields: Sequence[Field]) -> bool:
    """Are the values such that they can be taken as they are? One look at all of them together."""
    joined = b"\n".join([value for _, value, _ in fields])
    return (
        joined.translate(None, _PLAIN) == _SEPARATORS[1 : len(fields)]
        and b"\n " not in joined
        and b" \n" not in joined
        and not joined.startswith(b" ")
        and not joined.endswith(b" ")
    )


def _clean(value: bytes) -> bytes:
    """Without blanks around it, as HTTP/1 reads it. Raises Malformed."""
    if not _VALUE.fullmatch(value):
        raise Malformed("forbidden bytes in a value")
    return value.strip(b" \t")


def _set_start(request: Http2Request, fields: Sequence[Field]) -> int:
    """Method, target and authority from the pseudo-header fields; how many there are. Raises Malformed."""
    pseudo: dict[bytes, bytes] = {}
    for name, value, _ in fields:
        if name[:1] != b":":
            break
        if name in pseudo or name not in _PSEUDO:
            raise Malformed(f"pseudo-header {name[:32]!r}")
        pseudo[name] = value
    method, path, authority = (
        pseudo.get(b":method", b""),
        pseudo.get(b":path", b""),
        pseudo.get(b":authority", b""),
    )
    if method == b"CONNECT":
        if len(pseudo) != 2 or not authority:
            raise Malformed("CONNECT has a method and an authority, and nothing else")
        path = authority
    elif not _METHOD.fullmatch(method) or pseudo.get(b":scheme") not in _SCHEMES:
        raise Malformed("no usable method or scheme")
    elif path[:1] != b"/" and path != b"*":
        raise Malformed("a path that does not start with a slash")
    if not _TARGET.fullmatch(path):
        raise Malformed("forbidden bytes in the path")
    request.method, request.raw_target, request.host_header = method, path, authority
    return len(pseudo)


def _set_headers(request: Http2Request, fields: Sequence[Field], start: int) -> None:
    """Regular fields, with names spelt as HTTP/1 servers know them. Raises Malformed."""
    headers: list[Header] = []
    keep, known = headers.append, spellings.get
    marks = 0
    for name, value, _ in fields[start:]:
        spelling, kind = known(name) or judge(name)
        marks |= kind
        keep((spelling, value))
    if marks & _NEEDS_CARE:
        if marks & NOT_ALLOWED:
            raise Malformed("a field that HTTP/2 does not have")
        headers = _with_care(request, headers)
        marks &= ~(HOST | EXPECT | COOKIE)
    request._headers = headers
    request.marks = marks


def _with_care(request: Http2Request, headers: list[Header]) -> list[Header]:
    """Read the fields that mean something here; those that are to be passed on come back. Raises Malformed."""
    kept: list[Header] = []
    crumbs: list[bytes] = []
    hosts: list[bytes] = []
    for header in headers:
        name, value = header
        if name == b"Cookie":
            if not crumbs:
                kept.append(header)  # its place; the value follows when all crumbs are known
            crumbs.append(value)
        elif name == b"Host":
            hosts.append(value)
        elif name == b"Expect" and b"100-continue" in connection_tokens(value):
            request.awaits_continue = request.content_length != 0
        else:
            if name == b"Te" and value.lower() != b"trailers":
                raise Malformed("TE may only ask for trailers")
            kept.append(header)
    if hosts:
        _check_hosts(request, hosts)
    if len(crumbs) > 1:
        kept = [(name, b"; ".join(crumbs)) if name == b"Cookie" else (name, value) for name, value in kept]
    _set_length(request, [value for name, value in kept if name == b"Content-Length"])
    return kept


def _check_hosts(request: Http2Request, hosts: list[bytes]) -> None:
    """A Host must say the same as the authority, or there is nobody to say which one counts."""
    authority = request.host_header or hosts[0]
    if len(hosts) > 1 or hosts[0].lower() != authority.lower():
        raise Malformed("several hosts")
    request.host_header = authority


def _set_length(request: Http2Request, lengths: list[bytes]) -> None:
    if lengths:
        if len(lengths) > 1 or not is_length(lengths[0]):
            raise Malformed("no usable Content-Length")
        request.content_length = int(lengths[0])


def check_trailers(fields: Sequence[Field]) -> None:
    """Trailers of a request: nothing is done with them, but they must be well-formed. Raises Malformed."""
    for name, value, _ in fields:
        if name[:1] == b":" or (spellings.get(name) or judge(name))[1] & NOT_ALLOWED:
            raise Malformed(f"{name[:32]!r} in trailers")
        _clean(value)
