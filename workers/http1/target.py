"""Request targets: the four forms, then one path on which router, middlewares and server agree.

The path is normalised (escapes of unreserved characters decoded, all others in upper-case hex, raw bytes that
do not belong into a URL escaped) and, where the entry point asks for it, sanitised (no `.`, `..` or empty
segments). Router and server see the result; the raw form is kept for logs only. A target that has none of the
characters in question is recognised by one `translate`.
"""

from __future__ import annotations

import re
from typing import Final

from workers import errors
from workers.errors import Failure
from workers.exchange import Request
from workers.http1.escapes import respelled, table_of

_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_IN_PATH: Final = _UNRESERVED + b"!$&'()*+,;=:@/[]"
_ORDINARY: Final = _UNRESERVED + b"!$&'()*+,=:@/?"
_RESERVED: Final = frozenset(b":/?#[]@!$&'()*+,;=%")
_HEX: Final = b"0123456789ABCDEFabcdef"
_BYTES: Final = {bytes((high, low)): int(bytes((high, low)), 16) for high in _HEX for low in _HEX}
_NORMAL: Final = {
    digits: bytes((byte,)) if byte in _UNRESERVED else b"%" + digits.upper() for digits, byte in _BYTES.items()
}
"""Two digits behind a `%` to the normal form of the triplet."""
_IN_RULES: Final = {
    digits: b"%" + digits.upper() if byte in _RESERVED else bytes((byte,)) for digits, byte in _BYTES.items()
}
"""Likewise, to what rules see of it."""
_FEW_ESCAPES: Final = 16
"""Up to so many are looked at one by one, more of them all at once."""
_NOT_UNRESERVED: Final = table_of(frozenset(range(256)) - frozenset(_UNRESERVED))
_MARKS: Final = b"?#\r\n"
"""What `respelled` cannot have in a path; no target brings them here."""
_STRANGE: Final = table_of(frozenset(range(256)) - frozenset(_IN_PATH + _MARKS + b"%"))
_KEPT_IN_RULES: Final = table_of(_RESERVED)
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)([^#]*)")
_HOST: Final = re.compile(
    rb"(?:(?P<name>[A-Za-z0-9._~!$&'()*+;=%\-]*)|\[(?P<six>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~\-]+)?)\])"
    rb"(?::(?P<port>[0-9]{0,5}))?"
)
_REMEMBERED_HOSTS: Final = 2048
_LONGEST_REMEMBERED_BYTES: Final = 262  # a name of the longest kind, and a port


class TargetPolicy:
    """How one entry point treats targets. Immutable."""

    __slots__ = ("encode_semicolons", "sanitize")

    def __init__(self, sanitize: bool = True, encode_semicolons: bool = False) -> None:
        self.sanitize = sanitize
        self.encode_semicolons = encode_semicolons


_hosts: dict[bytes, bytes] = {}


def canonical_host(value: bytes) -> bytes | None:
    """Host without port and brackets, lower case; None for what is no host."""
    found = _hosts.get(value)
    if found is not None:
        return found
    match = _HOST.fullmatch(value)
    if match is None or int(match["port"] or 0) > 65535:
        return None
    found = (match["six"] or match["name"] or b"").lower()
    if len(value) <= _LONGEST_REMEMBERED_BYTES:
        if len(_hosts) >= _REMEMBERED_HOSTS:
            _hosts.clear()
        _hosts[value] = found
    return found


def resolve_target(request: Request, policy: TargetPolicy) -> Failure | None:
    """Fill in target, path, query, routing path and host of a request whose head has been read."""
    target = request.raw_target
    host = _hosts.get(request.host_header)
    if host is None:
        host = canonical_host(request.host_header)
        if host is None:
            return errors.MALFORMED_HOST
    request.host = host
    if target[0] != 47 or request.method == b"CONNECT":
        other = _other_form(request)
        if isinstance(other, Failure):
            return other
        target = other
    if target.translate(None, _ORDINARY) or b"//" in target or b"/." in target:
        return _unusual(request, target, policy)
    request.target = target
    path, mark, request.query = target.partition(b"?")
    request.has_query = mark != b""
    request.path = request.routing_path = path
    return None


def _other_form(request: Request) -> bytes | Failure:
    """The origin-form of an absolute, authority or asterisk target; an authority replaces Host."""
    target, method = request.raw_target, request.method
    if method == b"CONNECT":
        authority, rest = target, b"/"
        if not authority or b":" not in authority:
            return errors.MALFORMED_REQUEST
    elif target == b"*":
        return target if method == b"OPTIONS" else errors.MALFORMED_REQUEST
    else:
        if b"#" in target:
            return _with_fragment(request)
        match = _ABSOLUTE.fullmatch(target)
        if match is None or b"%" in match[1]:  # another one might decode that, and see another host
            return errors.MALFORMED_REQUEST
        authority, rest = match.groups()
        rest = rest if rest.startswith(b"/") else b"/" + rest
    host = canonical_host(authority)
    if not host:
        return errors.MALFORMED_REQUEST
    request.host_header, request.host = authority, host
    return rest


def _with_fragment(request: Request) -> Failure:
    """Refused, but framed: it is answered on a connection that goes on, and the log may look at it."""
    request.target = request.path = request.routing_path = request.raw_target
    request.query, request.has_query = b"", False
    return errors.RAW_FRAGMENT


def _unusual(request: Request, target: bytes, policy: TargetPolicy) -> Failure | None:
    if b"#" in target:
        return _with_fragment(request)
    path, mark, query = target.partition(b"?")
    if path != b"*":
        normal = normalize_path(path)
        if normal is None:
            return errors.MALFORMED_REQUEST
        path = sanitize_path(normal) if policy.sanitize else normal
    query = query.replace(b";", b"%3B" if policy.encode_semicolons else b"&")
    request.path, request.query, request.has_query = path, query, mark != b""
    request.target = path + mark + query
    request.routing_path = routing_path(path)
    return None


def normalize_path(path: bytes) -> bytes | None:
    """Escapes in their one normal form; None if one is broken.

    >>> normalize_path(b"/%77ith%2fa|b")
    b'/with%2Fa%7Cb'
    """
    strange = path.translate(None, _IN_PATH)
    if not strange:
        return path
    for byte in _MARKS:
        if byte in path:
            path = path.replace(bytes((byte,)), b"%%%02X" % byte)
    if len(strange) > _FEW_ESCAPES:
        return respelled(path, _NOT_UNRESERVED, _STRANGE)
    for byte in set(strange) - {37, *_MARKS}:
        path = path.replace(bytes((byte,)), b"%%%02X" % byte)
    first, *rest = path.split(b"%")
    pieces = [first]
    for piece in rest:
        triplet = _NORMAL.get(piece[:2])
        if triplet is None:
            return None
        pieces += (triplet, piece[2:])
    return b"".join(pieces)


def sanitize_path(path: bytes) -> bytes:
    """Without `.` and `..` segments and doubled slashes; a slash at the end stays.

    >>> sanitize_path(b"//a/./b/..///c/")
    b'/a/c/'
    """
    if b"//" not in path and b"/." not in path and path.startswith(b"/"):
        return path
    segments = list(filter(None, path.split(b"/")))
    if b"." in segments:
        segments = [segment for segment in segments if segment != b"."]
    if b".." in segments:
        segments = _resolved(segments)
    result = b"/" + b"/".join(segments)
    return result + b"/" if path.endswith(b"/") and segments else result


def _resolved(segments: list[bytes]) -> list[bytes]:
    """Without `..` and what it takes away."""
    kept: list[bytes] = []
    for segment in segments:
        if segment != b"..":
            kept.append(segment)
        elif kept:
            kept.pop()
    return kept


def routing_path(path: bytes) -> bytes:
    """The path as rules see it: every escape decoded but those of reserved characters and `%`.

    `path` has whole escapes only, and no byte that wants one.

    >>> routing_path(b"/foo%20bar%2Fx")
    b'/foo bar%2Fx'
    """
    count = path.count(b"%")
    if not count:
        return path
    if count > _FEW_ESCAPES and (found := respelled(path, _KEPT_IN_RULES)) is not None:
        return found
    first, *rest = path.split(b"%")
    pieces = [first]
    for piece in rest:
        seen = _IN_RULES.get(piece[:2])
        pieces += (b"%", piece) if seen is None else (seen, piece[2:])
    return b"".join(pieces)
