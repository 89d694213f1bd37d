"""Which routers of an entry point get the TLS option they ask for, kept up to date as routers come and go.

The rule is that of `selection.assign_options`, which decides over all claims at once: routers that disagree over
a host all fall to the default option, and so does one that names no host to choose an option by. Here a change
costs what it touches: the routers of the hosts concerned, and the hosts of those whose standing turned.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from tls.selection import DEFAULT_OPTION, OptionClaim
from tls.server_names import NameTable, normalize_server_name


class Fall(enum.Enum):
    """Why a router gets the default option although it asks for another (or quarrels with one that does)."""

    CONFLICT = "routers of one of its hosts want different options"
    NO_HOST = "its rule names no host"


class OptionBook:
    """The claims of one entry point and what follows from them. Immutable: `replaced` makes another.

    `hosts`: option name by host. `fallen`: by router.
    """

    __slots__ = ("_claims", "_default", "_rivals", "fallen", "hostless", "hosts")

    def __init__(self, default: str = DEFAULT_OPTION) -> None:
        self._default = default
        self._claims: Mapping[str, OptionClaim] = {}
        self._rivals: Mapping[str, Mapping[str, str]] = {}
        """Host -> router -> option."""
        self.fallen: Mapping[str, Fall] = {}
        self.hosts: NameTable[str] = NameTable()
        self.hostless = 0
        """Routers whose rule names no host, so that any server name may be theirs."""

    def replaced(self, changes: Mapping[str, OptionClaim | None]) -> tuple[OptionBook, set[str]]:
        """A book with `changes` (by router; None: it claims nothing any more), and whose standing turned by it.

        Those are routers of `changes` and others; one that has just come counts if it fell.
        """
        return _Change(self, changes).carry_out()

    def __contains__(self, router: str) -> bool:
        return router in self._claims

    def __len__(self) -> int:
        return len(self._claims)

    def __repr__(self) -> str:
        return f"<OptionBook of {len(self)} routers, {len(self.fallen)} fallen>"


class _Change:
    """One `replaced` under way."""

    def __init__(self, old: OptionBook, changes: Mapping[str, OptionClaim | None]) -> None:
        self._old = old
        self._changes = changes
        self._claims = dict(old._claims)
        self._rivals = dict(old._rivals)
        self._fallen = dict(old.fallen)
        self._own: dict[str, dict[str, str]] = {}
        """Hosts that are touched, with their rivals copied: other books share the old ones."""
        self._more_hostless = 0

    def carry_out(self) -> tuple[OptionBook, set[str]]:
        for router, claim in self._changes.items():
            self._exchange(router, claim)
        turned = self._judge(self._unsettled())
        book = OptionBook(self._old._default)
        book._claims, book._rivals, book.fallen = self._claims, self._rivals, self._fallen
        book.hostless = self._old.hostless + self._more_hostless
        book.hosts = self._assigned(turned)
        return book, turned

    def _exchange(self, router: str, claim: OptionClaim | None) -> None:
        old = self._claims.pop(router, None)
        self._more_hostless += _is_hostless(claim) - _is_hostless(old)
        for host in _hosts_of(old):
            self._touch(host).pop(router, None)
        for host in _hosts_of(claim):
            assert claim is not None
            self._touch(host)[router] = claim.option
        if claim is not None:
            self._claims[router] = claim

    def _touch(self, host: str) -> dict[str, str]:
        if host not in self._own:
            self._own[host] = self._rivals[host] = dict(self._rivals.get(host, {}))
        return self._own[host]

    def _unsettled(self) -> set[str]:
        """Routers to be judged: the changed ones, and all of a host over which other options are wanted now."""
        unsettled = set(self._changes)
        for host, rivals in self._own.items():
            before = self._old._rivals.get(host, {})
            if set(before.values()) != set(rivals.values()):
                unsettled.update(rivals)
        return unsettled

    def _judge(self, routers: Iterable[str]) -> set[str]:
        turned = set()
        for router in routers:
            before, after = self._fallen.pop(router, None), self._verdict(self._claims.get(router))
            if after is not None:
                self._fallen[router] = after
            if after is not before:
                turned.add(router)
        return turned

    def _verdict(self, claim: OptionClaim | None) -> Fall | None:
        if claim is None:
            return None
        if not claim.hosts:
            return None if claim.option == self._old._default else Fall.NO_HOST
        for host in _hosts_of(claim):
            if any(option != claim.option for option in self._rivals[host].values()):
                return Fall.CONFLICT
        return None

    def _assigned(self, turned: Iterable[str]) -> NameTable[str]:
        touched = set(self._own)
        for router in turned:
            touched.update(_hosts_of(self._claims.get(router)))
        removed, added = [], {}
        for host in touched:
            rivals = self._rivals[host]
            if rivals:
                added[host] = self._option(rivals)
            else:
                del self._rivals[host]
                removed.append(host)
        return self._old.hosts.replaced(removed, added) if touched else self._old.hosts

    def _option(self, rivals: Mapping[str, str]) -> str:
        """What a router still standing wants (they agree), else the default."""
        standing = (option for router, option in rivals.items() if router not in self._fallen)
        return next(standing, self._old._default)


def _is_hostless(claim: OptionClaim | None) -> bool:
    return claim is not None and not claim.hosts


def _hosts_of(claim: OptionClaim | None) -> Iterable[str]:
    return dict.fromkeys(map(normalize_server_name, claim.hosts)) if claim is not None else ()
