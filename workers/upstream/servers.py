"""The servers of one load balancer: who may be chosen, who is chosen, and what is learned from it.

A Servers is exchanged as a whole when the endpoints change; what is known of a server that stays (health,
requests under way, response times) stays with its Candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from config.http import LoadBalancer, Server
from workers.building import BuildError
from workers.errors import Failure
from workers.exchange import Exchange, ResponseHead
from workers.shared import CellsBusy
from workers.upstream.candidate import Candidate
from workers.upstream.health import Ledger, milliseconds
from workers.upstream.passive import PassiveCheck
from workers.upstream.server import is_plain
from workers.upstream.sticky import Stickiness
from workers.upstream.strategies import COUNTS_IN_FLIGHT, MEASURES, NEVER_STICKY, STRATEGIES


class _Recipe(NamedTuple):
    """What it takes to make a Servers."""

    service: str
    config: LoadBalancer
    servers: Sequence[Server]
    before: Servers | None
    passive: PassiveCheck | None


_MADE: Final = frozenset(("_choose", "_open", "_stickiness", "candidates", "tracker"))


class Servers:
    """Implements what ServiceHandler asks of a balancer."""

    __slots__ = (*_MADE, "_recipe")

    def __init__(
        self,
        service: str,
        config: LoadBalancer,
        servers: Sequence[Server],
        before: Servers | None = None,
        passive: PassiveCheck | None = None,
    ) -> None:
        """`before`: the servers so far, whose candidates live on. Raises BuildError."""
        self._recipe: _Recipe | None = None
        self._make(service, config, servers, before, passive)

    @classmethod
    def renewed(
        cls,
        service: str,
        config: LoadBalancer,
        servers: Sequence[Server],
        before: Servers,
        passive: PassiveCheck | None = None,
    ) -> Servers:
        """The same, made when somebody first asks for any of it, unless it might fail. Raises BuildError.

        Of the services whose pods come and go few are asked for anything before the next change.
        """
        if not all(is_plain(one.url) for one in servers):
            return cls(service, config, servers, before, passive)
        renewed = cls.__new__(cls)
        # of a `before` that nobody has asked for anything, only what was before it is known of any server
        known = before if before._recipe is None else before._recipe.before
        renewed._recipe = _Recipe(service, config, servers, known, passive)
        return renewed

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for slots that are empty: it has not been made yet."""
            if name not in _MADE or self._recipe is None:
                raise AttributeError(name)
            self._make(*self._recipe)
            self._recipe = None  # only now: after an error whoever asks next must not meet half of them
            return getattr(self, name)

    def _make(
        self,
        service: str,
        config: LoadBalancer,
        servers: Sequence[Server],
        before: Servers | None,
        passive: PassiveCheck | None,
    ) -> None:
        known = {one.name: one for one in before.candidates} if before is not None else {}
        self.candidates: list[Candidate] = []
        """All, fenced ones too."""
        self._open: list[Candidate] = []
        for server in servers:
            candidate = _candidate(server, known)
            self.candidates.append(candidate)
            if not server.fenced:
                self._open.append(candidate)
        strategy = config.strategy
        self._choose = STRATEGIES[strategy](self._open).pick
        cookie = config.sticky.cookie if config.sticky is not None and strategy not in NEVER_STICKY else None
        self._stickiness = None
        if cookie is not None:
            self._stickiness = Stickiness(service, cookie, [(one, one.name) for one in self.candidates])
        self.tracker = None
        if strategy in COUNTS_IN_FLIGHT or passive is not None:
            self.tracker = Tracker(passive, measures=strategy in MEASURES)

    def pick(self, exchange: Exchange) -> Candidate | None:
        if self._stickiness is None:
            return self._choose(exchange)
        return self._stickiness.pick(exchange, _is_up, self._choose)

    @property
    def is_up(self) -> bool:
        """Is there a server that may be chosen anew?"""
        return any(one.is_up for one in self._open)

    def __repr__(self) -> str:
        return f"<Servers {self.candidates}>"


def _is_up(candidate: Candidate) -> bool:
    return candidate.is_up


def _candidate(server: Server, known: dict[str, Candidate]) -> Candidate:
    """The one that lives already, unchanged: requests are being sent to it until the servers are exchanged."""
    weight = 1 if server.weight is None else server.weight
    found = known.get(server.url)
    if found is not None and (found.preserve_path, found.weight) == (server.preserve_path, weight):
        return found
    try:
        known[server.url] = Candidate(server.url, weight, server.preserve_path)
    except ValueError as error:
        raise BuildError(f"error parsing server URL {server.url}: {error}") from error
    return known[server.url]


class Tracker:
    """Keeps the account of requests under way, of response times, and of failures for the passive check."""

    __slots__ = ("_measures", "_passive")

    def __init__(self, passive: PassiveCheck | None, *, measures: bool) -> None:
        self._passive = passive
        self._measures = measures

    def begin(self, candidate: Candidate, exchange: Exchange) -> None:
        """Just before the request is sent to `candidate`."""
        candidate.in_flight += 1
        if self._measures:
            started = perf_counter()

            def answered(_: Exchange, head: ResponseHead) -> None:
                candidate.answered_in(perf_counter() - started)

            exchange.add_hook(answered)

    def end(self, candidate: Candidate, exchange: Exchange, failure: Failure | None) -> None:
        """When it is over; `failure` if there was no answer to relay."""
        candidate.in_flight -= 1
        if self._passive is not None:
            status = failure.status if failure is not None else exchange.status
            self._passive.judge(candidate, status >= 500)


class HealthWatch:
    """Keeps the candidates of one service true to the board; see health.Watched."""

    __slots__ = ("_current", "_has_verdicts", "_ledger", "_shunned")

    def __init__(self, ledger: Ledger, current: Callable[[], Servers], *, has_verdicts: bool) -> None:
        """`current` gives the service's servers of the moment; `has_verdicts`: it has an active check."""
        self._ledger = ledger
        self._current = current
        self._has_verdicts = has_verdicts
        self._shunned: dict[Candidate, int] = {}

    @property
    def key(self) -> int:
        return self._ledger.key

    def refresh(self) -> bool:
        complete = True
        for one in self._current().candidates:
            try:
                self._read(one)
            except CellsBusy:
                complete = False
        return complete

    def _read(self, one: Candidate) -> None:
        if self._has_verdicts:
            one.is_up = one.passed_check = self._ledger.passed(one.name)
            return
        until = self._ledger.shunned_until(one.name)
        one.is_up = until <= milliseconds()
        if not one.is_up:
            self._shunned[one] = until

    def revive(self) -> bool:
        now = milliseconds()
        for one, until in list(self._shunned.items()):
            if until <= now:
                one.is_up = True
                del self._shunned[one]
        return bool(self._shunned)
