"""What PEM texts from Secrets are worth, so that a finding can say so before a client notices.

The judge is the `tls` room, with the code the workers load certificates with: what is called unusable here is
unusable there. Each text is parsed once and the verdict remembered under its digest: endpoints change all the
time, certificates rarely do, and a private key must not stay in memory here after its Secret is gone.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from tls.certificates import Certificate, CertificateError, certificates_in

Verdict = TypeVar("Verdict")

REMEMBERED: Final = 1 << 16


class PairVerdict(NamedTuple):
    """`flaw`: why no handshake can use the pair, empty if one can; the certificate's dates in Unix seconds."""

    flaw: str = ""
    not_before: float = 0.0
    not_after: float = 0.0


class Remembered(Generic[Verdict]):
    """Verdicts by digest; the one asked for longest ago is forgotten first. Owned by one thread."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def get(self, texts: tuple[str, ...], judge: Callable[[], Verdict]) -> Verdict:
        digest = _digest(texts)
        verdict = self._verdicts.get(digest)
        if verdict is None:
            verdict = self._verdicts[digest] = judge()
            if len(self._verdicts) > self._limit:
                self._verdicts.popitem(last=False)
        else:
            self._verdicts.move_to_end(digest)
        return verdict

    def __len__(self) -> int:
        return len(self._verdicts)


_pairs: Final = Remembered[PairVerdict]()
_authorities: Final = Remembered[bool]()


def judge_pair(chain: str, key: str) -> PairVerdict:
    """About 0.2 ms for a pair not seen before. The verdict never quotes the key."""
    return _pairs.get((chain, key), lambda: _judge_pair(chain, key))


def has_authority(text: str) -> bool:
    """Whether the text holds at least one certificate that can be read."""
    return _authorities.get((text,), lambda: bool(certificates_in(text.encode())))


def date_flaw(verdict: PairVerdict, now: float | None = None) -> str:
    """Why clients refuse the certificate at `now` (Unix seconds; None: at present), empty if they need not."""
    moment = time.time() if now is None else now
    if moment > verdict.not_after:
        return f"expired on {_day(verdict.not_after)}"
    if moment < verdict.not_before:
        return f"is not valid before {_day(verdict.not_before)}"
    return ""


def _judge_pair(chain: str, key: str) -> PairVerdict:
    try:
        loaded = Certificate.load(chain.encode(), key.encode())
    except CertificateError as error:
        return PairVerdict(flaw=str(error))
    return PairVerdict(not_before=loaded.not_before, not_after=loaded.not_after)


def _digest(texts: tuple[str, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
