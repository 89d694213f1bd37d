"""Reason phrases as the original writes them, where they are bodies or decide whether a status is one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

_DIFFERENT: Final = {
    413: b"Request Entity Too Large",
    414: b"Request URI Too Long",
    416: b"Requested Range Not Satisfiable",
    418: b"I'm a teapot",
    422: b"Unprocessable Entity",
}
_PHRASES: Final = {one.value: one.phrase.encode() for one in HTTPStatus} | _DIFFERENT


def reason_phrase(status: int) -> bytes:
    """The phrase of a registered status, b"" of any other.

    >>> reason_phrase(413), reason_phrase(599)
    (b'Request Entity Too Large', b'')
    """
    return _PHRASES.get(status, b"")
