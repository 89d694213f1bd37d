"""Passwords against htpasswd hashes: bcrypt, MD5-crypt (`$apr1$`, `$1$`), SHA-1. The one door to both libraries.

Slow hashes are computed in the hub's threads, a few at a time; whoever finds too many waiting is refused. A pair
of hash and password that was right is remembered by a keyed digest, and pairs asked for at the same moment are
computed once. Digest parts are length-prefixed: no other pair has the same one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
from collections import OrderedDict
from functools import cache
from typing import Any, Final

import bcrypt
from gevent import get_hub
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from config.users import DEAREST_BCRYPT as DEAREST_BCRYPT  # noqa: PLC0414 - others have them from here
from config.users import bcrypt_cost as bcrypt_cost  # noqa: PLC0414
from workers.errors import Answer, Failure, ProxyError, Side

LONGEST_PASSWORD_BYTES: Final = 4096
_AT_ONCE: Final = 4
_MOST_WAITING: Final = 512
_REMEMBERED: Final = 1024
_BCRYPT_BYTES: Final = 72
_SHA: Final = "{SHA}"

BUSY: Final = Failure("passwords_busy", Side.PROXY, 503, Answer.PLAIN, b"Service Unavailable")


def matches(password: bytes, hashed: str) -> bool:
    """Is it the password of this hash? False for hashes of any other kind. Takes up to seconds: not in the hub."""
    try:
        if hashed.startswith(_SHA):
            return _matches_sha(password, hashed)
        if bcrypt_cost(hashed):
            return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode())
        return bool(_md5_crypt(hashed.startswith("$1$")).verify(password, hashed))
    except ValueError:  # no hash of this kind, or a password that it cannot have been made of
        return False


@cache
def _md5_crypt(plain: bool) -> Any:
    """The library's scheme for `$1$` or `$apr1$`; it tells its life at level DEBUG."""
    logging.getLogger("passlib").setLevel(logging.WARNING)
    from passlib.hash import apr_md5_crypt, md5_crypt

    return md5_crypt if plain else apr_md5_crypt


def _matches_sha(password: bytes, hashed: str) -> bool:
    try:
        wanted = base64.b64decode(hashed[len(_SHA) :], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(hashlib.sha1(password, usedforsecurity=False).digest(), wanted)


class PasswordChecker:
    """One for each worker, made after the fork; called from any greenlet."""

    def __init__(self) -> None:
        _md5_crypt(False)  # loaded now, and not in the midst of a request
        self._secret = os.urandom(32)
        self._slots = BoundedSemaphore(_AT_ONCE)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._running: dict[bytes, AsyncResult[bool]] = {}
        self.computed = 0
        """How many hashes were computed so far."""

    def check(self, password: bytes, hashed: str, remember: bool = True) -> bool:
        """Does the password fit? `remember` False: compute it whatever is known (nobody's password is checked).

        Raises ProxyError where too many others wait.
        """
        if len(password) > LONGEST_PASSWORD_BYTES:
            return False
        if hashed.startswith(_SHA):
            self.computed += 1
            return matches(password, hashed)
        if not remember:
            return self._compute(password, hashed)
        key = self._key(password, hashed)
        if key in self._verified:
            self._verified.move_to_end(key)
            return True
        running = self._running.get(key)
        return bool(running.get()) if running is not None else self._compute_for_all(key, password, hashed)

    def _compute_for_all(self, key: bytes, password: bytes, hashed: str) -> bool:
        """Compute it once, for those who ask meanwhile, too."""
        result: AsyncResult[bool] = AsyncResult()
        self._running[key] = result
        try:
            fits = self._compute(password, hashed)
        except BaseException as error:
            result.set_exception(error)
            raise
        finally:
            del self._running[key]
        if fits:
            self._verified[key] = None
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        result.set(fits)
        return fits

    def _compute(self, password: bytes, hashed: str) -> bool:
        if self._slots.linkcount() >= _MOST_WAITING:
            raise ProxyError(BUSY, "too many passwords wait to be checked")
        with self._slots:
            self.computed += 1
            return bool(get_hub().threadpool.apply(matches, (password, hashed)))

    def _key(self, password: bytes, hashed: str) -> bytes:
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        text = hashed.encode()
        digest.update(len(text).to_bytes(8, "little") + text + password)
        return digest.digest()


_checkers: Final[list[PasswordChecker]] = []


def checker() -> PasswordChecker:
    """The worker's one."""
    if not _checkers:
        _checkers.append(PasswordChecker())
    return _checkers[0]
