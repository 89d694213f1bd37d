"""What is known of servers' health: one board for all workers of a machine.

Whoever learns something (the one worker that probes, any worker whose request failed) writes it into a shared
word and moves the board's epoch on; every worker looks at the epoch once a tick and reads its servers' words
again when it moved. A word that nobody has confirmed for a while expires, and its server counts as up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from workers.shared import CellsBusy, SharedState
from workers.shared_words import Words
from workers.timers import TimerWheel

_EPOCH: Final = b"epoch"
_LONG_SECONDS: Final = 7 * 24 * 3600
_UP: Final = 1
_DOWN: Final = 2


class Watched(Protocol):
    """A load balancer whose servers' health is kept on the board."""

    def refresh(self) -> None:
        """Read the board and make `is_up` of every candidate true to it."""
        ...

    def revive(self) -> None:
        """Let those back in whose time is over."""
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
        self._watched: set[Watched] = set()

    def watch(self, watched: Watched) -> None:
        """Keep `watched` true to the board until `forget`."""
        if not self._watched:
            self._wheel.acquire()
            self._wheel.every_tick(self.look)
        self._watched.add(watched)

    def forget(self, watched: Watched) -> None:
        """May be called for one that is not watched."""
        if watched in self._watched:
            self._watched.discard(watched)
            if not self._watched:
                self._wheel.forget_hook(self.look)
                self._wheel.release()

    def look(self) -> None:
        """For the wheel: has anybody learned something?"""
        try:
            epoch = read_word(self._epochs, _EPOCH)
            if epoch != self._seen:
                self._seen = epoch
                for watched in list(self._watched):
                    watched.refresh()
        except CellsBusy:
            self._seen = None
        for watched in self._watched:
            watched.revive()

    def moved(self) -> None:
        """Something was written: let all workers know."""
        self._epochs.update(_EPOCH, lambda epoch: ((epoch or 0) + 1) & 0xFFFF_FFFF)
        self.look()


def read_word(words: Words, source: bytes) -> int | None:
    """The value as it is, None if there is none. Raises CellsBusy."""
    found: list[int | None] = []

    def keep(value: int | None) -> None:
        found.append(value)

    words.update(source, keep)
    return found[0]


class Ledger:
    """The words of one service's servers by URL: the last check's verdict, and until when one is shunned."""

    __slots__ = ("_board", "_shunned", "_verdicts")

    def __init__(self, board: HealthBoard, service: str, ttl_seconds: int) -> None:
        """`ttl_seconds`: how long a verdict holds that nobody repeats."""
        shared = board.shared
        self._board = board
        self._verdicts = shared.words(shared.identity("health", service), ttl_seconds=ttl_seconds)
        self._shunned = shared.words(shared.identity("shunned", service), ttl_seconds=ttl_seconds)

    def passed(self, url: str) -> bool:
        """The last check's verdict; True where there is none."""
        return read_word(self._verdicts, url.encode()) != _DOWN

    def write(self, url: str, passed: bool) -> None:
        """Write a verdict; the board moves if it is another one."""
        before: list[int | None] = []

        def replace(value: int | None) -> int:
            before.append(value)
            return _UP if passed else _DOWN

        self._verdicts.update(url.encode(), replace)
        if (before[0] == _DOWN) is passed:
            self._board.moved()

    def shunned_until(self, url: str) -> int:
        """On the clock of `milliseconds`; 0 for never."""
        return read_word(self._shunned, url.encode()) or 0

    def shun(self, url: str, until: int) -> None:
        self._shunned.update(url.encode(), lambda _: until)
        self._board.moved()
