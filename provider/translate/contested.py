"""Names that several objects may claim: whose value is seen does not depend on the order of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

Owner = tuple[int, str, str]
"""Rank of the kind's translator, namespace, name."""


class Contested(Generic[T]):
    """Values by name: the greatest owner's value is the one seen, or the least one's where the first wins."""

    def __init__(self, *, first_wins: bool = False) -> None:
        self._choose = min if first_wins else max
        self._claims: dict[str, dict[Owner, T]] = {}

    def replace(self, owner: Owner, old: Mapping[str, T], new: Mapping[str, T]) -> set[str]:
        """Exchange one owner's claims; the names whose claims changed."""
        changed = {name for name, value in new.items() if name not in old or old[name] != value}
        changed.update(name for name in old if name not in new)
        for name in changed:
            if name in new:
                self._claims.setdefault(name, {})[owner] = new[name]
            else:
                claims = self._claims[name]
                del claims[owner]
                if not claims:
                    del self._claims[name]
        return changed

    def __getitem__(self, name: str) -> T:
        claims = self._claims[name]
        return claims[self._choose(claims)]

    def values(self) -> Iterator[T]:
        return (self[name] for name in self._claims)

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __contains__(self, name: object) -> bool:
        return name in self._claims

    def __len__(self) -> int:
        return len(self._claims)
