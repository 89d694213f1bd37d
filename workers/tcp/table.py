"""TCP routes of one entry point, ordered; and who gets a TLS connection, HTTPS or one of them.

Rules that ask for certain server names are found through a dictionary, so that thousands of them cost no more than
one; the others are asked in order.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from workers.tcp.matchers import Caller, Predicate

if TYPE_CHECKING:
    from tls.selection import TLSTable
    from workers.tcp.serving import TCPHandler


class TCPRoute:
    """A compiled router on one entry point. Immutable.

    `names`: server names it is limited to, None for any. `rank` sorts: highest priority first, then the
    provider's precedence, then the name. `handler` None: its TLS option is broken, connections are closed.
    """

    __slots__ = ("handler", "is_catch_all", "matches", "name", "names", "option", "passthrough", "rank")

    def __init__(
        self,
        name: str,
        matches: Predicate,
        names: Collection[str] | None,
        rank: tuple[int, int, str],
        handler: TCPHandler | None,
        *,
        is_catch_all: bool = False,
        option: str = "",
        passthrough: bool = False,
    ) -> None:
        """`option`: the TLS option that connections are ended with, empty where TLS is not ended here."""
        self.name = name
        self.matches = matches
        self.names = names
        self.rank = rank
        self.handler = handler
        self.is_catch_all = is_catch_all
        self.option = option
        self.passthrough = passthrough

    @property
    def is_secure(self) -> bool:
        """Is it for TLS connections?"""
        return bool(self.option) or self.passthrough

    def __repr__(self) -> str:
        return f"<TCPRoute {self.name} {-self.rank[0]}>"


class Routes:
    """Routes in order. Immutable; falsy without any."""

    __slots__ = ("_by_name", "_others", "_routes")

    def __init__(self, routes: Iterable[TCPRoute] = ()) -> None:
        self._routes: dict[str, TCPRoute] = {}
        self._others: list[TCPRoute] = []
        self._by_name: dict[str, list[TCPRoute]] = {}
        for route in routes:
            self._enter(route)

    def replaced(self, removed: Iterable[str], added: Iterable[TCPRoute]) -> Routes:
        """Routes without those named `removed` (unknown ones are ignored) and with `added`.

        Beside two copied dictionaries the cost follows the change.
        """
        other = Routes()
        other._routes, other._by_name = self._routes.copy(), self._by_name.copy()
        other._others = self._others.copy()
        for name in removed:
            other._take_out(name)
        for route in added:
            other._take_out(route.name)
            other._enter(route)
        return other

    def _enter(self, route: TCPRoute) -> None:
        self._routes[route.name] = route
        if route.names is None:
            insort(self._others, route, key=_rank)
            return
        for name in route.names:
            listed = [*self._by_name.get(name, ()), route]
            self._by_name[name] = sorted(listed, key=_rank)  # a list of its own: the old one is shared

    def _take_out(self, name: str) -> None:
        route = self._routes.pop(name, None)
        if route is None:
            return
        if route.names is None:
            self._others.remove(route)
            return
        for server_name in route.names:
            left = [one for one in self._by_name[server_name] if one is not route]
            if left:
                self._by_name[server_name] = left
            else:
                del self._by_name[server_name]

    def find(self, caller: Caller) -> TCPRoute | None:
        """The first route, by rank, whose rule holds."""
        named = next((one for one in self._by_name.get(caller.server_name, ()) if one.matches(caller)), None)
        for other in self._others:
            if named is not None and named.rank < other.rank:
                break
            if other.matches(caller):
                return other
        return named

    def __len__(self) -> int:
        return len(self._routes)


class TCPTable:
    """The routes of one entry point: `plain` for connections without TLS, `secure` for those with it."""

    __slots__ = ("plain", "secure")

    def __init__(self, plain: Routes, secure: Routes) -> None:
        self.plain = plain
        self.secure = secure

    def replaced(self, removed: Collection[str], added: Collection[TCPRoute]) -> TCPTable:
        """A table without the routes named `removed` and with `added`."""
        return TCPTable(
            self.plain.replaced(removed, [route for route in added if not route.is_secure]),
            self.secure.replaced(removed, [route for route in added if route.is_secure]),
        )

    def __bool__(self) -> bool:
        return bool(self.plain) or bool(self.secure)

    def unasked(self, caller: Caller, https: TLSTable | None) -> TCPRoute | None:
        """The route of a connection from which nothing has been read, where nothing has to be.

        That is so where nothing on the entry point is for TLS: servers that speak first are heard at once.
        """
        if not self.plain or self.secure or (https is not None and https.has_routers):
            return None
        return self.plain.find(caller)

    def for_tls(self, caller: Caller, https: TLSTable | None) -> TCPRoute | None:
        """The route of a TLS connection; None: it is HTTPS.

        An ACME server that asks for a challenge's answer comes first. A host that an HTTPS router names is HTTPS,
        whatever its path; then TCP routers; then HTTPS routers for any host, and last TCP's catch-all.
        """
        if https is not None and (
            https.is_challenged(caller.server_name, caller.alpn) or https.is_named(caller.server_name)
        ):
            return None
        route = self.secure.find(caller)
        if route is not None and route.is_catch_all and https is not None and https.has_catch_all:
            return None
        return route

    def __repr__(self) -> str:
        return f"<TCPTable of {len(self.plain)} plain and {len(self.secure)} TLS routes>"


def _rank(route: TCPRoute) -> tuple[int, int, str]:
    return route.rank


NO_ROUTES: Final = TCPTable(Routes(), Routes())
