"""Digest authentication (RFC 7616, MD5 with qop=auth) against htdigest lines.

A name that nobody has is refused whatever it answers, after the same computation.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from config.middlewares_auth import DigestAuth
from workers.errors import Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler, Request
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.basic_auth import DEFAULT_REALM, header_name, note_user, pass_on, unauthorized
from workers.middlewares.nonces import Nonces, Verdict
from workers.middlewares.path_model import decoded, has_whole_escapes
from workers.middlewares.values import one_line
from workers.shared import CellsBusy

_PARAMETERS: Final = re.compile(
    rb'\s*+([^=\s",]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^\s",]*+))\s*+(?:,|\Z)|((?s:.+))'
)
"""One after the other; where there is none, all the rest is the last group's."""
_ESCAPED: Final = re.compile(rb"\\(.)")
_LONGEST_BYTES: Final = 16384
_COUNT: Final = re.compile(rb"[0-9a-fA-F]{1,16}")
_BUSY: Final = Failure("nonces_busy", Side.PROXY, 503, Answer.PLAIN, b"Service Unavailable")


def digest_auth(options: DigestAuth, context: Context) -> Wrap:
    realm = (options.realm or DEFAULT_REALM).encode()
    header = header_name(options.header_field)
    shared = context.surroundings.shared
    if shared is None:
        raise BuildError("digestAuth: there are no cells to count the uses of nonces in")
    check = _Check(realm, _parsed(options.users), Nonces(shared, context.identity(options)))

    def wrap(inner: Handler) -> Handler:
        def handler(exchange: Exchange) -> None:
            name, verdict = check.judge(exchange.request)
            note_user(exchange, name)
            if verdict is not Verdict.GOOD:
                unauthorized(exchange, check.challenge(verdict is Verdict.STALE))
                return
            pass_on(exchange.request, header, name, options.remove_header)
            inner(exchange)

        return handler

    return wrap


class _Check:
    def __init__(self, realm: bytes, users: Mapping[tuple[bytes, bytes], bytes], nonces: Nonces) -> None:
        self._realm = realm
        self._shown_realm = one_line(realm.decode())
        self._users = users
        self._nonces = nonces
        self._nobody = hashlib.md5(nonces.opaque, usedforsecurity=False).hexdigest().encode()

    def challenge(self, stale: bool) -> bytes:
        return b'Digest realm="%b", nonce="%b", opaque="%b", %balgorithm="MD5", qop="auth"' % (
            self._shown_realm,
            self._nonces.new(),
            self._nonces.opaque,
            b'stale="true", ' if stale else b"",
        )

    def judge(self, request: Request) -> tuple[bytes, Verdict]:
        """The user's name and whether the answer is right and new."""
        values = request.received_values(b"authorization")
        given = parameters(values[0]) if values else {}
        name = given.get(b"username", b"")
        nonce, count = given.get(b"nonce", b""), given.get(b"nc", b"")
        if not self._is_well_formed(given, request) or not _COUNT.fullmatch(count):
            return name, Verdict.UNKNOWN
        known = self._users.get((self._realm, name))
        wanted = _response(known or self._nobody, request.method, given)
        if not hmac.compare_digest(given.get(b"response", b""), wanted) or known is None:
            return name, Verdict.UNKNOWN
        try:
            return name, self._nonces.use(nonce, int(count, 16))
        except CellsBusy as error:
            raise ProxyError(_BUSY, "the cells of nonces are locked") from error

    def _is_well_formed(self, given: Mapping[bytes, bytes], request: Request) -> bool:
        """All that can be said without the password."""
        return (
            hmac.compare_digest(given.get(b"opaque", b""), self._nonces.opaque)
            and given.get(b"algorithm", b"MD5") == b"MD5"
            and given.get(b"qop") == b"auth"
            and _is_uri_of(given.get(b"uri", b""), request)
        )


def _is_uri_of(uri: bytes, request: Request) -> bool:
    """The target itself; or one whose path the request's begins with, as some clients write it.

    Paths are compared decoded: the entry point may have spelled the request's anew.
    """
    if uri == request.target:
        return bool(uri)
    path = uri.partition(b"?")[0]
    return path.startswith(b"/") and has_whole_escapes(path) and decoded(request.path).startswith(decoded(path))


def _response(secret: bytes, method: bytes, given: Mapping[bytes, bytes]) -> bytes:
    """What the client has to say (RFC 7616, section 3.4.1); `secret` is the user's hash."""
    what = _md5(b":".join((method, given[b"uri"])))
    rest = (given.get(b"nonce", b""), given.get(b"nc", b""), given.get(b"cnonce", b""), given[b"qop"])
    return _md5(b":".join((secret, *rest, what)))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def parameters(value: bytes) -> dict[bytes, bytes]:
    """Those of a Digest header, names in lower case; empty for another scheme or what cannot be read."""
    scheme, _, text = value.partition(b" ")
    if scheme != b"Digest" or len(text) > _LONGEST_BYTES:
        return {}
    found: list[tuple[bytes, bytes, bytes, bytes]] = _PARAMETERS.findall(text)
    if not found or found[-1][3]:
        return {}
    if b"\\" in text:
        return {name.lower(): _ESCAPED.sub(rb"\1", quoted) or token for name, quoted, token, _ in found}
    return {name.lower(): quoted or token for name, quoted, token, _ in found}


def _parsed(lines: list[str]) -> dict[tuple[bytes, bytes], bytes]:
    users = {}
    for place, line in enumerate(lines):
        parts = line.split(":")
        if len(parts) != 3:
            raise BuildError(f"error parsing DigestUser: users[{place}] is not of the form name:realm:hash")
        name, realm, hashed = parts
        users[realm.encode(), name.encode()] = hashed.encode()
    return users
