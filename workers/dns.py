"""DNS messages as far as one question needs them: what a name is an alias of (RFC 1035 section 4).

A message is bytes from the network that anybody may have sent: everything is checked, nothing is followed without
an end, and a name with characters that no host name has is no answer.
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

LARGEST_BYTES: Final = 4096
_HEADER: Final = struct.Struct(">6H")
_RECORD: Final = struct.Struct(">HHIH")
_IS_RESPONSE, _RECURSE, _CODE = 0x8000, 0x0100, 0x000F
_NO_ERROR, _NO_SUCH_NAME = 0, 3
_CNAME, _INTERNET = 5, 1
_POINTER: Final = 0xC0
_LONGEST_NAME_BYTES: Final = 253
_LONGEST_LABEL_BYTES: Final = 63
_MOST_POINTERS: Final = 32
_LABEL: Final = re.compile(rb"[a-z0-9_-]+")
_LARGEST_TTL: Final = 0x7FFFFFFF


class DNSError(Exception):
    """No answer that can be used; the message is fit for a log line."""


class Alias(NamedTuple):
    """`name`, lower case without a dot at the end, is what was asked for an alias of."""

    name: bytes
    ttl_seconds: int


def question(number: int, name: bytes) -> bytes:
    """The message that asks for the CNAME of `name`, absolute. Raises DNSError for what is no host name."""
    if not 0 < len(name) <= _LONGEST_NAME_BYTES:
        raise DNSError("a host name has 1 to 253 bytes")
    return _HEADER.pack(number, _RECURSE, 1, 0, 0, 0) + _encoded(name) + struct.pack(">HH", _CNAME, _INTERNET)


def _encoded(name: bytes) -> bytes:
    pieces = []
    for label in name.lower().split(b"."):
        if len(label) > _LONGEST_LABEL_BYTES or not _LABEL.fullmatch(label):
            raise DNSError("no host name")
        pieces.append(bytes([len(label)]) + label)
    return b"".join([*pieces, b"\0"])


def is_answer(data: bytes, asked: bytes) -> bool:
    """Does `data` answer the message `asked`: same number, same question? Anything else may be forged."""
    if len(data) < len(asked):
        return False
    number, flags, questions = _HEADER.unpack_from(data)[:3]
    same = number == _HEADER.unpack_from(asked)[0] and questions == 1
    return bool(flags & _IS_RESPONSE) and same and data[12 : len(asked)].lower() == asked[12:]


def alias_in(data: bytes, asked: bytes) -> Alias | None:
    """What the answer `data` says; None if there is no such alias. Raises DNSError."""
    _, flags, _, answers, _, _ = _HEADER.unpack_from(data)
    code = flags & _CODE
    if code not in (_NO_ERROR, _NO_SUCH_NAME):
        raise DNSError(f"response code {code}")
    if not answers:
        return None
    try:
        owner, at = _name(data, len(asked))
        kind, place, ttl, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + size > len(data):
            raise DNSError("cut")
        if kind != _CNAME or place != _INTERNET or owner != _name(asked, 12)[0]:
            raise DNSError("the answer is about something else")
        name, end = _name(data, at)
    except (struct.error, IndexError) as error:
        raise DNSError("cut") from error
    if end != at + size or not name:
        raise DNSError("malformed")
    return Alias(name, ttl if ttl <= _LARGEST_TTL else 0)


def _name(data: bytes, at: int) -> tuple[bytes, int]:
    """The name at `at`, and what is behind it; pointers lead backwards (section 4.1.4)."""
    labels, end, pointers, total = [], -1, 0, 0
    while size := data[at]:
        if size & _POINTER == _POINTER:
            target = (size & ~_POINTER) << 8 | data[at + 1]
            pointers += 1
            if target >= at or pointers > _MOST_POINTERS:
                raise DNSError("a pointer that leads nowhere")
            end = at + 2 if end < 0 else end
            at = target
            continue
        label = data[at + 1 : at + 1 + size].lower()
        total += size + 1
        if size & _POINTER or total > _LONGEST_NAME_BYTES + 1 or not _LABEL.fullmatch(label) or len(label) != size:
            raise DNSError("a name that no host has")
        labels.append(label)
        at += size + 1
    return b".".join(labels), at + 1 if end < 0 else end
