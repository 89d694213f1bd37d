"""JSON that is nested deeper than any object needs to be.

The API server takes ten thousand levels where a schema allows anything (options of plugins), and a decoder that
recurses gives up long before. One such object must cost itself and not the list that it is in, so what is too
deep is cut out and leaves a mark, by which the object is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

LARGEST_DEPTH: Final = 100
CUT: Final = b'"\\u0000 nested too deeply"'
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def decode_any_depth(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """As `decoder.decode`, of data that may be nested too deeply for it. Raises msgspec.MsgspecError."""
    try:
        return decoder.decode(data)
    except RecursionError:
        return decoder.decode(shallow(bytes(data)))


def shallow(data: bytes) -> bytes:
    """JSON text with CUT in the place of everything deeper than LARGEST_DEPTH.

    >>> shallow(b'[' * 101 + b'1' + b']' * 101).count(b'[')
    100
    """
    kept: list[bytes] = []
    depth, start = 0, 0
    for token in _TOKENS.finditer(data):
        char = data[token.start()]
        if char in b"[{":
            depth += 1
            if depth == LARGEST_DEPTH + 1:
                kept += (data[start : token.start()], CUT)
        elif char in b"]}":
            if depth == LARGEST_DEPTH + 1:
                start = token.end()
            depth -= 1
    return b"".join((*kept, data[start:])) if depth == 0 else data


def is_too_deep(plain: Any) -> bool:
    """Whether plain data is nested deeper than LARGEST_DEPTH."""
    layer = [plain]
    for _ in range(LARGEST_DEPTH + 1):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True
