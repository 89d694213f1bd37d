"""TCP middlewares: who may connect. Each router has its own instances on each of its entry points.

They are asked before any byte is sent and before a server is dialled; a client that one of them refuses sees its
connection closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from config.layer4 import InFlightConn, TCPIPAllowList, TCPMiddleware
from config.names import resolve_reference
from config.networks import Network, NetworkError, address_of, parse_network
from workers.building import BuildError


class Guard(Protocol):
    """Decides over connections of client addresses. Never switches greenlets."""

    def enter(self, ip: str) -> bool:
        """May it connect? Each True is followed by one `leave`."""
        ...

    def leave(self, ip: str) -> None:
        """Its connection is over."""
        ...


class AllowList:
    """Lets clients of the given networks through."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def enter(self, ip: str) -> bool:
        address = address_of(ip)
        return address is not None and any(network.contains(address) for network in self._networks)

    def leave(self, ip: str) -> None:
        """Nothing is held."""


class Guards:
    """Guards in order. One that refuses gives back what those before it took."""

    __slots__ = ("_guards",)

    def __init__(self, guards: Iterable[Guard] = ()) -> None:
        self._guards = tuple(guards)

    def enter(self, ip: str) -> bool:
        for place, guard in enumerate(self._guards):
            if not guard.enter(ip):
                self._leave(self._guards[:place], ip)
                return False
        return True

    def leave(self, ip: str) -> None:
        self._leave(self._guards, ip)

    @staticmethod
    def _leave(guards: Sequence[Guard], ip: str) -> None:
        for guard in reversed(guards):
            guard.leave(ip)

    def __len__(self) -> int:
        return len(self._guards)


InFlight = Callable[[InFlightConn, Sequence[str]], Guard]
"""Makes the guard of an inFlightConn from its options and its place: entry point, router, name and position."""


class TCPMiddlewareState:
    """One middleware of the running configuration, and what was wrong with it when somebody used it."""

    __slots__ = ("config", "errors", "name")

    def __init__(self, name: str, config: TCPMiddleware) -> None:
        self.name = name
        self.config = config
        self.errors: list[str] = []

    @property
    def status(self) -> str:
        return "disabled" if self.errors else "enabled"

    def __repr__(self) -> str:
        return f"<TCPMiddlewareState {self.name} {'; '.join(self.errors) or 'ok'}>"


def build_guards(
    names: Sequence[str], router: str, states: Mapping[str, TCPMiddlewareState], in_flight: InFlight, place: str
) -> Guards:
    """The guards of one router at one entry point (`place`). Raises BuildError in the original's words.

    From the last to the first, so that of several broken ones the last is named, as in the original.
    """
    guards: list[Guard] = []
    for position, reference in reversed(list(enumerate(names))):
        name = resolve_reference(reference, router)
        state = states.get(name)
        if state is None:
            raise BuildError(f'middleware "{name}" does not exist')
        try:
            guards.append(_guard(state, in_flight, (place, router, name, str(position))))
        except BuildError as error:
            if str(error) not in state.errors:
                state.errors.append(str(error))
            raise
    return Guards(reversed(guards))


def _guard(state: TCPMiddlewareState, in_flight: InFlight, place: Sequence[str]) -> Guard:
    config = state.config
    if config.ip_allow_list is not None:
        return _allow_list(config.ip_allow_list, "IPAllowLister", "CIDRs")
    if config.ip_white_list is not None:
        return _allow_list(config.ip_white_list, "IPWhiteLister", "CIDR whitelist")
    if config.in_flight_conn is not None:
        return in_flight(config.in_flight_conn, place)
    raise BuildError(
        f'invalid middleware "{state.name}" configuration: invalid middleware type or middleware does not exist'
    )


def _allow_list(config: TCPIPAllowList, kind: str, noun: str) -> Guard:
    ranges = config.source_range
    if not ranges:
        raise BuildError(f"sourceRange is empty, {kind} not created")
    try:
        return AllowList([parse_network(text) for text in ranges])
    except NetworkError:
        bad = next(text for text in ranges if not _is_network(text))
        listed = " ".join(ranges)
        raise BuildError(
            f"cannot parse {noun} [{listed}]: parsing CIDR trusted IPs <nil>: invalid CIDR address: {bad}"
        ) from None


def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except NetworkError:
        return False
    return True


def no_in_flight(config: InFlightConn, place: Sequence[str]) -> Guard:
    """Where connections cannot be counted. Raises BuildError."""
    raise BuildError("inFlightConn is not served by this version of Pointsman")


NO_GUARDS: Final = Guards()
