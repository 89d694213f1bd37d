"""The media type of a body from its first bytes: the table of the MIME Sniffing standard, as Go reads it.

(https://mimesniff.spec.whatwg.org, sections 6 and 7.) Text is whatever has no binary control character.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

SNIFFED_BYTES: Final = 512
"""So much of a body is looked at."""

_BLANKS: Final = b"\t\n\x0c\r "
_HTML: Final = b"text/html; charset=utf-8"
_TEXT: Final = b"text/plain; charset=utf-8"
_BINARY: Final = b"application/octet-stream"
_TAGS: Final = re.compile(
    rb"<(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|!--)[ >]",
    re.IGNORECASE,
)
_BINARY_BYTES: Final = bytes(byte for byte in range(0x20) if byte not in b"\t\n\x0c\r\x1b")


class _Start(NamedTuple):
    """Bytes at the start of a body; those where `mask` is 0 do not matter."""

    pattern: bytes
    media_type: bytes
    mask: bytes = b""

    def matches(self, data: bytes) -> bool:
        if not self.mask:
            return data.startswith(self.pattern)
        start = data[: len(self.mask)]
        return len(start) == len(self.mask) and bytes(map(int.__and__, start, self.mask)) == self.pattern


_RIFF_MASK: Final = b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff"
_BEFORE_TEXT: Final = (
    _Start(b"%PDF-", b"application/pdf"),
    _Start(b"%!PS-Adobe-", b"application/postscript"),
    _Start(b"\xfe\xff\0\0", b"text/plain; charset=utf-16be", b"\xff\xff\0\0"),
    _Start(b"\xff\xfe\0\0", b"text/plain; charset=utf-16le", b"\xff\xff\0\0"),
    _Start(b"\xef\xbb\xbf\0", _TEXT, b"\xff\xff\xff\0"),
    _Start(b"\0\0\1\0", b"image/x-icon"),
    _Start(b"\0\0\2\0", b"image/x-icon"),
    _Start(b"BM", b"image/bmp"),
    _Start(b"GIF87a", b"image/gif"),
    _Start(b"GIF89a", b"image/gif"),
    _Start(b"RIFF\0\0\0\0WEBPVP", b"image/webp", _RIFF_MASK + b"\xff\xff"),
    _Start(b"\x89PNG\r\n\x1a\n", b"image/png"),
    _Start(b"\xff\xd8\xff", b"image/jpeg"),
    _Start(b"FORM\0\0\0\0AIFF", b"audio/aiff", _RIFF_MASK),
    _Start(b"ID3", b"audio/mpeg"),
    _Start(b"OggS\0", b"application/ogg"),
    _Start(b"MThd\0\0\0\6", b"audio/midi"),
    _Start(b"RIFF\0\0\0\0AVI ", b"video/avi", _RIFF_MASK),
    _Start(b"RIFF\0\0\0\0WAVE", b"audio/wave", _RIFF_MASK),
)
_BEFORE_TEXT_TOO: Final = (
    _Start(b"\x1aE\xdf\xa3", b"video/webm"),
    _Start(b"\0" * 34 + b"LP", b"application/vnd.ms-fontobject", b"\0" * 34 + b"\xff\xff"),
    _Start(b"\0\1\0\0", b"font/ttf"),
    _Start(b"OTTO", b"font/otf"),
    _Start(b"ttcf", b"font/collection"),
    _Start(b"wOFF", b"font/woff"),
    _Start(b"wOF2", b"font/woff2"),
    _Start(b"\x1f\x8b\x08", b"application/x-gzip"),
    _Start(b"PK\3\4", b"application/zip"),
    _Start(b"Rar!\x1a\7\0", b"application/x-rar-compressed"),
    _Start(b"Rar!\x1a\7\1\0", b"application/x-rar-compressed"),
    _Start(b"\0asm", b"application/wasm"),
)


def media_type_of(data: bytes) -> bytes:
    """Content-Type for a body that begins with `data`.

    >>> media_type_of(b"  <html>"), media_type_of(b"{}")
    (b'text/html; charset=utf-8', b'text/plain; charset=utf-8')
    """
    data = data[:SNIFFED_BYTES]
    text = data.lstrip(_BLANKS)
    if _TAGS.match(text):
        return _HTML
    if text.startswith(b"<?xml"):
        return b"text/xml; charset=utf-8"
    for start in _BEFORE_TEXT:
        if start.matches(data):
            return start.media_type
    if _is_mp4(data):
        return b"video/mp4"
    for start in _BEFORE_TEXT_TOO:
        if start.matches(data):
            return start.media_type
    return _BINARY if len(data.translate(None, _BINARY_BYTES)) < len(data) else _TEXT


def _is_mp4(data: bytes) -> bool:
    """Section 6.2.1: a box `ftyp` with a brand that begins with `mp4`."""
    if len(data) < 12:
        return False
    size = int.from_bytes(data[:4], "big")
    if len(data) < size or size % 4 or data[4:8] != b"ftyp":
        return False
    return any(data[at : at + 3] == b"mp4" for at in range(8, size, 4) if at != 12)
