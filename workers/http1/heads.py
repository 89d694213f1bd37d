"""The compiled half of the HTTP/1 codec (`_heads.c`), where it was built; None and a twin where it was not.

It reads and writes the common heads; what it does not read is left to the twins, which accept all of that and
more. POINTSMAN_PURE=1 in the environment switches it off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

Reader = Callable[..., Any]
"""(data, kinds by name, what finds other kinds) -> the parts of a head (see _heads.c), None for the twin."""
CHUNKED: Final = -2
"""The length of a body that comes in chunks."""


def _load() -> Any:
    if os.environ.get("POINTSMAN_PURE", "") not in ("", "0"):
        return None
    try:
        from workers.http1 import _heads
    except ImportError:
        return None
    return _heads


_compiled = _load()
is_compiled: Final = _compiled is not None


def reader(name: str, kinds: Sequence[int]) -> Reader | None:
    """`request` or `response`; None where there is none, or one built with other `kinds` than headers.py has."""
    if _compiled is None or tuple(kinds) != _compiled.KINDS:
        return None
    found: Reader = getattr(_compiled, name)
    return found


def plain_message(first: bytes, headers: Sequence[tuple[bytes, bytes]], *rest: bytes) -> bytes:
    """The first line, the header lines, each with its line end, and what follows, as it is."""
    return b"\r\n".join([first, *map(b": ".join, headers), b"".join(rest)])


message: Final[Callable[..., bytes]] = _compiled.message if is_compiled else plain_message
