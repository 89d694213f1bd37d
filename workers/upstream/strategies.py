"""Which of a service's servers gets a request: one class a strategy, STRATEGIES is the table of them.

Each is made of the servers that may be chosen anew (fenced ones are not among them) and asked once a request.
State is the object's own, so every worker has its rotation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Final, Generic, Protocol, TypeVar

from workers.exchange import Exchange
from workers.upstream.balancer import WeightedRoundRobin
from workers.upstream.candidate import Candidate

T = TypeVar("T")


class Strategy(Protocol):
    def pick(self, exchange: Exchange, /) -> Candidate | None:
        """None if no server is up."""
        ...


class RoundRobin:
    """Weighted, earliest deadline first; a weight of zero or less gets nothing."""

    __slots__ = ("_rotation",)

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        entries = [(one, one.weight) for one in candidates]
        random.shuffle(entries)  # workers and reloads must not march in step
        self._rotation = WeightedRoundRobin(entries)

    def pick(self, exchange: Exchange) -> Candidate | None:
        return self._rotation.pick(_is_up)


def _is_up(candidate: Candidate) -> bool:
    return candidate.is_up


class PowerOfTwoChoices:
    """Of two drawn at random the one with fewer requests under way. Weights do not count."""

    __slots__ = ("_candidates",)

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = list(candidates)

    def pick(self, exchange: Exchange) -> Candidate | None:
        usable = [one for one in self._candidates if one.is_up]
        count = len(usable)
        if count < 2:
            return usable[0] if usable else None
        first, second = random.randrange(count), random.randrange(count - 1)  # noqa: S311 - no secret
        if second >= first:
            second += 1
        one, other = usable[first], usable[second]
        return one if one.in_flight <= other.in_flight else other


class LeastTime:
    """The lowest of mean response time x (1 + requests under way) / weight; of equals, whose turn it is."""

    __slots__ = ("_candidates", "_rotation")

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = [one for one in candidates if one.weight > 0]
        self._rotation = WeightedRoundRobin([(one, one.weight) for one in self._candidates])

    def pick(self, exchange: Exchange) -> Candidate | None:
        usable = [one for one in self._candidates if one.is_up]
        if len(usable) < 2:
            return usable[0] if usable else None
        scores = [one.mean_seconds * (1 + one.in_flight) / one.weight for one in usable]
        least = min(scores)
        best = [one for one, score in zip(usable, scores, strict=True) if score == least]
        return best[0] if len(best) == 1 else self._rotation.pick(best.__contains__)


_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1
_REMEMBERED_PLACES: Final = 1 << 17
"""Of all remembered rankings together: about a megabyte."""


def fnv1a(data: bytes, state: int = _FNV_OFFSET) -> int:
    """FNV-1a, 64 bits, going on from `state`.

    >>> hex(fnv1a(b"a"))
    '0xaf63dc4c8601ec8c'
    """
    for byte in data:
        state = (state ^ byte) * _FNV_PRIME & _MASK
    return state


class Rendezvous(Generic[T]):
    """Highest random weight: every key has its own ranking of the entries, shares follow the weights.

    An entry that is not usable loses its keys to the next ones in their rankings; all others keep theirs.
    """

    __slots__ = ("_entries", "_most", "_rankings")

    def __init__(self, entries: Sequence[tuple[T, str, int]]) -> None:
        """(thing, name that is hashed, weight); weights of zero or less are left out."""
        self._entries = [(thing, name.encode(), weight) for thing, name, weight in entries if weight > 0]
        self._rankings: dict[str, list[T]] = {}
        self._most = _REMEMBERED_PLACES // max(len(self._entries), 1) + 1

    def pick(self, key: str, is_usable: Callable[[T], bool] | None = None) -> T | None:
        ranking = self._rankings.get(key)
        if ranking is None:
            if len(self._rankings) >= self._most:
                self._rankings.clear()
            ranking = self._rankings[key] = self._ranked(key)
        for thing in ranking:
            if is_usable is None or is_usable(thing):
                return thing
        return None

    def _ranked(self, key: str) -> list[T]:
        state = fnv1a(key.encode())
        scored = [
            (_score(fnv1a(name, state), weight), place, thing)
            for place, (thing, name, weight) in enumerate(self._entries)
        ]
        scored.sort(key=lambda row: (-row[0], row[1]))
        return [thing for _, _, thing in scored]


def _score(digest: int, weight: int) -> float:
    share = digest / (1 << 64)
    if share <= 0.0:
        return 0.0
    return float("inf") if share >= 1.0 else weight / -log(share)


class HighestRandomWeight:
    """The peer's address decides, so a client keeps its server without a cookie."""

    __slots__ = ("_rendezvous",)

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._rendezvous = Rendezvous([(one, one.name, one.weight) for one in candidates])

    def pick(self, exchange: Exchange) -> Candidate | None:
        return self._rendezvous.pick(exchange.request.peer_ip, _is_up)


STRATEGIES: Final[Mapping[str, Callable[[Sequence[Candidate]], Strategy]]] = {
    "": RoundRobin,
    "wrr": RoundRobin,
    "p2c": PowerOfTwoChoices,
    "hrw": HighestRandomWeight,
    "leasttime": LeastTime,
}
NEVER_STICKY: Final = frozenset({"hrw"})
COUNTS_IN_FLIGHT: Final = frozenset({"p2c", "leasttime"})
MEASURES: Final = frozenset({"leasttime"})
