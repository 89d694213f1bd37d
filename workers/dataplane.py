"""One worker's data plane: entry points, the configuration they serve, and their end.

Made and driven by the worker process (any greenlet of its hub; never before the fork).
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import gevent

from config.control_page import Cell, ControlPage, Slot
from config.generation import GenerationRefused
from config.http3_twins import SUFFIX, is_twin
from config.static import StaticConfiguration, default_entry_points
from workers.api import APIHandler
from workers.entrypoint import EntryPointServer
from workers.environment import Environment
from workers.exchange import Exchange
from workers.flattening import FlattenedTable, flattener_for
from workers.http1.options import Table
from workers.internal import InternalServices, internal_middlewares, internal_routers
from workers.middlewares.base import Surroundings
from workers.models import models_of
from workers.observing import Observers
from workers.reload import Reloader
from workers.routing.table import RoutingTable
from workers.runtime import Changes, Runtime
from workers.shared import SharedState
from workers.timers import current_wheel
from workers.tls_engine import TLSEngine
from workers.udp.draining import drain
from workers.udp.servers import udp_servers
from workers.upstream.health import HealthBoard
from workers.upstream.mirroring import wait_for_mirrors
from workers.upstream.transports import TransportBook

if TYPE_CHECKING:
    from workers.http3.server import Http3Server
    from workers.scraping import Scraping

POLL_SECONDS = 0.05
"""How often a stopping worker looks whether its last connection is gone."""


class DataPlane:
    """Serves the given listening sockets until told to stop."""

    def __init__(
        self,
        static: StaticConfiguration,
        listeners: Mapping[str, socket.socket],
        page: ControlPage,
        slot: Slot,
        log: logging.Logger,
        tls: TLSEngine | None = None,
        shared: SharedState | None = None,
        quic: tuple[int, int, Mapping[int, tuple[socket.socket, socket.socket]]] | None = None,
    ) -> None:
        """`tls` None: nothing is served through TLS (only meant for looking at what routers become).

        `shared` None: limits and breakers are this data plane's own. `quic`: lane, slot, and ways to other
        workers, where there is HTTP/3.
        """
        self._static = static
        self._page = page
        self._slot = slot
        self._log = log
        self._listeners = listeners
        self._tls = tls
        self._shared = shared if shared is not None else SharedState.private()
        self._servers = {
            name: EntryPointServer(name, static.entry_points[name], listener, slot, log, tls=tls)
            for name, listener in listeners.items()
            if not is_twin(name) and static.entry_points[name].protocol == "tcp"
        }
        self._udp_servers = udp_servers(static, listeners, log)
        self._observers = Observers(static, self._shared, log, self._names, serves=tls is not None)
        for name, server in self._servers.items():
            server.observer = self._observers.for_entry_point(name, static.entry_points[name])
            server.metrics = self._observers.metrics
        self._http3_servers: Mapping[str, Http3Server] = {}
        if any(map(is_twin, listeners)):
            self._http3_servers = self._with_http3(quic or (0, slot.index, {}))
        self._scraping = self._scraper()
        self._internal = InternalServices(static, page, self._answer_api, self._scraping)
        self._in_force: Runtime | None = None
        self._flattener = flattener_for(static.host_resolver, log)
        self._reloader = Reloader(self._first_runtime(), self._swap)
        self._api = APIHandler(
            static, lambda: self._reloader.runtime, self._internal.names, self._reloader.findings
        )
        self._swap(self._reloader.runtime)

    def _with_http3(
        self, place: tuple[int, int, Mapping[int, tuple[socket.socket, socket.socket]]]
    ) -> Mapping[str, Http3Server]:
        """Imported only where it is wanted: it needs an extra. Clients who come by TCP are told of it."""
        from workers.http3.alt_svc import Advertising
        from workers.http3.servers import http3_servers

        secret = self._tls.secret if self._tls is not None else b""
        made = http3_servers(self._servers, self._listeners, place, secret, self._page, self._log)
        for name in made:
            options, server = self._static.entry_points[name].http3, self._servers[name]
            port = options.advertised_port if options is not None else 0
            port = port or self._listeners[name].getsockname()[1]
            server.observer = Advertising(server.observer, port)
        return made

    def _first_runtime(self) -> Runtime:
        """What answers before the first generation: the internal routers alone."""
        static, transports = self._static, TransportBook.first(self._static.servers_transport)
        transports.report(self._log)
        environment = Environment(
            entry_points=frozenset(self._servers),
            default_entry_points=default_entry_points(static),
            default_rule_syntax=static.core.default_rule_syntax,
            internal=self._internal,
            transports=transports,
            models=models_of(static),
            surroundings=Surroundings(static, self._log, self._shared, transports.own),
            health=HealthBoard(self._shared, current_wheel(), self._may_probe),
            default_certificate=self._tls.default if self._tls is not None else None,
            strict_tls_options=static.core.strict_tls_options,
            precedence=[name.lower() for name in static.providers.precedence],
            udp_entry_points=[name for name, one in static.entry_points.items() if one.protocol == "udp"],
            flattens=self._flattener is not None,
        )
        changes = Changes(routers=dict(internal_routers(static)), middlewares=dict(internal_middlewares(static)))
        return Runtime(environment).updated(0, changes, lambda: None)

    def _may_probe(self) -> bool:
        """Health checks are made by one worker: the first one that is not about to go."""
        for slot in self._page.live_slots():
            if not slot[Cell.DRAINING]:
                return slot.index == self._slot.index
        return True

    def _answer_api(self, exchange: Exchange) -> None:
        self._api(exchange)

    def _scraper(self) -> Scraping | None:
        """Imported only where it is wanted: the client library is not small."""
        if self._observers.metrics is None:
            return None
        from workers.scraping import Scraping

        return Scraping(self._static, self._page, self._shared, lambda: self._reloader.runtime)

    def _names(self) -> set[str]:
        """Of all routers and services."""
        runtime = self._reloader.runtime
        return runtime.routers.keys() | runtime.services.keys()

    def _swap(self, runtime: Runtime) -> None:
        """Every entry point switches in one go: no other greenlet runs in between."""
        for name, server in self._servers.items():
            server.table = self._table(runtime.tables[name])
            server.secure_table = self._table(runtime.secure_tables[name])
            server.tls_table = runtime.tls_tables[name]
            server.tcp_table = runtime.tcp.tables[name]
        for name, udp_server in self._udp_servers.items():
            udp_server.table = runtime.udp.tables[name]
        before, self._in_force = self._in_force, runtime
        if self._scraping is not None:
            self._scraping.follow(before, runtime)
        if self._observers.metrics is not None:
            self._observers.metrics.reconfigured()

    def _table(self, table: RoutingTable) -> Table:
        """What requests are looked up in."""
        return table if self._flattener is None else FlattenedTable(table, self._flattener)

    @property
    def runtime(self) -> Runtime:
        return self._reloader.runtime

    def start(self) -> None:
        """Begin to accept."""
        for server in self._servers.values():
            server.start()
        for udp_server in self._udp_servers.values():
            udp_server.start()
        for http3_server in self._http3_servers.values():
            http3_server.start()

    def apply(self, descriptors: Sequence[int]) -> None:
        """Switch to the generation in these files (descriptors stay the caller's) and acknowledge it.

        Raises GenerationRefused when it does not hold; the running configuration stays then.
        """
        began = time.monotonic()
        try:
            number = self._reloader.apply(descriptors)
        except GenerationRefused:
            self._slot[Cell.REFUSED_GENERATIONS] += 1
            raise
        self._slot[Cell.GENERATION] = number
        self._log.debug("generation %d applied in %.1f ms", number, (time.monotonic() - began) * 1e3)

    def terminate(self) -> None:
        """Stop gracefully: accept on for the grace period, then close, let work finish, cut what remains.

        Returns when everything is over; the entry points do it side by side.
        """
        self._slot[Cell.DRAINING] = 1
        began = time.monotonic()
        endings = [gevent.spawn(self._terminate_one, name) for name in self._servers]
        endings += [gevent.spawn(self._terminate_udp, name) for name in self._udp_servers]
        gevent.joinall(endings)
        if not wait_for_mirrors(max(began + self._longest_end_seconds() - time.monotonic(), 0.0)):
            self._log.warning("requests to mirrors cut after the grace period")
        self._observers.close()

    def _longest_end_seconds(self) -> float:
        ends = [point.transport.life_cycle for point in self._static.entry_points.values()]
        return max(one.request_accept_grace_timeout_seconds + one.grace_time_out_seconds for one in ends)

    def _terminate_one(self, name: str) -> None:
        server, life_cycle = self._servers[name], self._static.entry_points[name].transport.life_cycle
        gevent.sleep(life_cycle.request_accept_grace_timeout_seconds)
        server.stop_accepting()
        # The last descriptor of a socket that is closed makes the kernel refuse instead of queueing for nobody.
        self._listeners[name].close()
        http3_server = self._http3_servers.get(name)
        if http3_server is not None:
            http3_server.give_way()
        server.close_idle()
        if not _wait_until(lambda: server.is_settled, life_cycle.grace_time_out_seconds):
            self._log.warning("entry point %s: %d connections cut after the grace period", name, server.active)
        server.abort()
        if http3_server is not None:
            http3_server.abort()
            self._listeners[name + SUFFIX].close()

    def _terminate_udp(self, name: str) -> None:
        drain(self._udp_servers[name], self._static.entry_points[name].transport.life_cycle, self._log)
        self._listeners[name].close()

    def quit(self) -> None:
        """Stop at once; what is under way is cut."""
        for server in self._servers.values():
            server.stop_accepting()
            server.abort()
        for udp_server in self._udp_servers.values():
            udp_server.abort()
        for http3_server in self._http3_servers.values():
            http3_server.abort()
        self._observers.close()

    def reopen_logs(self) -> None:
        """USR1: the access log's file may have been moved."""
        self._observers.reopen()


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        gevent.sleep(POLL_SECONDS)
    return True
