"""The sessions of an entry point: found by client, and given up oldest first when there are too many.

Anybody can invent source addresses, so sessions come in two kinds, as in the kernel's connection tracking: one
whose client has written again after an answer is *proven*; a sender with invented addresses sees no answers and
would have to write twice from each. A flood of them displaces unproven sessions only, while there are any.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

S = TypeVar("S")


class SessionTable(Generic[S]):
    """At most `limit` sessions, each kind ordered from the one that was silent longest."""

    __slots__ = ("_fresh", "_proven", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._fresh: OrderedDict[Hashable, S] = OrderedDict()
        self._proven: OrderedDict[Hashable, S] = OrderedDict()

    def find(self, key: Hashable) -> S | None:
        """The session of this client, which thereby counts as the one used last of its kind."""
        for kind in (self._proven, self._fresh):
            session = kind.get(key)
            if session is not None:
                kind.move_to_end(key)
                return session
        return None

    def add(self, key: Hashable, session: S) -> None:
        self._fresh[key] = session

    def prove(self, key: Hashable) -> None:
        """The client has been seen to receive answers."""
        session = self._fresh.pop(key, None)
        if session is not None:
            self._proven[key] = session

    def remove(self, key: Hashable) -> None:
        if self._fresh.pop(key, None) is None:
            self._proven.pop(key, None)

    @property
    def is_full(self) -> bool:
        return len(self) >= self.limit

    def oldest(self) -> S | None:
        """The one to give up first; it stays in until it is removed."""
        for kind in (self._fresh, self._proven):
            if kind:
                return next(iter(kind.values()))
        return None

    def __len__(self) -> int:
        return len(self._fresh) + len(self._proven)

    def __iter__(self) -> Iterator[S]:
        """A snapshot: sessions may end while it is walked."""
        return iter([*self._fresh.values(), *self._proven.values()])

    def __repr__(self) -> str:
        return f"<SessionTable {len(self._proven)} proven, {len(self._fresh)} fresh, limit {self.limit}>"
