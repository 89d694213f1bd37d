"""What is known of servers' health: one board for all workers of a machine.

Whoever learns something (the one worker that probes, any worker whose request failed) writes it into a shared
word and moves the board's epoch on, with a note of which service it was; every worker looks at the epoch once a
tick and reads the words of the services that were noted since. A word that nobody has confirmed for a while
expires, and its server counts as up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from workers.shared import CellsBusy, SharedState
from workers.shared_words import Words
from workers.timers import TimerWheel

_EPOCH: Final = b"epoch"
_NOTES: Final = 1024
"""So many of the latest changes can be told apart; who missed more reads everything."""
_LONG_SECONDS: Final = 7 * 24 * 3600
_UP: Final = 1
_DOWN: Final = 2
_MASK: Final = 0x7FFF_FFFF


class Watched(Protocol):
    """A load balancer whose servers' health is kept on the board."""

    @property
    def key(self) -> int:
        """31 bits that stand for the service and its checks; see `Ledger.key`."""
        ...

    def refresh(self) -> bool:
        """Read the board and make `is_up` of every candidate true to it; False if some could not be read."""
        ...

    def revive(self) -> bool:
        """Let those back in whose time is over; are there others that wait for that?"""
        ...


def milliseconds() -> int:
    """CLOCK_MONOTONIC, common to all workers."""
    return time.monotonic_ns() // 1_000_000


class HealthBoard:
    """One worker's view. Any greenlet; a busy cell leaves things as they are until the next tick."""

    def __init__(self, shared: SharedState, wheel: TimerWheel, may_probe: Callable[[], bool]) -> None:
        """`may_probe`: is this the worker that asks servers, at the moment? Exactly one should be."""
        self.may_probe = may_probe
        self.shared = shared
        self._wheel = wheel
        self._epochs = shared.words(shared.identity("health board"), ttl_seconds=_LONG_SECONDS)
        self._seen: int | None = None
        self._watched: dict[int, set[Watched]] = {}
        self._stale: set[Watched] = set()
        """Whose words have to be read (again)."""
        self._shunning: set[Watched] = set()
        """Who has servers that come back by themselves."""

    def watch(self, watched: Watched) -> None:
        """Keep `watched` true to the board until `forget`, from now on."""
        if not self._watched:
            self._wheel.acquire()
            self._wheel.every_tick(self.look)
        self._watched.setdefault(watched.key, set()).add(watched)
        self.refresh(watched)

    def forget(self, watched: Watched) -> None:
        """May be called for one that is not watched."""
        alike = self._watched.get(watched.key, set())
        if watched not in alike:
            return
        alike.discard(watched)
        self._stale.discard(watched)
        self._shunning.discard(watched)
        if not alike:
            del self._watched[watched.key]
        if not self._watched:
            self._wheel.forget_hook(self.look)
            self._wheel.release()

    def refresh(self, watched: Watched) -> None:
        """Make one true to the board now; nothing is remembered of one that is not watched."""
        if watched not in self._watched.get(watched.key, ()):
            return
        if watched.refresh():
            self._stale.discard(watched)
        else:
            self._stale.add(watched)
        if watched.revive():
            self._shunning.add(watched)

    def look(self) -> None:
        """For the wheel: has anybody learned something, is anybody's time over?"""
        with suppress(CellsBusy):  # the next tick sees the same
            self._find_stale()
        for watched in list(self._stale):
            self.refresh(watched)
        for watched in list(self._shunning):
            if not watched.revive():
                self._shunning.discard(watched)

    def _find_stale(self) -> None:
        epoch = read_word(self._epochs, _EPOCH) or 0
        if epoch == self._seen:
            return
        missed = (epoch - self._seen) & _MASK if self._seen is not None else _NOTES + 1
        keys = self._noted(epoch, missed) if missed <= _NOTES else None
        for key in self._watched if keys is None else keys:
            self._stale |= self._watched.get(key, set())
        self._seen = epoch

    def _noted(self, epoch: int, count: int) -> set[int] | None:
        """Who the latest `count` changes were about; None if that cannot be said."""
        keys = set()
        for number in range(epoch - count + 1, epoch + 1):
            note = read_word(self._epochs, _note(number & _MASK)) or 0
            if note >> 32 != number & _MASK:  # not written yet, or never (its writer was killed), or overwritten
                return None
            keys.add(note & _MASK)
        return keys

    def moved(self, key: int) -> None:
        """Something was written about `key`: let all workers know."""
        epoch = self._epochs.update(_EPOCH, lambda epoch: ((epoch or 0) + 1) & _MASK) or 0
        self._epochs.update(_note(epoch), lambda _: epoch << 32 | key)
        self.look()


def _note(epoch: int) -> bytes:
    return b"%d" % (epoch % _NOTES)


def read_word(words: Words, source: bytes) -> int | None:
    """The value as it is, None if there is none. Raises CellsBusy."""
    found: list[int | None] = []

    def keep(value: int | None) -> None:
        found.append(value)

    words.update(source, keep)
    return found[0]


class Ledger:
    """The words of one service's servers by URL: the last check's verdict, and until when one is shunned."""

    __slots__ = ("_board", "_shunned", "_verdicts", "key")

    def __init__(self, board: HealthBoard, service: str, ttl_seconds: int) -> None:
        """`ttl_seconds`: how long a verdict holds that nobody repeats."""
        shared = board.shared
        self._board = board
        identity = shared.identity("health", service)
        self.key = int.from_bytes(identity[:4], "little") & _MASK
        """Stands for the service on the board; two with the same one only read more often than needed."""
        self._verdicts = shared.words(identity, ttl_seconds=ttl_seconds)
        self._shunned = shared.words(shared.identity("shunned", service), ttl_seconds=ttl_seconds)

    def passed(self, url: str) -> bool:
        """The last check's verdict; True where there is none."""
        return read_word(self._verdicts, url.encode()) != _DOWN

    def write(self, url: str, passed: bool) -> None:
        """Write a verdict; the board moves if it is another one, or if the one before has expired unnoticed."""
        before: list[int | None] = []
        verdict = _UP if passed else _DOWN

        def replace(value: int | None) -> int:
            before.append(value)
            return verdict

        self._verdicts.update(url.encode(), replace)
        if before[0] != verdict:
            self._board.moved(self.key)

    def shunned_until(self, url: str) -> int:
        """On the clock of `milliseconds`; 0 for never."""
        return read_word(self._shunned, url.encode()) or 0

    def shun(self, url: str, until: int) -> None:
        self._shunned.update(url.encode(), lambda _: until)
        self._board.moved(self.key)
