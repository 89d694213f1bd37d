"""An entry point in one worker: takes connections from its listening socket and ends them.

The socket belongs to the master, which keeps it open for the worker's successor; here it is only read. A few
connections are taken each time it stirs, so that workers share a burst.
"""

from __future__ import annotations

import errno
import logging
import socket
from typing import Any, Final

from gevent import get_hub

from config.control_page import Cell, Slot
from config.static import EntryPoint
from tls.selection import TLSTable
from workers import greenlets
from workers.dates import DateLine
from workers.exchange import Request
from workers.forwarded import ForwardedPolicy
from workers.http1.options import ConnectionOptions, Observer, Table
from workers.http1.target import TargetPolicy
from workers.metrics import Metrics
from workers.opening import Connection, Opening, Served
from workers.proxied import ProxyPolicy
from workers.stream import Stream
from workers.tcp.table import NO_ROUTES
from workers.timers import TimerWheel, current_wheel
from workers.tls_engine import TLSEngine

ACCEPTS_PER_WAKE: Final = 16
PAUSE_SECONDS: Final = 0.25
"""Rest after the process ran out of descriptors."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_GONE: Final = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH)
"""The connection was lost before it was taken (accept(2)); the next one may be fine."""
_KEEP_ALIVE_PROBE_SECONDS: Final = 180
_READ: Final = 1


class EntryPointServer:
    """Accepts and serves. All methods from greenlets of the worker's hub.

    `table` or `secure_table` is read once a request, `tls_table` and `tcp_table` once a connection.
    """

    def __init__(
        self,
        name: str,
        options: EntryPoint,
        listener: socket.socket,
        slot: Slot,
        log: logging.Logger,
        wheel: TimerWheel | None = None,
        tls: TLSEngine | None = None,
    ) -> None:
        """`tls` None: everything is taken for plaintext."""
        self.name = name
        self.table: Table | None = None
        self.secure_table: Table | None = None
        self.tls_table: TLSTable | None = None
        self.tcp_table = NO_ROUTES
        self.tls = tls
        self.draining = False
        self.observer: Observer | None = None
        self.metrics: Metrics | None = None
        """Where to say how many connections are open."""
        self.active = 0
        """Requests and tunnels under way."""
        self.served = 0
        self.wheel = wheel or current_wheel()
        self.date = DateLine()
        self._listener = listener
        self._family = int(listener.family)
        self._slot = slot
        self._log = log
        self.policy = ForwardedPolicy(options)
        self.options = _connection_options(options)
        self._proxied = ProxyPolicy(options.proxy_protocol) if options.proxy_protocol is not None else None
        self._connections: set[Connection] = set()
        self._published = (0, 0, 0)
        self._hub: Any = get_hub()
        self._watcher: Any = None
        self._resume: Any = None

    def start(self) -> None:
        """Begin to accept."""
        listener = self._listener
        listener.setblocking(False)
        # What a listening socket is set to, its connections inherit.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_ALIVE_PROBE_SECONDS)
        self.wheel.every_tick(self._on_tick)
        self._watcher = self._hub.loop.io(listener.fileno(), _READ)
        self._watcher.start(self._accept_some)

    def _accept_some(self) -> None:
        for _ in range(ACCEPTS_PER_WAKE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Take one connection; False if there is none, or none can be taken now."""
        try:
            descriptor, address = self._listener._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._pause(error)
                return False
            if error.errno in _GONE:
                return True
            raise
        connection = socket.socket(self._family, socket.SOCK_STREAM, 0, descriptor)
        connection.setblocking(False)
        stream = Stream(connection, self.wheel)
        opening = Opening(
            stream,
            _peer_ip(address),
            address[1],
            self,
            self.policy,
            self.options,
            self._log,
            self._proxied,
        )
        self._connections.add(opening)
        greenlets.start(self._serve, opening)
        return True

    def _serve(self, opening: Opening) -> None:
        connections = self._connections
        one: Opening | Served = opening
        try:
            served = opening.run()
            while served is not None:
                connections.discard(one)
                connections.add(served)
                one = served
                served = served.run()
        except Exception:
            self._log.exception("entry point %s: %r", self.name, one)
        finally:
            connections.discard(one)
            if not self._connections:
                self._publish()

    def adopt(self, connection: Connection) -> None:
        """One more connection, which came by another way than the listening socket and runs by itself."""
        self._connections.add(connection)

    def release(self, connection: Connection) -> None:
        """It is over."""
        self._connections.discard(connection)
        if not self._connections:
            self._publish()

    def _pause(self, error: OSError) -> None:
        self._log.error("entry point %s: cannot accept: %s", self.name, error.strerror)
        if self._watcher is None:  # stopping: who waits in the queue is refused
            return
        self._watcher.stop()
        self._resume = self._hub.loop.timer(PAUSE_SECONDS)
        self._resume.start(self._watcher.start, self._accept_some)

    def stop_accepting(self) -> None:
        """Take what waits in the queue already, then no more. The socket stays open, it is its owner's."""
        self._drain()
        if self._watcher is None:
            return
        if self._resume is not None:
            self._resume.stop()
            self._resume.close()
            self._resume = None
        self._watcher.stop()
        self._watcher.close()
        self._watcher = None
        while self._accept_one():
            pass

    def close_idle(self) -> None:
        """End connections that wait for a request; the others end with the response under way."""
        self._drain()
        for connection in list(self._connections):
            connection.close_if_idle()

    def abort(self) -> None:
        """Cut every connection."""
        self._drain()
        for connection in list(self._connections):
            connection.abort()

    def _drain(self) -> None:
        """From now on every response is its connection's last."""
        self.draining = True
        for connection in self._connections:
            connection.may_end = True

    def report_crash(self, request: Request) -> None:
        """Log the exception that is being handled."""
        self._log.exception("entry point %s: %s %s failed", self.name, request.method, request.raw_target)

    def _on_tick(self) -> None:
        self.date.refresh()
        self._publish()

    def _publish(self) -> None:
        """Add to the worker's counters what changed here; other entry points of the worker do the same."""
        now = len(self._connections), self.active, self.served
        before, self._published = self._published, now
        if now != before:
            slot = self._slot
            for cell, new, old in zip(_CELLS, now, before, strict=True):
                slot[cell] += new - old
            if self.metrics is not None and now[0] != before[0]:
                self.metrics.set_open(self.name, now[0])

    @property
    def is_settled(self) -> bool:
        """No request is under way, nor one about to come on a connection just made."""
        return not self.active and not any(connection.is_fresh for connection in self._connections)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def __repr__(self) -> str:
        return f"<EntryPointServer {self.name}, {len(self._connections)} connections, {self.active} active>"


_CELLS: Final = (Cell.OPEN_CONNECTIONS, Cell.ACTIVE_REQUESTS, Cell.REQUESTS_TOTAL)


def _peer_ip(address: tuple[Any, ...]) -> str:
    """Text of the peer's address; an IPv4 peer of an IPv6 socket in its IPv4 form."""
    ip: str = address[0]
    return ip.removeprefix("::ffff:") if ip.startswith("::ffff:") and "." in ip else ip


def _connection_options(options: EntryPoint) -> ConnectionOptions:
    timeouts, http = options.transport.responding_timeouts, options.http
    return ConnectionOptions(
        read_timeout_seconds=timeouts.read_timeout_seconds,
        write_timeout_seconds=timeouts.write_timeout_seconds,
        idle_timeout_seconds=timeouts.idle_timeout_seconds,
        keep_alive_max_requests=options.transport.keep_alive_max_requests,
        keep_alive_max_time_seconds=options.transport.keep_alive_max_time_seconds,
        max_header_bytes=http.max_header_bytes,
        target_policy=TargetPolicy(http.sanitize_path, http.encode_query_semicolons),
        max_concurrent_streams=options.http2.max_concurrent_streams,
        max_decoder_table_bytes=options.http2.max_decoder_header_table_size,
        max_encoder_table_bytes=options.http2.max_encoder_header_table_size,
    )
