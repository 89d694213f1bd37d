"""Percent escapes of a whole path at once, for paths with so many of them that a loop would keep a worker busy.

A path may be a megabyte, each byte of it escaped. Here it is taken apart and put together by operations on all
bytes together: quoted-printable is the same notation but for its sign and is decoded in C, `translate` looks up, a
number as long as the path is a vector of bytes for `&` and `^`.

Two bytes serve as marks, `?` and `#`: neither can be in a path without an escape, and their escapes are never
decoded.
"""

from __future__ import annotations

from binascii import a2b_qp
from collections.abc import Collection
from typing import Final

_HIGH: Final = bytes(b"0123456789ABCDEF"[byte >> 4] for byte in range(256))
_LOW: Final = bytes(b"0123456789ABCDEF"[byte & 15] for byte in range(256))
_NEXT_DIGIT: Final = bytes.maketrans(b"0123456789ABCDEFabcdef", b"1032547698BADCFEbadcfe")
"""Each hex digit to the one whose value differs in the last bit."""
_IS_ESCAPE: Final = bytes(255 if byte == 0x11 else 0 for byte in range(256))
_EQUALS_SIGN_BACK: Final = bytes.maketrans(b"?", b"=")


def table_of(members: Collection[int]) -> bytes:
    """For `respelled`: what it is to do with which bytes."""
    return bytes(255 if byte in members else 0 for byte in range(256))


NOTHING: Final = table_of(())


def respelled(path: bytes, kept: bytes, added: bytes = NOTHING) -> bytes | None:
    """Each escape decoded, or written in upper-case digits if its byte is in `kept`; None if one is broken.

    Bytes in `added` that stand for themselves are escaped, too. `path` has no `?`, `#`, CR and LF, `kept` has.
    """
    text = path.replace(b"=", b"?").replace(b"%", b"=")
    data = a2b_qp(text)
    size = len(data)
    if size != len(path) - 2 * path.count(b"%"):
        return None
    # With every digit changed in its last bit, an escape's byte changes by 0x11, and no other byte does.
    twin = a2b_qp(text.translate(_NEXT_DIGIT))
    changes = int.from_bytes(data, "big") ^ int.from_bytes(twin, "big")
    is_escape = int.from_bytes(changes.to_bytes(size, "big").translate(_IS_ESCAPE), "big")
    chosen = is_escape & int.from_bytes(data.translate(kept), "big")
    if added is not NOTHING:
        chosen |= int.from_bytes(data.translate(added), "big")
    return _with_escapes(data, chosen)


def _with_escapes(data: bytes, chosen: int) -> bytes:
    """An escape for each byte whose bits are set in `chosen`: three cells a byte, unused ones are removed."""
    size = len(data)
    unused = b"#" * size
    cells = bytearray(3 * size)
    cells[0::3] = _selected(chosen, b"%" * size, data)
    cells[1::3] = _selected(chosen, data.translate(_HIGH), unused)
    cells[2::3] = _selected(chosen, data.translate(_LOW), unused)
    return bytes(cells.translate(_EQUALS_SIGN_BACK, b"#"))


def _selected(chosen: int, these: bytes, others: bytes) -> bytes:
    """Of `these` what is chosen, the rest of `others`."""
    other = int.from_bytes(others, "big")
    return (other ^ ((int.from_bytes(these, "big") ^ other) & chosen)).to_bytes(len(these), "big")
