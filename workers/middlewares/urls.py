"""URLs that a regular expression has made: are they any, and how are they written?

As strict and as lenient as Go's net/url, because the result is what clients are sent to: the path and the parts of
the authority are decoded and encoded anew where their spelling is not valid, the query stays byte by byte.
"""

from __future__ import annotations

import re
from typing import Final

from workers.exchange import Request
from workers.headers import MANAGED
from workers.middlewares.path_model import EscapeError, check_escapes, decoded, encoded, valid_spelling

_ORDINARY: Final = re.compile(
    rb"[a-z][a-z0-9]*://[A-Za-z0-9.\-]+(?::[0-9]*)?(?:/[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]]*)?(?:\?[!\"$-~]*)?"
)
"""URLs that are written as they are; nearly all of them."""
_CONTROL: Final = re.compile(rb"[\x00-\x20\x7f]")
_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*):")
_PORT: Final = re.compile(rb"(?::[0-9]*)?")
_USER: Final = re.compile(rb"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"\x80-\xff]|%[89A-Fa-f][0-9A-Fa-f])*")
_IN_USER: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,;="
_IN_HOST: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~!$&'()*+,;=:[]<>\""
_IN_FRAGMENT: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~!$&()*+,;=:@/?"

_SCHEMES: Final = {b"http": b"http", b"ws": b"http", b"https": b"https", b"wss": b"https"}


class URLError(ValueError):
    """The text is no URL."""


def rewritten_url(text: bytes) -> bytes:
    """The URL in `text` as it is sent to clients. Raises URLError.

    >>> rewritten_url(b"HTTP://a/b c?d e#f g")
    b'http://a/b%20c?d e#f%20g'
    """
    if _ORDINARY.fullmatch(text):
        return text
    if _CONTROL.search(text.replace(b" ", b"")):
        raise URLError("invalid control character in URL")
    rest, _, fragment = text.partition(b"#")
    scheme, rest = _scheme(rest)
    rest, query_mark, query = rest.partition(b"?")
    try:
        result = _hierarchy(scheme, rest)
        check_escapes(fragment)
    except EscapeError as error:
        raise URLError(f"invalid URL escape {error}") from None
    if query_mark:
        result += b"?" + query
    if not fragment:
        return result
    is_valid = not fragment.translate(None, _IN_FRAGMENT + b"'[]%")
    return result + b"#" + (fragment if is_valid else encoded(decoded(fragment), _IN_FRAGMENT))


def _scheme(text: bytes) -> tuple[bytes, bytes]:
    match = _SCHEME.match(text)
    if match is not None:
        return match[1].lower(), text[match.end() :]
    if text.startswith(b":"):
        raise URLError("missing protocol scheme")
    return b"", text


def _hierarchy(scheme: bytes, rest: bytes) -> bytes:
    """Everything before the query."""
    prefix = scheme + b":" if scheme else b""
    if not rest.startswith(b"/"):
        if scheme:
            return prefix + rest  # opaque, as in mailto:somebody
        if b":" in rest.partition(b"/")[0]:
            raise URLError("first path segment in URL cannot contain colon")
        return valid_spelling(rest)
    if not rest.startswith(b"//") or (not scheme and rest.startswith(b"///")):
        return prefix + valid_spelling(rest)
    authority, slash, path = rest[2:].partition(b"/")
    if not authority and not slash:
        return prefix
    return prefix + b"//" + _authority(authority) + valid_spelling(slash + path)


def _authority(text: bytes) -> bytes:
    user, at, host = text.rpartition(b"@")
    host = _host(host)
    if not at:
        return host
    if not _USER.fullmatch(user):
        raise URLError("invalid userinfo")
    name, colon, password = user.partition(b":")
    check_escapes(user)
    return encoded(decoded(name), _IN_USER) + colon + encoded(decoded(password), _IN_USER) + b"@" + host


def _host(text: bytes) -> bytes:
    if text.startswith(b"["):
        literal, bracket, port = text.rpartition(b"]")
        if not bracket:
            raise URLError("missing ']' in host")
    else:
        literal, _, port = text.partition(b":")
        port = text[len(literal) :]
    if not _PORT.fullmatch(port):
        raise URLError("invalid port")
    if not _HOST.fullmatch(text):
        raise URLError("invalid character in host name")
    return encoded(decoded(text), _IN_HOST)


def client_scheme(request: Request) -> bytes:
    """The scheme of the URL as the client sees it, if somebody who is believed says so in X-Forwarded-Proto."""
    own = b"https" if request.is_tls else b"http"
    if not (request.headers_touched or request.marks & MANAGED):
        return own  # what the entry point would add says the same
    values = request.header_values(b"x-forwarded-proto")
    return _SCHEMES.get(values[0].lower(), own) if values else own
