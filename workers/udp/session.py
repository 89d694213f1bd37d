"""One client and the server that was chosen for it: datagrams both ways, until nothing comes for a while.

The server is reached through a connected socket of the session's own, so answers find their session by
themselves and a server that refuses is noticed (ICMP). What the client sends while the server's name is being
asked for waits here, bounded; a reload touches nothing of it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Hashable
from typing import Any, Final, Protocol

from gevent import get_hub

from workers.timers import NEVER, TimerWheel
from workers.udp.addressing import Ancillary, Peer
from workers.udp.backlog import Backlog, Budget
from workers.udp.drops import Drop, Drops
from workers.upstream.dial import Address

ANSWERS_PER_WAKE: Final = 16
LARGEST_DATAGRAM_BYTES: Final = 65535
_READ: Final = 1
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)


class Owner(Protocol):
    """The entry point, as its sessions see it."""

    wheel: TimerWheel
    idle_ticks: int
    drops: Drops
    buffer: memoryview
    budget: Budget

    def answer(self, session: Session, data: memoryview) -> None: ...
    def leads_back(self, upstream: socket.socket) -> bool: ...
    def ended(self, session: Session) -> None: ...


class NoDescriptor(Exception):
    """The process has no descriptor left for a session."""


class Session:
    """Hub and its greenlets only; no method switches. `key` is where the table of sessions has it."""

    __slots__ = (
        "_deadline",
        "_owner",
        "_upstream",
        "_waiting",
        "_watcher",
        "ancillary",
        "has_answered",
        "is_over",
        "is_proven",
        "key",
        "peer",
        "scheduled",
    )

    def __init__(self, owner: Owner, key: Hashable, peer: Peer, ancillary: Ancillary) -> None:
        """It must be ended by `end`, once."""
        self.key = key
        self.peer = peer
        self.ancillary = ancillary
        self.has_answered = False
        self.is_over = False
        self.is_proven = False
        self.scheduled = NEVER
        self._owner = owner
        self._upstream: socket.socket | None = None
        self._watcher: Any = None
        self._waiting = Backlog(owner.budget)
        owner.wheel.acquire()
        self._deadline = owner.wheel.tick + owner.idle_ticks
        owner.wheel.schedule(self, self._deadline)

    def connect(self, addresses: list[Address]) -> None:
        """To the first address that there is a way to, then send what waits. It is over if there is none.

        Raises NoDescriptor; the session is as before then.
        """
        if self.is_over:
            return
        reason = Drop.SERVER_UNREACHABLE if addresses else Drop.UNRESOLVED
        for address in addresses:
            upstream = _connected(address)
            if upstream is not None and self._owner.leads_back(upstream):
                upstream.close()
                reason = Drop.LEADS_BACK
            elif upstream is not None:
                self._use(upstream)
                return
        self._owner.drops.count(reason, len(self._waiting) or 1)
        self._waiting.clear()
        self.end()

    def _use(self, upstream: socket.socket) -> None:
        self._upstream = upstream
        self._watcher = get_hub().loop.io(upstream.fileno(), _READ)
        self._watcher.start(self._on_answers)
        while not self.is_over and (data := self._waiting.take()) is not None:
            self._pass_on(upstream, data)

    def send_first(self, data: memoryview) -> None:
        """The datagram that it was opened for; no effect if there was no way to the server."""
        if not self.is_over:
            self.send(data)

    def send(self, data: memoryview) -> bool:
        """One datagram of the client. False if it was not taken because the session is over now."""
        self._deadline = self._owner.wheel.tick + self._owner.idle_ticks
        if self._upstream is None:
            dropped = self._waiting.keep(bytes(data))
            if dropped:
                self._owner.drops.count(Drop.WAITING_TOO_MANY, dropped)
            return True
        return self._pass_on(self._upstream, data)

    def _pass_on(self, upstream: socket.socket, data: memoryview | bytes) -> bool:
        try:
            upstream.send(data)
        except BlockingIOError:
            self._owner.drops.count(Drop.SERVER_SLOW)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self._owner.drops.count(Drop.TOO_LARGE)
                return True
            # told of an earlier datagram (ICMP), so this one has not been sent
            self.end()
            return False
        return True

    def _on_answers(self) -> None:
        owner, upstream = self._owner, self._upstream
        assert upstream is not None
        self._deadline = owner.wheel.tick + owner.idle_ticks
        for _ in range(ANSWERS_PER_WAKE):
            try:
                size = upstream.recv_into(owner.buffer)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EMSGSIZE:  # of an earlier datagram, met by a narrow link on the way
                    continue
                self.end()
                return
            self.has_answered = True
            owner.answer(self, owner.buffer[:size])
            if self.is_over:
                return

    def on_tick(self, tick: int) -> int:
        """Called by the timer wheel."""
        if tick < self._deadline:
            return self._deadline
        self.end()
        return NEVER

    def end(self) -> None:
        """Close the socket and leave the table; what the server says from now on, nobody hears."""
        if self.is_over:
            return
        self.is_over = True
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None
        if self._waiting:
            self._owner.drops.count(Drop.UNRESOLVED, len(self._waiting))
            self._waiting.clear()
        self._owner.wheel.forget(self)
        self._owner.wheel.release()
        self._owner.ended(self)

    def __repr__(self) -> str:
        return f"<Session of {self.peer[0]}:{self.peer[1]}{' over' if self.is_over else ''}>"


def _connected(address: Address) -> socket.socket | None:
    """A socket for one server, None if there is no way to it. Raises NoDescriptor."""
    try:
        upstream = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise NoDescriptor from error
        return None  # no IPv6 in this kernel
    try:
        upstream.connect(address.name)
    except OSError:
        upstream.close()
        return None
    return upstream
