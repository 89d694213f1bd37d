"""One QUIC connection with its packets and timers: what comes is given to it, what it has to say is sent.

Nothing here waits. What handlers want to send within one turn of the loop leaves together, and there is one timer
of the hub for whatever is due next.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

from workers.http1.options import ConnectionOptions
from workers.http3.codes import ConnectionFault, ErrorCode
from workers.http3.quic import ServerQuic, events
from workers.http3.serving import NOTHING_REFUSED, ServingLink
from workers.timers import TimerWheel
from workers.udp.addressing import Peer

if TYPE_CHECKING:
    from workers.http3.server import Http3Server

_SOONEST_SECONDS: Final = 0.001
Address = tuple[Peer, bytes]
"""Where a client is, and the address of ours that it wrote to."""


class DrivenLink(ServingLink):
    """`receive` for each datagram. The subclass says how a connection begins and ends."""

    def __init__(
        self,
        server: Http3Server,
        quic: ServerQuic,
        address: Address,
        options: ConnectionOptions,
        wheel: TimerWheel,
    ) -> None:
        super().__init__(quic, options, server.site, wheel)
        self.address = address
        """Where the client was seen last that it is known to receive at."""
        self.is_over = False
        self.known_ids: set[bytes] = {quic.original_id, *quic.own_ids}
        """Under which the server finds it."""
        self._server = server
        self._is_dirty = False
        self._timer: Any = None
        self._armed_for = 0.0

    @abstractmethod
    def close(self, code: ErrorCode | int, reason: str) -> None:
        """End it now, and tell the client why."""

    @abstractmethod
    def _finish(self, reason: str) -> None:
        """It is gone: nothing is sent any more."""

    @abstractmethod
    def _begin_http(self) -> None:
        """The handshake is complete."""

    @abstractmethod
    def _follow_client(self) -> None:
        """The client may have moved, and shown that it is there."""

    @abstractmethod
    def _close_when_sent(self) -> None:
        """Close if nothing is left to be done."""

    def receive(self, data: bytes, address: Address) -> None:
        """One datagram of this connection."""
        if self.is_over or (not self.quic.is_secure and address != self.address):
            return
        try:
            self.quic.receive_datagram(data, address, time.monotonic())
        except Exception:  # a packet that aioquic has not expected must not reach the entry point's other clients
            self._server.report_crash(self)
            self._finish("a packet could not be read")
            return
        self._take_events()
        self.touch()

    def touch(self) -> None:
        if not self._is_dirty and not self.is_over:
            self._is_dirty = True
            self._loop.run_callback(self.flush)

    def flush(self) -> None:
        """Send what is due, and see to it that the next thing that is due is not forgotten."""
        self._is_dirty = False
        if self.is_over or not self.quic.has_begun:
            return
        now = time.monotonic()
        try:
            datagrams = self.quic.datagrams_to_send(now)
        except Exception:
            self._server.report_crash(self)
            self._finish("packets could not be made")
            return
        for data, address in datagrams:
            self._server.send(data, address)
        self._take_events()
        if self.quic.is_over:
            self._finish("closed")
            return
        if self._waiting:
            self.pass_on()
        if self.first_refused != NOTHING_REFUSED:
            self._close_when_sent()
        if not self.is_over:
            self._arm(now)

    def _arm(self, now: float) -> None:
        """One timer of the hub; it may fire early, and looks again then."""
        due = self.quic.get_timer()
        if due is None or (self._timer is not None and self._armed_for <= due):
            return
        self._disarm()
        self._armed_for = due
        self._timer = self._loop.timer(max(due - now, _SOONEST_SECONDS))
        self._timer.start(self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _on_timer(self) -> None:
        self._disarm()
        now = time.monotonic()
        due = self.quic.get_timer()
        if due is not None and due <= now:
            try:
                self.quic.handle_timer(now)
            except Exception:
                self._server.report_crash(self)
                self._finish("a timer failed")
                return
            self._take_events()
        self.flush()

    def _take_events(self) -> None:
        try:
            while not self.is_over and (event := self.quic.next_event()) is not None:
                if isinstance(event, events.HandshakeCompleted):
                    self._begin_http()
                elif isinstance(event, events.ConnectionIdIssued):
                    self._server.learn(self, event.connection_id)
                elif isinstance(event, events.ConnectionIdRetired):
                    self.spend("retired connection ids")
                    self._server.unlearn(self, event.connection_id)
                elif isinstance(event, events.ConnectionTerminated):
                    self._finish(event.reason_phrase)
                else:
                    self._follow_client()
                    self.on_event(event)
        except ConnectionFault as fault:
            self.close(fault.code, fault.reason)
        except Exception:  # whoever called reads for all clients and must not hear of it
            self._server.report_crash(self)
            self._finish("an event could not be handled")
