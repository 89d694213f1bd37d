"""Sticky cookies: a client keeps what it was given once, as long as that is up.

The cookie's value is a digest of the server's URL (of the child's name where services are weighted), so it holds
over reloads, workers and machines. Values of the original's older releases are understood and rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import sha1
from typing import Final, Generic, TypeVar

from config.http import Cookie
from workers.exchange import Exchange, ResponseHead
from workers.upstream.candidate import cookie_value

T = TypeVar("T")

_OUTSIDE_TOKEN: Final = re.compile(r"[^A-Za-z0-9!#$%&'*+\-.^`|~]")
_SAME_SITE: Final = {"none": "None", "lax": "Lax", "strict": "Strict"}
_DOMAIN: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_PATH_CHARACTERS: Final = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1


class Stickiness(Generic[T]):
    """The cookie of one load balancer: finds whom a request sticks to, and says it to clients that are new."""

    __slots__ = ("_attributes", "_by_old_value", "_by_value", "_entries", "_name", "_values")

    def __init__(self, service: str, cookie: Cookie, entries: Iterable[tuple[T, str]]) -> None:
        """`service`: qualified name; `entries`: everything that may be stuck to, and the name it is known by."""
        self._name = cookie_name(service, cookie)
        self._attributes = attributes(cookie)
        self._entries = list(entries)
        self._by_value: dict[str, T] = {}
        self._by_old_value: dict[str, T] | None = None
        """Made when it is needed for the first time: it costs more than all the rest, and few clients need it."""
        self._values: dict[int, str] = {}
        for entry, name in self._entries:
            value = cookie_value(name)
            self._by_value.setdefault(value, entry)
            self._values[id(entry)] = value

    def pick(
        self, exchange: Exchange, is_usable: Callable[[T], bool], choose: Callable[[Exchange], T | None]
    ) -> T | None:
        """Whom the request sticks to if that is usable, else what `choose` says; the client is told what is new.

        Choosing may not switch to another greenlet.
        """
        value = read_cookie(exchange.request.received_values(b"cookie"), self._name)
        if value is not None:
            entry = self._by_value.get(value)
            if entry is not None:
                if is_usable(entry):
                    return entry
            else:
                entry = self._old_value(value)
                if entry is not None and is_usable(entry):
                    self._tell(exchange, entry)
                    return entry
        chosen = choose(exchange)
        if chosen is not None:
            self._tell(exchange, chosen)
        return chosen

    def _old_value(self, value: str) -> T | None:
        known = self._by_old_value
        if known is None:
            known = self._by_old_value = {}
            for entry, name in self._entries:
                for old in old_values(name):
                    known.setdefault(old, entry)
        return known.get(value)

    def _tell(self, exchange: Exchange, entry: T) -> None:
        line = f"{self._name}={self._values[id(entry)]}{self._attributes}".encode()

        def set_cookie(_: Exchange, head: ResponseHead) -> None:
            head.headers.insert(0, (b"Set-Cookie", line))

        exchange.add_hook(set_cookie)


def cookie_name(service: str, cookie: Cookie) -> str:
    """Name of the cookie: as configured, in characters that a name may have, or made from the service's name.

    >>> cookie_name("backend", Cookie())
    '_76eb3'
    >>> cookie_name("", Cookie(name="my cookie"))
    'my_cookie'
    """
    if cookie.name:
        return _OUTSIDE_TOKEN.sub("_", cookie.name)
    return "_" + sha1(f"_TRAEFIK_BACKEND_{service}".encode(), usedforsecurity=False).hexdigest()[:5]


def attributes(cookie: Cookie) -> str:
    """What follows the value in Set-Cookie (RFC 6265, section 4.1), in the original's order."""
    path = "/" if cookie.path is None else cookie.path
    parts = [f"Path={path}"] if path and _PATH_CHARACTERS.fullmatch(path) else []
    domain = cookie.domain.removeprefix(".")
    if domain and len(domain) <= 255 and _DOMAIN.fullmatch(domain):
        parts.append(f"Domain={domain}")
    if cookie.max_age:
        parts.append(f"Max-Age={max(cookie.max_age, 0)}")
    if cookie.http_only:
        parts.append("HttpOnly")
    if cookie.secure:
        parts.append("Secure")
    same_site = _SAME_SITE.get(cookie.same_site.lower())
    if same_site:
        parts.append(f"SameSite={same_site}")
    return "".join(f"; {part}" for part in parts)


def read_cookie(lines: Iterable[bytes], name: str) -> str | None:
    """Value of the first cookie of that name in the Cookie header lines (RFC 6265, section 5.4)."""
    wanted = name.encode()
    for line in lines:
        if wanted not in line:
            continue
        for part in line.split(b";"):
            key, equals, value = part.strip().partition(b"=")
            if equals and key.strip() == wanted:
                return value.strip().strip(b'"').decode("latin-1")
    return None


def old_values(name: str) -> tuple[str, str, str]:
    """What the original's older releases put into the cookie: the name itself, its FNV-1, and that one's FNV-1.

    >>> old_values("http://127.0.0.1:8081")[1:]
    ('5a1cc52f3f46040d', '7d49894b220072d2')
    """
    first = f"{_fnv1(name.encode()):x}"
    return name, first, f"{_fnv1(first.encode()):x}"


def _fnv1(data: bytes) -> int:
    state = _FNV_OFFSET
    for byte in data:
        state = (state * _FNV_PRIME & _MASK) ^ byte
    return state
