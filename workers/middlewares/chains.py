"""From the names in a router's list to one handler around another: resolved, built and joined once.

As in the original the list is built from its end: of several errors the last one in the list is told. Whatever
is wrong ends the whole chain, because nothing may be served without a middleware that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final

from config.middlewares import Middleware, kinds_of
from config.names import resolve_reference
from workers.building import BuildError
from workers.exchange import Handler
from workers.middlewares import BUILDERS
from workers.middlewares.base import Context, Surroundings, Wrap

Services = Callable[[str], Handler]

MOST_MEMBERS: Final = 100
"""In one list, chains and their members included. Each is some frames of the stack around every request, and with
chains of chains a few small objects could keep all workers building for ever."""


class MiddlewareState:
    """One middleware of the running configuration: what was asked for and what became of it.

    `failures`: why it could not be built, by the router or service it was built for.
    """

    __slots__ = ("config", "failures", "name")

    def __init__(self, name: str, config: Middleware) -> None:
        self.name = name
        self.config = config
        self.failures: dict[str, str] = {}

    @property
    def errors(self) -> list[str]:
        return sorted(set(self.failures.values()))

    @property
    def status(self) -> str:
        return "disabled" if self.failures else "enabled"

    def __repr__(self) -> str:
        return f"<MiddlewareState {self.name} {'; '.join(self.errors) or 'ok'}>"


class Chains:
    """Builds the chains of one configuration."""

    def __init__(self, states: Mapping[str, MiddlewareState], surroundings: Surroundings) -> None:
        self._states = states
        self._surroundings = surroundings
        self._left = MOST_MEMBERS

    def build(
        self, references: Sequence[str], owner: str, relative_to: str, services: Services, used: set[str]
    ) -> Wrap | None:
        """One wrap for all of `references` (None for an empty list). Raises BuildError.

        `relative_to`: the qualified name whose provider a reference without `@` means. `used` gets the name of
        every middleware that was looked for, so that the owner is built again when one of them changes.
        """
        names = [resolve_reference(reference, relative_to) for reference in references]
        used.update(names)
        outer, self._left = self._left, MOST_MEMBERS  # a builder may ask for a service that has a list, too
        try:
            return _joined(self._build_all(names, owner, services, used, (), ()))
        finally:
            self._left = outer

    def _build_all(
        self,
        names: Sequence[str],
        owner: str,
        services: Services,
        used: set[str],
        place: tuple[int, ...],
        above: tuple[str, ...],
    ) -> list[Wrap]:
        used.update(names)
        wraps = [
            self._build_one(name, owner, services, used, (*place, position), above)
            for position, name in reversed(list(enumerate(names)))
        ]
        wraps.reverse()
        return [wrap for wrap in wraps if wrap is not None]

    def _build_one(
        self,
        name: str,
        owner: str,
        services: Services,
        used: set[str],
        place: tuple[int, ...],
        above: tuple[str, ...],
    ) -> Wrap | None:
        if name in above:
            path = "->".join(f"middleware:{one}" for one in (*above, name))
            message = f"could not instantiate middleware {name}: recursion detected in {path}"
            raise self._failed(name, owner, BuildError(message))
        state = self._states.get(name)
        if state is None:
            raise BuildError(f'middleware "{name}" does not exist')
        self._left -= 1
        if self._left < 0:
            message = f"more than {MOST_MEMBERS} middlewares in one list, chains and their members included"
            raise self._failed(name, owner, BuildError(message))
        try:
            kind, options = kind_of(name, state.config)
            if kind == "chain":
                members = [resolve_reference(one, name) for one in options.middlewares]
                return _joined(self._build_all(members, owner, services, used, place, (*above, name)))
            builder = BUILDERS.get(kind)
            if builder is None:
                raise BuildError(f'middleware "{name}": {kind} is not served by this version of Pointsman')
            context = Context(
                name, owner, place, self._surroundings, lambda service: services(resolve_reference(service, name))
            )
            return builder(options, context)
        except BuildError as error:
            raise self._failed(name, owner, error) from error
        except Exception as error:  # one that nobody thought of must not hold up the whole configuration
            self._surroundings.log.exception("middleware %s cannot be built", name)
            raise self._failed(name, owner, BuildError(f'middleware "{name}": {error}')) from error

    def _failed(self, name: str, owner: str, error: BuildError) -> BuildError:
        state = self._states.get(name)
        if state is not None:
            state.failures[owner] = str(error)
        return error


def kind_of(name: str, config: Middleware) -> tuple[str, Any]:
    """The one kind that is set (wire name) and its options. Raises BuildError."""
    kinds = kinds_of(config)
    if len(kinds) > 1:
        raise BuildError(
            "cannot create middleware: multi-types middleware not supported, "
            "consider declaring two different pieces of middleware instead"
        )
    if not kinds:
        raise BuildError(
            f'invalid middleware "{name}" configuration: invalid middleware type or middleware does not exist'
        )
    fields = zip(Middleware.__struct_fields__, Middleware.__struct_encode_fields__, strict=True)
    attribute = next(field for field, wire_name in fields if wire_name == kinds[0])
    return kinds[0], getattr(config, attribute)


def _joined(wraps: Sequence[Wrap]) -> Wrap | None:
    """The first one is outermost."""
    if not wraps:
        return None
    if len(wraps) == 1:
        return wraps[0]

    def wrap(handler: Handler) -> Handler:
        return reduce(lambda inner, outer: outer(inner), reversed(wraps), handler)

    return wrap
