"""One path for all that rewrite it: escaped, as the client spelled it, never decoded and spelled anew.

A request's path is kept escaped alone. Where a middleware speaks of the decoded path (prefixes, mostly), it is
decoded for the comparison, and what is cut off is cut off the escaped one. An escape of the client's thus reaches
the server as it is, and no rewriting can turn `%2F` into a slash that neither router nor check has seen.

Paths here hold whole escapes only and no bytes that do not belong into a URL: the entry point sees to that, and
`respelled` for what configuration puts in their place.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from typing import Final

from workers.errors import Answer, Failure, Side
from workers.exchange import Request
from workers.http1.target import sanitize_path

_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,/:;=@"
"""What `encoded` leaves alone."""
_VALID: Final = _PLAIN + b"!'()*[]%"
"""What a path may be spelled with."""
_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")

UNCLEAN_PATH: Final = Failure("unclean_path", Side.CLIENT, 400, Answer.TEXT, b"Bad Request\n")
"""What is left of the path has segments that would be resolved to another path."""


class EscapeError(ValueError):
    """The text has a broken escape; `part` is the place, as told to the client."""

    def __init__(self, part: bytes) -> None:
        super().__init__(part.decode("utf-8", "replace"))
        self.part = part

    @property
    def failure(self) -> Failure:
        text = "".join(map(_quoted, self.part.decode("utf-8", "surrogateescape")))
        return Failure("broken_escape", Side.PROXY, 500, Answer.TEXT, f'invalid URL escape "{text}"\n'.encode())


_QUOTED: Final = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _quoted(character: str) -> str:
    """As Go writes it between quotes; bytes that are no UTF-8 come as surrogates."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return _QUOTED.get(character) or (character if character.isprintable() else f"\\u{ord(character):04x}")


def decoded(path: bytes) -> bytes:
    """The path without escapes, all of which must be whole.

    Quoted-printable is the same but for the sign, and decoded in C: a path may be a megabyte of escapes.
    """
    return a2b_qp(path.replace(b"=", b"=3D").replace(b"%", b"=")) if b"%" in path else path


def encoded(path: bytes, plain: bytes = _PLAIN) -> bytes:
    """A decoded path in its default spelling; or any text, with escapes for all bytes but `plain`.

    >>> encoded(b"/a b%2F!")
    b'/a%20b%252F%21'
    """
    strange = path.translate(None, plain)
    if not strange:
        return path
    path = path.replace(b"%", b"%25")
    for byte in set(strange) - {37}:
        path = path.replace(bytes((byte,)), b"%%%02X" % byte)
    return path


def valid_spelling(text: bytes) -> bytes:
    """`text` if it is a valid spelling of a path, else decoded and encoded. Raises EscapeError."""
    check_escapes(text)
    return encoded(decoded(text)) if text.translate(None, _VALID) else text


def respelled(text: bytes) -> bytes:
    """A path written by somebody else, in a valid spelling.

    >>> respelled(b"/a%2fb"), respelled(b"/a b?%20"), respelled(b"../a")
    (b'/a%2fb', b'/a%20b%3F%20', b'/../a')

    It begins with a slash, as a target has to (RFC 9112 section 3.2.1), or is empty. Raises EscapeError.
    """
    path = valid_spelling(text)
    return path if path.startswith(b"/") or not path else b"/" + path


def has_whole_escapes(text: bytes) -> bool:
    return _BROKEN.search(text) is None


def check_escapes(text: bytes) -> None:
    """Raise EscapeError at the first `%` without two hex digits behind it."""
    broken = _BROKEN.search(text)
    if broken is not None:
        raise EscapeError(text[broken.start() : broken.start() + 3])


def without_start(path: bytes, count: int) -> bytes:
    """The escaped path behind its first `count` decoded bytes.

    >>> without_start(b"/%61pi/x%2Fy", 4)
    b'/x%2Fy'
    """
    if b"%" not in path:
        return path[count:]
    position = 0
    while count > 0:
        escape = path.find(b"%", position)
        if escape < 0 or escape - position >= count:
            return path[position + count :]
        count -= escape - position + 1
        position = escape + 3
    return path[position:]


def is_clean(path: bytes) -> bool:
    """Is the path free of `.`, `..` and empty segments? Escaped dots and slashes are text."""
    return (b"//" not in path and b"/." not in path) or sanitize_path(path) == path


def rewrite(request: Request, path: bytes) -> None:
    """Give the request another escaped path; the query stays. An empty one is sent as `/`."""
    request.path = path
    target = path or b"/"
    request.target = target + b"?" + request.query if request.has_query else target
