"""Basic authentication (RFC 7617) against htpasswd lines.

A name that nobody has costs the work of a name that somebody has: the hash of one of the users is computed for
it, always the same one for the same name, so that time tells nothing in whatever way the hashes differ in cost.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from config.middlewares_auth import BasicAuth
from workers.errors import CLIENT_GONE, ProxyError
from workers.exchange import Exchange, Handler, Request
from workers.middlewares import fields
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.passwords import DEAREST_BCRYPT, bcrypt_cost, checker
from workers.middlewares.values import is_field_name, one_line

DEFAULT_REALM: Final = "traefik"
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_AUTHORIZATION: Final = b"authorization"
_BODY: Final = b"401 Unauthorized\n"


def basic_auth(options: BasicAuth, context: Context) -> Wrap:
    users = Users(_parsed(options.users))
    challenge = b'Basic realm="%b"' % one_line(options.realm or DEFAULT_REALM)
    header = header_name(options.header_field)

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            request = exchange.request
            name, password = credentials(request)
            note_user(exchange, name or b"")
            if not users.accept(name, password):
                unauthorized(exchange, challenge)
                return
            if exchange.client_gone:
                raise ProxyError(CLIENT_GONE)
            assert name is not None
            pass_on(request, header, name, options.remove_header)
            inner(exchange)

        return handler

    return wrap


def header_name(text: str) -> bytes:
    """A `headerField` as it is sent; empty for none. Raises BuildError."""
    if text and not is_field_name(text):
        raise BuildError(f"headerField: {text!r} is no name of a header; write one such as X-WebAuth-User")
    return text.encode()


def note_user(exchange: Exchange, name: bytes) -> None:
    """For the access log: whom the client calls itself, right or wrong."""
    if exchange.note is not None and name:
        exchange.note.user = name.decode("utf-8", "replace")


def unauthorized(exchange: Exchange, challenge: bytes) -> None:
    """The answer that asks for credentials."""
    exchange.respond(401, [(b"Content-Type", b"text/plain"), (b"WWW-Authenticate", challenge)], _BODY)


def pass_on(request: Request, header: bytes, name: bytes, remove: bool) -> None:
    """Tell the server who it is, under the name `header` if there is one; take the credentials out if asked."""
    if header:
        fields.remove_alike(request.headers, (fields.look_alike(header),))
        request.headers.append((header, name))
    if remove:
        request.replace_headers((_AUTHORIZATION,), ())


def credentials(request: Request) -> tuple[bytes | None, bytes]:
    """Name and password of the first Authorization line; no name where it holds none of this scheme."""
    values = request.received_values(_AUTHORIZATION)
    scheme, _, encoded = (values[0] if values else b"").partition(b" ")
    if scheme.lower() != b"basic" or not _BASE64.fullmatch(encoded):
        return None, b""
    name, colon, password = base64.b64decode(encoded).partition(b":")
    if not colon or not _is_value(name):
        return None, b""
    return name, password


def _is_value(name: bytes) -> bool:
    """Could it stand in a header?"""
    return not any((byte < 32 and byte != 9) or byte == 127 for byte in name)


class Users:
    """Names and their hashes."""

    def __init__(self, hashes: dict[bytes, str]) -> None:
        self._hashes = hashes
        self._all = list(hashes.values())
        self._secret = hashlib.blake2b("\n".join(self._all).encode(), digest_size=32).digest()
        self._checker = checker()

    def accept(self, name: bytes | None, password: bytes) -> bool:
        """Is this the user's password? Waits for slow hashes. Raises ProxyError where too many others wait."""
        if name is None:
            return False
        hashed = self._hashes.get(name)
        if hashed is not None:
            return self._checker.check(password, hashed)
        self._checker.check(password, self._stand_in(name), remember=False)
        return False

    def _stand_in(self, name: bytes) -> str:
        digest = hashlib.blake2b(name, key=self._secret, digest_size=8).digest()
        return self._all[int.from_bytes(digest, "big") % len(self._all)]


def _parsed(lines: list[str]) -> dict[bytes, str]:
    users: dict[bytes, str] = {}
    for place, line in enumerate(lines):
        name, colon, hashed = line.partition(":")
        if not colon or ":" in hashed:
            raise BuildError(f"error parsing BasicUser: users[{place}] is not of the form name:hash")
        if bcrypt_cost(hashed) > DEAREST_BCRYPT:
            raise BuildError(
                f'users[{place}]: the bcrypt cost of "{name}" is {bcrypt_cost(hashed)}, which would take longer '
                f"than a request may; make the hash anew with a cost of {DEAREST_BCRYPT} or less"
            )
        users[name.encode()] = hashed
    if not users:
        raise BuildError("no users found in the configuration")
    return users
