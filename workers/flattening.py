"""CNAME flattening (`hostResolver`): the name at the end of a chain of aliases counts for a request's host, too.

Clients choose the host, so whom we ask is bounded by whom we remember: the answers of a worker are kept for as
long as they hold, one name is asked for once at a time, and where too many are being asked for, or nobody answers,
a host is only itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import gevent

from config.static import HostResolver
from workers.dns import Alias, DNSError
from workers.exchange import Request
from workers.http1.options import Found, Table
from workers.nameservers import NameServers

NO_ALIAS_SECONDS: Final = 1800.0
"""So long a host without an alias is believed to have none: the original's time."""
FAILED_SECONDS: Final = 5.0
SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 86400.0
MOST_REMEMBERED: Final = 8192
MOST_ASKED: Final = 128
"""Hosts of a worker that are being asked for at a time."""
PATIENCE_SECONDS: Final = 10.0
"""So long a request waits."""
_PAUSE_SECONDS: Final = 60.0
"""Between two complaints about the same in the log."""


class _Known(NamedTuple):
    name: bytes
    until: float


class Flattener:
    """Hosts to the names behind them. One for each worker."""

    def __init__(
        self,
        depth: int,
        alias_of: Callable[[bytes], Alias | None],
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`depth`: so many aliases of aliases are followed; `alias_of` may wait, and raises DNSError."""
        self._depth = depth
        self._alias_of = alias_of
        self._log = log
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._asked: dict[bytes, gevent.Greenlet[..., Any]] = {}
        self._quiet_until = 0.0

    def flat(self, host: bytes) -> bytes:
        """The name at the end of the chain, `host` itself if there is none. May wait, never for long."""
        known = self._known.get(host)
        if known is not None and self._clock() < known.until:
            self._known[host] = self._known.pop(host)  # who is asked for stays longest
            return known.name
        if not host or _is_address(host):
            return host
        asking = self._asked.get(host)
        if asking is None:
            if len(self._asked) >= MOST_ASKED:
                self._complain("too many hosts at a time")
                return known.name if known is not None else host
            asking = self._asked[host] = gevent.spawn(self._ask, host)
        asking.join(PATIENCE_SECONDS)
        known = self._known.get(host)
        return known.name if known is not None else host

    def _ask(self, host: bytes) -> None:
        try:
            found = self._follow(host)
        finally:
            del self._asked[host]
        self._known.pop(host, None)
        while len(self._known) >= MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[host] = found

    def _follow(self, host: bytes) -> _Known:
        name, seconds = host.rstrip(b"."), LONGEST_SECONDS
        began, is_alias = self._clock(), False
        for _ in range(self._depth):
            try:
                alias = self._alias_of(name)
            except DNSError as error:
                self._complain(f"{host.decode('latin-1')!r}: {error}")
                seconds = min(seconds, FAILED_SECONDS)
                break
            if alias is None:
                break
            name, is_alias = alias.name, True
            seconds = min(seconds, alias.ttl_seconds)
            if self._clock() - began > PATIENCE_SECONDS:
                break
        if not is_alias:
            seconds = min(seconds, NO_ALIAS_SECONDS)
        return _Known(name if is_alias else host, self._clock() + max(seconds, SHORTEST_SECONDS))

    def _complain(self, what: str) -> None:
        if self._clock() >= self._quiet_until:
            self._quiet_until = self._clock() + _PAUSE_SECONDS
            self._log.warning("CNAME flattening: %s", what)


def _is_address(host: bytes) -> bool:
    try:
        ip_address(host.decode("ascii").partition("%")[0])
    except ValueError:
        return False
    return True


class FlattenedTable:
    """A routing table whose requests are flattened before it is asked."""

    __slots__ = ("_flattener", "_table")

    def __init__(self, table: Table, flattener: Flattener) -> None:
        self._table = table
        self._flattener = flattener

    def find(self, request: Request) -> Found | None:
        request.flat_host = self._flattener.flat(request.host)
        return self._table.find(request)


def flattener_for(options: HostResolver | None, log: logging.Logger) -> Flattener | None:
    """None where nothing is to be flattened."""
    if options is None or not options.cname_flattening:
        return None
    servers = NameServers(options.resolv_config)
    try:
        servers.addresses()
    except DNSError as error:
        log.error("CNAME flattening: %s", error)
    return Flattener(options.resolv_depth, servers.alias_of, log)
