"""Names and values of headers as configuration writes them: may they be sent, and in which form."""

from __future__ import annotations

import re
from typing import Final

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
