"""What TCP and UDP services have in common: states by name, and balancers built from them when first asked for.

A service is built when a router needs it, as the original does, so a broken one that nobody uses disturbs nobody.
The error texts are the original's; a service that contains itself is an error here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from random import Random
from typing import ClassVar, Generic, Protocol, TypeVar

from config.layer4 import WeightedServices
from config.names import resolve_reference
from workers.building import DEEPEST_NESTING, BuildError, levels_above
from workers.upstream.balancer import Nested


class ServiceConfig(Protocol):
    """A service of one of the two kinds: servers, or other services with weights."""

    @property
    def load_balancer(self) -> object | None: ...
    @property
    def weighted(self) -> WeightedServices | None: ...


C = TypeVar("C", bound=ServiceConfig)
T = TypeVar("T")


class ServiceState(Generic[C, T]):
    """One service of the running configuration: what was asked for and what became of it."""

    __slots__ = ("balancer", "config", "errors", "levels", "name")

    def __init__(self, name: str, config: C) -> None:
        self.name = name
        self.config = config
        self.balancer: Nested[T] | None = None
        """What chooses among its servers, or the balancers of other services; None until it is built."""
        self.errors: list[str] = []
        self.levels = 1
        """Of services made of services, with this one on top."""

    @property
    def status(self) -> str:
        return "disabled" if self.errors else "enabled"

    def children(self) -> list[str]:
        """Qualified names of the services that this one hands its clients to."""
        weighted = self.config.weighted
        return [resolve_reference(entry.name, self.name) for entry in weighted.services] if weighted else []

    def fail(self, message: str) -> BuildError:
        """Note what is wrong with it; to be raised."""
        if message not in self.errors:
            self.errors.append(message)
        return BuildError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {'; '.join(self.errors) or 'ok'}>"


S = TypeVar("S", bound=ServiceState)  # type: ignore[type-arg]


class ServiceBuilder(ABC, Generic[S, T]):
    """Builds the balancers of one configuration."""

    kind: ClassVar[str]
    """What its services are called in error texts."""

    def __init__(self, states: Mapping[str, S], rng: Random | None = None) -> None:
        self._states = states
        self._rng = rng or Random()  # noqa: S311 - a rotation's start is no secret

    def balancer(self, name: str, above: tuple[str, ...] = ()) -> Nested[T]:
        """What serves the qualified service `name`. Raises BuildError with the text for the API."""
        state = self._states.get(name)
        if state is None:
            raise BuildError(f'the {self.kind} "{name}" does not exist')
        if name in above:
            path = "->".join((*above[above.index(name) :], name))
            raise BuildError(f"could not instantiate service {name}: recursion detected in {path}")
        if len(above) >= DEEPEST_NESTING:
            raise BuildError(
                f"could not instantiate service {above[0]}: more than {DEEPEST_NESTING} services in each other"
            )
        if state.balancer is None:
            state.balancer = self._make(state, (*above, name))
        if above:
            parent = self._states[above[-1]]
            parent.levels = levels_above(parent.name, parent.levels, state.levels)
        balancer: Nested[T] = state.balancer
        return balancer

    def _make(self, state: S, above: tuple[str, ...]) -> Nested[T]:
        config: ServiceConfig = state.config
        if config.load_balancer is not None and config.weighted is not None:
            raise state.fail(
                "cannot create service: multi-types service not supported, "
                "consider declaring two different pieces of service instead"
            )
        if config.load_balancer is not None:
            return self._of_servers(state)
        if config.weighted is None:
            raise state.fail(f'the {self.kind} "{state.name}" does not have any type defined')
        try:
            entries = [
                (
                    self.balancer(resolve_reference(entry.name, state.name), above),
                    1 if entry.weight is None else entry.weight,
                )
                for entry in config.weighted.services
            ]
        except BuildError as error:
            raise state.fail(str(error)) from error
        return Nested(entries, self._rng)

    @abstractmethod
    def _of_servers(self, state: S) -> Nested[T]:
        """The balancer of a service that has servers. Raises BuildError."""


def renew_parents(services: MutableMapping[str, S], changed: Iterable[str], renewed: Callable[[S], S]) -> set[str]:
    """Names of the changed services (also those gone) and of all above them; what there is of them is replaced.

    `renewed`: a state as it is before anybody asked for its balancer.
    """
    pending, stale = list(changed), set(changed)
    parents: dict[str, list[str]] = {}
    for state in services.values() if pending else ():
        for child in state.children():
            parents.setdefault(child, []).append(state.name)
    while pending:
        for parent in parents.get(pending.pop(), ()):
            if parent not in stale:
                stale.add(parent)
                pending.append(parent)
    for name in stale & services.keys():
        services[name] = renewed(services[name])
    return stale
