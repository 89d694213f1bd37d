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
