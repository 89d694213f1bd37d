"""Nonces of digest authentication: signed, so that any worker knows its own kind, and counted in common.

A nonce is eight bytes of age and chance with a keyed digest over them; nothing is stored for a challenge, so a
flood of them costs nobody anything. The last accepted count is stored in the shared cells, by whoever has shown a
right password, and outlives the nonce: a cell that vanished never lets a count pass again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import time
from enum import Enum
from typing import Final

from workers.shared import SharedState

LIFETIME_SECONDS: Final = 3600
_STAMP_BYTES: Final = 4
_CHANCE_BYTES: Final = 8
_TAG_BYTES: Final = 12
_LARGEST_COUNT: Final = (1 << 62) - 1


class Verdict(Enum):
    """Of a nonce and its count."""

    GOOD = "good"
    REPLAYED = "replayed"
    STALE = "stale"
    UNKNOWN = "unknown"


class Nonces:
    """Those of one instance, the same in every worker."""

    def __init__(self, shared: SharedState, identity: bytes) -> None:
        key = shared.identity(b"digest nonce", identity)
        self._tags = hashlib.blake2b(key=key, digest_size=_TAG_BYTES)
        self._counts = shared.words(identity, ttl_seconds=LIFETIME_SECONDS + 60)
        self.opaque = base64.b64encode(shared.identity(b"digest opaque", identity)[:12])

    def new(self) -> bytes:
        body = _now().to_bytes(_STAMP_BYTES, "big") + os.urandom(_CHANCE_BYTES)
        return base64.b64encode(body + self._tag(body))

    def use(self, nonce: bytes, count: int) -> Verdict:
        """Take this use of a nonce, once the answer to it has been found right. May raise CellsBusy.

        UNKNOWN for a nonce that is not ours, STALE for one too old. Any first count is accepted, later ones must
        grow.
        """
        body = self._body(nonce)
        if body is None:
            return Verdict.UNKNOWN
        age = _now() - int.from_bytes(body[:_STAMP_BYTES], "big")
        return self._count(body, min(count, _LARGEST_COUNT)) if 0 <= age < LIFETIME_SECONDS else Verdict.STALE

    def _count(self, body: bytes, count: int) -> Verdict:
        verdict = Verdict.GOOD

        def change(last: int | None) -> int | None:
            nonlocal verdict
            if last is not None and count <= last:
                verdict = Verdict.REPLAYED if count == last else Verdict.STALE
                return None
            return count

        self._counts.update(body, change)
        return verdict

    def _body(self, nonce: bytes) -> bytes | None:
        try:
            data = binascii.a2b_base64(nonce, strict_mode=True)
        except ValueError:
            return None
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if len(body) != _STAMP_BYTES + _CHANCE_BYTES or not hmac.compare_digest(tag, self._tag(body)):
            return None
        return body

    def _tag(self, body: bytes) -> bytes:
        digest = self._tags.copy()
        digest.update(body)
        return digest.digest()


def _now() -> int:
    """Seconds on a clock that all workers have in common."""
    return int(time.monotonic())
