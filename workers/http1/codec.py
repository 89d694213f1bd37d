"""HTTP/1 request heads from bytes: a C parser for the common one, its pure twin for the rest, one strict policy.

`parse_request` is the only door (`responses.parse_response` for the other direction). The C parser
(gunicorn_h1c) is fast but opinionated: it counts headers, and its errors do not say what a client must be told. So
it is only ever believed when it accepts, and then only within the checks made here; whatever it refuses goes to
the twin (`grammar`), which decides. Both must accept the same messages with the same result: tests run one corpus
through both.

RFC 9112 with every leniency switched off: CRLF alone ends a line, one blank separates the parts of a first line,
no folding, no blank before the colon, one Host, one length, `chunked` alone as transfer coding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gunicorn_h1c
from gunicorn_h1c._parser_fast import IncompleteError as IncompleteRequest

from workers import errors
from workers.errors import Failure
from workers.exchange import UNKNOWN_LENGTH, Header, Request
from workers.forwarded import Client
from workers.headers import (
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    KINDS,
    MANAGED,
    PRAGMA,
    TRANSFER_ENCODING,
    UNDERSCORE,
    UPGRADE,
    admit,
    classify,
    connection_tokens,
    kinds_by_name,
    values_of,
)
from workers.http1 import grammar
from workers.http1.grammar import LONGEST_LENGTH_DIGITS
from workers.http1.heads import CHUNKED, reader
from workers.http1.target import TargetPolicy, canonical_host, resolve_target

_parse = gunicorn_h1c.parse_request_fast
_read = reader("request", KINDS)
_UNLIMITED: Final = 1 << 40


class IncomingRequest(Request):
    """A request with the number of bytes its head took."""

    __slots__ = ("consumed",)

    consumed: int


def parse_request(data: bytes, client: Client, policy: TargetPolicy) -> IncomingRequest | Failure | None:
    """Read one request head from the start of `data`; None if it is not complete yet.

    The request comes back admitted: target normalised, headers under the policy of `client`. Whatever is
    behind `consumed` bytes of `data` belongs to the body or to the next request.
    """
    if _read is not None:
        parts = _read(data, kinds_by_name, classify)
        if parts is not None:
            return _compiled(parts, client, policy)
    return parse_request_uncompiled(data, client, policy)


def _compiled(parts: Any, client: Client, policy: TargetPolicy) -> IncomingRequest | Failure:
    """The request of a head that needs no second look at its target, nor at what frames its body."""
    request = IncomingRequest()
    (
        request.method,
        target,
        path,
        request.query,
        request.has_query,
        minor_version,
        request._headers,
        host,
        marks,
        length,
        request.consumed,
    ) = parts
    request.raw_target = request.target = target
    request.path = request.routing_path = path
    request.minor_version = minor_version
    request.client = client
    request.headers_touched = request.expect_continue = False
    request._query_values = None
    request.keep_alive = minor_version == 1
    request.upgrade = b""
    request.content_length = length if length > 0 else UNKNOWN_LENGTH if length == CHUNKED else 0
    request.marks = marks
    if host is None:
        if minor_version:
            return errors.MISSING_HOST
        host = b""
    request.host_header = host
    canonical = canonical_host(host)
    if canonical is None:
        return errors.MALFORMED_HOST
    request.host = canonical
    if marks & _ADMITTED:
        failure = _special(request, request._headers)
        if failure is not None and failure.closes:
            return failure
        request.refusal = failure
    else:
        request.refusal = None
    return request


def parse_request_uncompiled(
    data: bytes, client: Client, policy: TargetPolicy
) -> IncomingRequest | Failure | None:
    """As parse_request, by the C parser that every installation has."""
    try:
        parsed = _parse(data, 0, _UNLIMITED, 256, _UNLIMITED, True)
        method, target, consumed = parsed.method, parsed.path, parsed.consumed
        if data.find(b"\r\n") == len(method) + len(target) + 10:
            return _admitted(
                method,
                target,
                parsed.minor_version,
                parsed.headers,
                parsed.content_length,
                consumed,
                client,
                policy,
            )
    except IncompleteRequest:
        if data.find(b"\r\n\r\n") < 0:
            return grammar.early_refusal(data)
    except ValueError:
        pass  # the twin knows what to answer
    return parse_request_slowly(data, client, policy)


def parse_request_slowly(data: bytes, client: Client, policy: TargetPolicy) -> IncomingRequest | Failure | None:
    """As parse_request, by the pure twin alone."""
    head = grammar.request_head(data)
    if head is None or isinstance(head, Failure):
        return head
    length = grammar.request_length(head)
    if isinstance(length, Failure):
        return length
    return _admitted(
        head.method, head.target, head.minor_version, head.headers, length, head.consumed, client, policy
    )


def _admitted(  # noqa: PLR0912 - every request goes through it: one frame on purpose
    method: bytes,
    target: bytes,
    minor_version: int,
    headers: Sequence[Header],
    content_length: int,
    consumed: int,
    client: Client,
    policy: TargetPolicy,
) -> IncomingRequest | Failure:
    """Policy over a head that is well-formed: sort the headers by what they mean, then target and admission.

    `content_length` is -1 where there is no Content-Length; that there is only one, without a
    Transfer-Encoding beside it, and one Host at most, has been checked.
    """
    request = IncomingRequest()
    kept: list[Header] = []
    keep = kept.append
    kind_of = kinds_by_name.get
    marks = 0
    host: bytes | None = None
    for header in headers:
        kind = kind_of(header[0])
        if kind is None:
            kind = classify(header[0])
        if not kind:
            keep(header)
        elif kind == HOST:
            host = header[1]
        elif kind == CONNECTION:
            if header[1] != b"keep-alive" or not minor_version:
                marks |= CONNECTION
        elif kind == CONTENT_LENGTH:
            if len(header[1]) > LONGEST_LENGTH_DIGITS:
                return errors.MALFORMED_REQUEST
            marks |= kind
            keep((header[0], b"%d" % content_length))  # no server is to think that 010 is eight
        else:
            marks |= kind
            if kind != TRANSFER_ENCODING:
                keep(header)
    request.method = method
    request.raw_target = target
    request.minor_version = minor_version
    request.consumed = consumed
    request.client = client
    request.headers_touched = request.expect_continue = False
    request._headers = kept
    request._query_values = None
    request.keep_alive = minor_version == 1
    request.upgrade = b""
    request.content_length = content_length if content_length > 0 else 0
    request.marks = marks
    if host is None:
        if minor_version:
            return errors.MISSING_HOST
        host = b""
    request.host_header = host
    failure = _special(request, headers) if marks & _NEEDS_ADMISSION else None
    # What frames the body is known now: a refused request that is well-formed leaves the connection usable.
    if failure is None or not failure.closes:
        failure = resolve_target(request, policy) or failure
    if failure is not None and failure.closes:
        return failure
    request.refusal = failure
    return request


_ADMITTED: Final = EXPECT | UPGRADE | MANAGED | UNDERSCORE | PRAGMA
_NEEDS_ADMISSION: Final = TRANSFER_ENCODING | CONNECTION | EXPECT | UPGRADE | MANAGED | UNDERSCORE | PRAGMA
_EXPECTATIONS: Final = frozenset({b"", b"100-continue"})
_PERSISTENCE: Final = frozenset({b"close", b"keep-alive"})


def _upgrade(token: bytes) -> bytes:
    """The protocol asked for; h2c is not: nobody upgrades a connection that others share."""
    return b"" if b"h2c" in connection_tokens(token) else token


def _special(request: Request, headers: Sequence[Header]) -> Failure | None:
    """What headers that are not simply passed on ask for; None if the request is to be served."""
    marks = request.marks
    if marks & TRANSFER_ENCODING:
        if request.minor_version == 0 or marks & CONTENT_LENGTH:  # the C parser lets `identity` pass
            return errors.MALFORMED_REQUEST
        codings = values_of(headers, TRANSFER_ENCODING)
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            return errors.UNSUPPORTED_CODING
        request.content_length = UNKNOWN_LENGTH
    connection = [token for value in values_of(headers, CONNECTION) for token in connection_tokens(value)]
    if b"close" in connection:
        request.keep_alive = False
    elif request.minor_version == 0:
        request.keep_alive = b"keep-alive" in connection
    if marks & UPGRADE and b"upgrade" in connection and request.minor_version == 1:
        request.upgrade = _upgrade(values_of(headers, UPGRADE)[0])
    if marks & EXPECT:
        expected = {value.lower() for value in values_of(headers, EXPECT)}
        if not expected <= _EXPECTATIONS:
            return errors.UNKNOWN_EXPECTATION
        is_waiting = b"100-continue" in expected
        request.expect_continue = is_waiting and request.minor_version == 1 and request.content_length != 0
    if not request.upgrade and _PERSISTENCE.issuperset(connection):
        connection = []
    return admit(request, connection)
