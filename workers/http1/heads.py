"""The compiled half of the HTTP/1 codec (`_heads.c`), where it was built; None and a twin where it was not.

It reads and writes the common heads; what it does not read is left to the pure twin, which accepts all of them and
more. POINTSMAN_PURE=1 in the environment switches it off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from workers import headers
from workers.exchange import Header

_KINDS: Final = (
    headers.HOST,
    headers.CONTENT_LENGTH,
    headers.TRANSFER_ENCODING,
    headers.CONNECTION,
    headers.EXPECT,
    headers.UPGRADE,
    headers.HOP,
    headers.MANAGED,
    headers.UNDERSCORE,
    headers.PRAGMA,
    headers.DATE,
    headers.TRAILER,
    headers.TE,
)
Reader = Callable[..., Any]
CHUNKED: Final = -2
"""`length` of a head whose body comes in chunks."""


def _load() -> Any:
    if os.environ.get("POINTSMAN_PURE", "") not in ("", "0"):
        return None
    try:
        from workers.http1 import _heads
    except ImportError:
        return None
    return _heads if _heads.KINDS == _KINDS else None


def plain_message(first: bytes, header_lines: Sequence[Header], *rest: bytes) -> bytes:
    """The first line, the header lines, each with its line end, and what follows, as it is."""
    return b"\r\n".join([first, *map(headers.header_line, header_lines), b"".join(rest)])


_compiled = _load()
is_compiled: Final = _compiled is not None
read_request: Final[Reader | None] = _compiled.request if is_compiled else None
"""(data, kinds_by_name, classify) -> what `request` in _heads.c says, or None for the twin."""
read_response: Final[Reader | None] = _compiled.response if is_compiled else None
message: Final[Callable[..., bytes]] = _compiled.message if is_compiled else plain_message
