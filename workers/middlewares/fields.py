"""Header fields of a request or response as lists: names without regard to case, and their look-alikes.

Many servers turn `-` into `_` before they hand a header to a program, some of them whatever is no letter or digit,
so whoever decides a header's value must remove all spellings of it that come to the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from workers.exchange import Header

_ALIKE: Final = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() and byte < 128 else 45 for byte in range(256))


def values(headers: Iterable[Header], lower_name: bytes) -> list[bytes]:
    """Values of all lines of one header, in order."""
    return [value for name, value in headers if name.lower() == lower_name]


def first(headers: Iterable[Header], lower_name: bytes) -> bytes:
    """Value of the first line, b"" if there is none."""
    for name, value in headers:
        if name.lower() == lower_name:
            return value
    return b""


def remove(headers: list[Header], lower_names: Collection[bytes]) -> None:
    """Take these out, in place."""
    headers[:] = [header for header in headers if header[0].lower() not in lower_names]


def look_alike(name: bytes) -> bytes:
    """What two spellings of a name have in common: lower case, with `-` for all that is no letter or digit.

    >>> look_alike(b"X_Auth.User")
    b'x-auth-user'
    """
    return name.translate(_ALIKE)


def remove_alike(headers: list[Header], alike: Collection[bytes]) -> None:
    """Take out every header whose `look_alike` is among these, in place."""
    headers[:] = [header for header in headers if look_alike(header[0]) not in alike]


def canonical(name: bytes) -> bytes:
    """The usual spelling, `X-Forwarded-For`."""
    return b"-".join(part.capitalize() for part in name.split(b"-"))
