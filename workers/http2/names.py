"""Header names of both worlds: lower case on HTTP/2, canonical towards everybody else, what is never passed on.

A name is judged once: afterwards one look-up gives its spelling and its kind. The tables are bounded; peers fill
them, so what is in them is nobody's secret.
"""

from __future__ import annotations

import re
from typing import Final

from workers.exchange import Header
from workers.headers import CONNECTION, HOP, TRANSFER_ENCODING, UPGRADE, classify
from workers.http2.hpack import Field

_LOWER_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_REMEMBERED_NAMES: Final = 4096
_LONGEST_REMEMBERED_BYTES: Final = 64
NOT_ALLOWED: Final = 1 << 20
"""Mark of names that a message must not have (RFC 9113 sections 8.2.1 and 8.2.2)."""
COOKIE: Final = 1 << 21

_CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
_NEVER_INDEXED: Final = frozenset({b"set-cookie", b"authorization", b"proxy-authorization"})
"""Secrets do not go into a table whose size answers questions."""

spellings: Final[dict[bytes, tuple[bytes, int]]] = {}
"""Name as received to its canonical spelling and kind; see `judge`."""
_outgoing: Final[dict[bytes, tuple[bytes, bool] | None]] = {}


def judge(name: bytes) -> tuple[bytes, int]:
    """Canonical spelling and kind (workers.headers, or those above) of a received name; remembered."""
    if not _LOWER_TOKEN.fullmatch(name) or name in _CONNECTION_SPECIFIC:
        found = name, NOT_ALLOWED
    else:
        spelling = canonical(name)
        found = spelling, classify(spelling) | (COOKIE if name == b"cookie" else 0)
    if len(name) <= _LONGEST_REMEMBERED_BYTES:
        if len(spellings) >= _REMEMBERED_NAMES:
            spellings.clear()
        spellings[name] = found
    return found


def canonical(name: bytes) -> bytes:
    """As HTTP/1 messages spell it.

    >>> canonical(b"x-request-id")
    b'X-Request-Id'
    """
    return b"-".join([part.capitalize() for part in name.split(b"-")])


def outgoing(header: Header) -> Field | None:
    """A header of a response or trailer as its field; None if HTTP/2 has no place for it."""
    name, value = header
    try:
        known = _outgoing[name]
    except KeyError:
        known = _judge_outgoing(name)
    return None if known is None else (known[0], value, known[1])


def _judge_outgoing(name: bytes) -> tuple[bytes, bool] | None:
    lower = name.lower()
    is_passed = _LOWER_TOKEN.fullmatch(lower) and not classify(name) & (
        CONNECTION | TRANSFER_ENCODING | UPGRADE | HOP
    )
    found = (lower, lower in _NEVER_INDEXED) if is_passed else None
    if len(name) <= _LONGEST_REMEMBERED_BYTES:
        if len(_outgoing) >= _REMEMBERED_NAMES:
            _outgoing.clear()
        _outgoing[name] = found
    return found
