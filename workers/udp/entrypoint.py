"""A UDP entry point in one worker: takes datagrams from its socket and finds, or opens, their sessions.

The socket belongs to the master, which keeps it open for the worker's successor; the kernel brings all datagrams
of one client to the same worker's socket. Only the process that has the socket's lease reads it, so that a flow
never meets two. Everything happens in callbacks of the hub, a bounded number of datagrams each time.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Hashable
from typing import Any, Final

from gevent import get_hub

from workers.timers import TimerWheel, current_wheel
from workers.udp.addressing import CONTROL_BYTES, Addressing, OwnAddresses, Peer, answer_from, destination_of
from workers.udp.backlog import Budget
from workers.udp.drops import Drop, Drops
from workers.udp.lease import Lease
from workers.udp.names import Names
from workers.udp.outbox import Outbox
from workers.udp.runtime import NO_ROUTER, UDPTable
from workers.udp.services import UDPTarget
from workers.udp.session import LARGEST_DATAGRAM_BYTES, NoDescriptor, Session
from workers.udp.table import SessionTable
from workers.upstream.dial import Address

DATAGRAMS_PER_WAKE: Final = 64
LEASE_SECONDS: Final = 0.1
"""How often a worker that may not read asks whether it may."""
MOST_SESSIONS: Final = 16384
_DRAINED_DATAGRAMS: Final = 4096
_READ: Final = 1


class UDPEntryPointServer:
    """Serves one socket. All methods from the hub or its greenlets; `table` is read once a session."""

    def __init__(
        self,
        name: str,
        timeout_seconds: float,
        sock: socket.socket,
        log: logging.Logger,
        names: Names | None = None,
        wheel: TimerWheel | None = None,
        most_sessions: int = MOST_SESSIONS,
        own: OwnAddresses | None = None,
    ) -> None:
        """`own`: where other entry points are; this one is added."""
        self.name = name
        self.table: UDPTable = NO_ROUTER
        self.wheel = wheel or current_wheel()
        self.idle_ticks = TimerWheel.ticks(timeout_seconds)
        self.drops = Drops(name, log)
        self.buffer = memoryview(bytearray(LARGEST_DATAGRAM_BYTES))
        self.budget = Budget()
        self.sessions: SessionTable[Session] = SessionTable(most_sessions)
        self.opened = 0
        """Sessions since the start."""
        self._names = names or Names(self.wheel)
        self._socket = sock
        sock.setblocking(False)
        self._addressing = Addressing(sock)
        self._own = own if own is not None else OwnAddresses()
        self._own.add(self._addressing)
        self._lease = Lease(sock)
        self._outbox = Outbox(sock, self._lost_answer)
        self._takes_new = True
        self._reader: Any = None
        self._waiter: Any = None

    # --- who reads

    def start(self) -> None:
        """Read as soon as no other process does."""
        if not self._lease.take():
            if self._waiter is None:
                self._waiter = get_hub().loop.timer(LEASE_SECONDS, LEASE_SECONDS)
                self._waiter.start(self.start)
            return
        self._stop_waiting()
        self._reader = get_hub().loop.io(self._socket.fileno(), _READ)
        self._reader.start(self._read_some)

    @property
    def is_reading(self) -> bool:
        return self._reader is not None

    def give_way(self) -> None:
        """Take what waits in the queue, then let another process read; sessions still pass answers on."""
        if self._reader is not None and self._lease.is_held():
            for _ in range(_DRAINED_DATAGRAMS):
                if not self._read_one():
                    break
        self._stop_reading()
        self._lease.give_up()

    @property
    def has_successor(self) -> bool:
        """Another process reads the socket now."""
        return self._lease.is_others()

    def refuse_new(self) -> None:
        """Go on with the sessions there are, and wait for them: clients without one are not heard."""
        self._takes_new = False
        if self._reader is None:
            self.start()

    def abort(self) -> None:
        """End every session and stop to read. The socket stays open, it is its owner's."""
        self._stop_reading()
        self._lease.give_up()
        for session in self.sessions:
            session.end()
        self._outbox.close()
        self.drops.report()

    def _stop_reading(self) -> None:
        self._stop_waiting()
        if self._reader is not None:
            self._reader.stop()
            self._reader.close()
            self._reader = None

    def _stop_waiting(self) -> None:
        if self._waiter is not None:
            self._waiter.stop()
            self._waiter.close()
            self._waiter = None

    # --- from clients

    def _read_some(self) -> None:
        if not self._lease.is_held():
            self._stop_reading()
            self.start()
            return
        for _ in range(DATAGRAMS_PER_WAKE):
            if not self._read_one():
                return

    def _read_one(self) -> bool:
        """Take one datagram; False if there is none."""
        local = b""
        try:
            if self._addressing.is_wildcard:
                size, control, _, peer = self._socket.recvmsg_into((self.buffer,), CONTROL_BYTES)
                local = destination_of(control)
            else:
                size, peer = self._socket.recvfrom_into(self.buffer)
        except OSError:  # mostly: nothing there
            return False
        self._take(peer, local, self.buffer[:size])
        return True

    def _take(self, peer: Peer, local: bytes, data: memoryview) -> None:
        key = (peer, local)
        session = self.sessions.find(key)
        if session is not None:
            if session.has_answered and not session.is_proven:
                session.is_proven = True
                self.sessions.prove(key)
            if session.send(data):
                return
        target = self._target_for(peer)
        if target is not None:
            self._open(key, peer, local, target).send_first(data)

    def _target_for(self, peer: Peer) -> UDPTarget | None:
        """The server for a new session of this client, None if it gets none; then the drop is counted."""
        reason = Drop.NO_SERVER
        if self.table.balancer is None:
            reason = Drop.NO_ROUTER
        elif not self._takes_new:
            reason = Drop.STOPPING
        elif not peer[1] or peer in self._own:
            reason = Drop.FROM_OURSELVES
        else:
            target = self.table.pick()
            if target is not None:
                return target
        self.drops.count(reason)
        return None

    def _open(self, key: Hashable, peer: Peer, local: bytes, target: UDPTarget) -> Session:
        """A new session; it is over already if there is no way to the server."""
        if self.sessions.is_full:
            self._give_up_one()
        session = Session(self, key, peer, answer_from(local))
        self.sessions.add(key, session)
        self.opened += 1
        addresses = self._names.known(target)
        if addresses is None:
            self._names.ask(target, lambda found: self._connect(session, found))
        else:
            self._connect(session, addresses)
        return session

    def _connect(self, session: Session, addresses: list[Address]) -> None:
        """If descriptors are short, another session is given up for it."""
        try:
            session.connect(addresses)
        except NoDescriptor:
            self._give_up_one(but=session)
            try:
                session.connect(addresses)
            except NoDescriptor:
                self.drops.count(Drop.NO_DESCRIPTOR)
                session.end()

    def _give_up_one(self, but: Session | None = None) -> None:
        oldest = self.sessions.oldest()
        if oldest is not None and oldest is not but:
            self.drops.count(Drop.TOO_MANY_SESSIONS)
            oldest.end()

    # --- from servers, called by sessions

    def answer(self, session: Session, data: memoryview) -> None:
        """Send to the session's client, from the address that it wrote to."""
        self._outbox.send(data, session.ancillary, session.peer)

    def _lost_answer(self, error: OSError | None) -> None:
        self.drops.count(Drop.CLIENT_SLOW if error is None else Drop.CLIENT_UNREACHABLE)

    def leads_back(self, upstream: socket.socket) -> bool:
        """Does the connected socket send to one of our own entry points?"""
        return upstream.getpeername() in self._own

    def ended(self, session: Session) -> None:
        self.sessions.remove(session.key)

    @property
    def is_settled(self) -> bool:
        """No session is left to wait for."""
        return not self.sessions

    def __repr__(self) -> str:
        return f"<UDPEntryPointServer {self.name}, {len(self.sessions)} sessions, reading={self.is_reading}>"
