"""Header names and values that come from configuration: in the form in which they go out, or refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from workers.exchange import Header

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")


def is_field_value(value: bytes) -> bool:
    """May these bytes be sent as the value of a header (RFC 9110 section 5.5)?"""
    return _FIELD_VALUE.fullmatch(value) is not None


def is_field_name(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def canonical_name(name: str) -> bytes:
    """A header name as the original writes it: capitals at the start and behind each hyphen.

    >>> canonical_name("x-XSS-protection")
    b'X-Xss-Protection'
    """
    return b"-".join(part.capitalize() for part in name.encode().split(b"-"))


def one_line(value: str) -> bytes:
    """A value as it is sent: line ends become blanks, blanks around it go.

    >>> one_line(" a\\r\\nb ")
    b'a  b'
    """
    return value.replace("\r", " ").replace("\n", " ").strip(" \t").encode()


def replaced(headers: Sequence[Header], lower_names: Collection[bytes], lines: Sequence[Header]) -> list[Header]:
    """The headers without all lines of these names, then `lines`."""
    kept = [header for header in headers if header[0].lower() not in lower_names]
    kept += lines
    return kept


def value_of(headers: Sequence[Header], lower_name: bytes) -> bytes:
    """The first line's value, b"" if there is none."""
    for name, value in headers:
        if name.lower() == lower_name:
            return value
    return b""
