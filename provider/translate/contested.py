"""Names that several objects may claim: whose value is seen does not depend on the order of events.

Names are made of namespace and name, joined and stripped of what is no letter or digit, so objects of different
namespaces can come to the same one: `a/b-c` and `a-b/c`. Between namespaces the oldest object keeps it, and
nothing of the others may step in; within one namespace the last one counts, as in Traefik.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from config.http import Service
from config.names import normalize

T = TypeVar("T")


class Owner(NamedTuple):
    """Rank of the kind's translator, namespace, name; `created` is empty for what did not come from a cluster."""

    rank: int
    namespace: str
    name: str
    created: str = ""


class Standing(NamedTuple):
    """`home` is the namespace that a name belongs to, by the claim of `first`; `losers` claim it in vain."""

    home: str
    first: Owner
    losers: frozenset[Owner]


Home = Callable[[Owner, str, Any], str]
"""(who claims, name, value) -> the namespace whose name it is by right."""

NOBODY: Final[frozenset[Owner]] = frozenset()


def home_of(owner: Owner, name: str, value: Any) -> str:
    """The owner's namespace; of a load balancer named after its Kubernetes Service the Service's."""
    if isinstance(value, Service) and value.observability is not None and value.observability.metadata is not None:
        source = value.observability.metadata.kubernetes
        if source is not None and normalize(f"{source.namespace}-{source.name}-{source.port}") == name:
            return source.namespace
    return owner.namespace


class Contested(Generic[T]):
    """Values by name: the greatest owner's value is the one seen, or the least one's where the first wins.

    `shares`: objects of several namespaces may give one Service different options, and the last one's count.
    Otherwise only those of the Service's own namespace do, and others have to ask for the same. Claims that are
    silenced are not seen, and nobody takes their place unless he has a claim of his own.
    """

    def __init__(self, *, first_wins: bool = False, shares: bool = True, home: Home = home_of) -> None:
        self._first_wins = first_wins
        self._shares = shares
        self._home = home
        self._claims: dict[str, dict[Owner, T]] = {}
        self._silenced: set[tuple[Owner, str]] = set()

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

    def exchange(self, owner: Owner, name: str, value: T) -> bool:
        """Exchange the value of the only claim. False, and nothing is done, if there are more or it is hidden."""
        claims = self._claims.get(name, {})
        if len(claims) != 1 or owner not in claims or (owner, name) in self._silenced:
            return False
        claims[owner] = value
        return True

    def silence(self, owner: Owner, name: str, *, silent: bool = True) -> None:
        """Hide one claim, or show it again."""
        if silent:
            self._silenced.add((owner, name))
        else:
            self._silenced.discard((owner, name))

    def standing(self, name: str) -> Standing | None:
        """Whose name it is; None if nobody claims it."""
        claims = self._claims.get(name)
        if not claims:
            return None
        if len(claims) == 1:
            ((owner, value),) = claims.items()
            return Standing(self._home(owner, name, value), owner, NOBODY)
        homes = {owner: self._home(owner, name, value) for owner, value in claims.items()}
        first = min(claims, key=lambda owner: (homes[owner] != owner.namespace, *_age(owner)))
        own = {owner for owner in claims if owner.namespace == first.namespace and homes[owner] == homes[first]}
        value = claims[max(own)]
        losers = {
            owner
            for owner in claims
            if homes[owner] != homes[first] or not (self._shares or owner in own or claims[owner] == value)
        }
        return Standing(homes[first], first, frozenset(losers))

    def is_disputed(self, name: str) -> bool:
        """Whether owners of several namespaces claim it."""
        claims = self._claims.get(name, {})
        return len(claims) > 1 and len({owner.namespace for owner in claims}) > 1

    def seen_claims(self, name: str) -> tuple[Owner | None, dict[Owner, T]]:
        """Whose value is the one seen, None if nobody's is; and all claims that are not silenced."""
        claims = self._claims.get(name, {})
        seen = {one: value for one, value in claims.items() if (one, name) not in self._silenced}
        return (self._winner(name, seen) if seen else None), seen

    def __getitem__(self, name: str) -> T:
        claims = self._claims[name]
        seen = claims if not self._silenced else [one for one in claims if (one, name) not in self._silenced]
        if not seen:
            raise KeyError(name)
        return claims[self._winner(name, seen)]

    def _winner(self, name: str, seen: Collection[Owner]) -> Owner:
        if len(seen) > 1 and not self._shares and self.is_disputed(name):
            seen = self._at_home(name, seen)
        return min(seen) if self._first_wins else max(seen)

    def _at_home(self, name: str, seen: Any) -> list[Owner]:
        """Of those that are seen the ones in the namespace of the first; all, if there are none."""
        standing = self.standing(name)
        assert standing is not None
        return [one for one in seen if one.namespace == standing.first.namespace] or list(seen)

    def values(self) -> Iterator[T]:
        return (self[name] for name in self)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._claims if name in self)

    def __contains__(self, name: object) -> bool:
        claims = self._claims.get(name)  # type: ignore[call-overload]
        if claims is None:
            return False
        return not self._silenced or any((owner, name) not in self._silenced for owner in claims)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _age(owner: Owner) -> tuple[str, str, str, int]:
    return owner.created, owner.namespace, owner.name, owner.rank
