"""One client connection that speaks HTTP/3: how it begins, moves, is idle, leaves and ends.

The patience of an entry point (handshake, idleness, age) comes from the wheel. A client is where it has shown to
receive what is sent; before its handshake is complete it must stay where it began (`driving.py`), or a forged
source address would pass for its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from workers.forwarded import Client, ForwardedPolicy
from workers.http1.options import ConnectionOptions
from workers.http3.codes import ErrorCode
from workers.http3.driving import Address, DrivenLink
from workers.http3.quic import QuicErrorCode, ServerQuic
from workers.http3.serving import NOTHING_REFUSED
from workers.timers import NEVER, TimerWheel
from workers.udp.addressing import plain_ip
from workers.upstream.own import release

if TYPE_CHECKING:
    from tls.server import ServerConnection as TLSConnection
    from workers.http3.server import Http3Server

SETTLE_SECONDS: Final = 1.0
"""So long requests under way to us are waited for after the first GOAWAY."""
LAST_BYTES_SECONDS: Final = 3.0
"""A connection that ends waits so long for a client that takes nothing of its last answers."""
HANDSHAKE_SECONDS: Final = 60.0
"""The longest that a handshake may take where the entry point sets no limit."""


class Http3Connection(DrivenLink):
    """Made by Http3Server at a client's first packet; `close` or `abort` ends it, or its client does."""

    def __init__(
        self,
        server: Http3Server,
        quic: ServerQuic,
        address: Address,
        options: ConnectionOptions,
        policy: ForwardedPolicy,
        wheel: TimerWheel,
    ) -> None:
        super().__init__(server, quic, address, options, wheel)
        self.scheduled = NEVER
        self._policy = policy
        self._born = self._idle_since = wheel.tick
        self._queued_bytes, self._moved = 0, wheel.tick
        """What was under way to the client when it changed last, and when that was."""
        self._settled = NEVER
        """The tick when the second GOAWAY is due."""
        limit = min(options.read_ticks, TimerWheel.ticks(HANDSHAKE_SECONDS))
        self._handshake_until = wheel.tick + limit
        wheel.acquire()
        wheel.schedule(self, self._handshake_until)

    def _begin_http(self) -> None:
        self._handshake_until = NEVER
        self._idle_since = self.wheel.tick
        self._server.on_secure(self)
        self.client = self._client_at(self.address)
        self.announce()
        if self.site.draining:
            self.leave()
        self.wheel.schedule(self, self._deadline())

    def _client_at(self, address: Address) -> Client:
        session = cast("TLSConnection", self.quic.tls)  # what is asked of a session, this one answers as well
        peer = address[0]
        return Client(plain_ip(peer[0]), peer[1], True, self._server.name, self._policy, session)

    def _follow_client(self) -> None:
        """It may have moved, and shown that it is there."""
        address = self.quic.proven_address
        if address is not None and address != self.address:
            self.address = address
            own, self.client = self.client.own, self._client_at(address)
            self.client.own = own

    # The end

    def leave(self) -> None:
        """Any greenlet: take no new requests, end when those under way are answered.

        Requests that the client sent before it hears of it are still served: a first GOAWAY shuts nobody out, the
        second one follows when it must have arrived (RFC 9114 section 5.2).
        """
        if self._settled < NEVER or self.first_refused != NOTHING_REFUSED or self.is_over:
            return
        self._settled = self.wheel.tick + TimerWheel.ticks(SETTLE_SECONDS)
        self.say_goaway(NOTHING_REFUSED - 4)
        self.wheel.schedule(self, self._settled)

    def _settle(self) -> None:
        """The client knows: newer requests than the last one are not served."""
        self._settled = NEVER
        self.first_refused = self.largest_stream + 4
        self.say_goaway(self.first_refused)
        self._close_when_sent()

    def rest(self) -> None:
        self._idle_since = self.wheel.tick
        if self.first_refused != NOTHING_REFUSED:
            self._close_when_sent()
        elif not self.is_over:
            self.wheel.schedule(self, self._deadline())

    def _close_when_sent(self) -> None:
        """A close throws away what is not yet acknowledged: the last answers are waited for."""
        if self.is_over or self.running:
            return
        if self._is_sending():
            self.wheel.schedule(self, self.wheel.tick + 1)
        else:
            self.close(ErrorCode.NO_ERROR, "")

    def _is_sending(self) -> bool:
        """Are there answers under way to a client that goes on taking them?"""
        queued, tick = self.quic.queued_bytes(), self.wheel.tick
        if queued != self._queued_bytes:
            self._queued_bytes, self._moved = queued, tick
        return queued > 0 and tick - self._moved < TimerWheel.ticks(LAST_BYTES_SECONDS)

    def _deadline(self) -> int:
        if not self.quic.is_secure:
            return self._handshake_until
        idle_until = NEVER if self.running else self._idle_since + self.options.idle_ticks
        return min(self._settled, idle_until)

    def on_tick(self, tick: int) -> int:
        """Called by the timer wheel."""
        if self.is_over:
            return NEVER
        if self.first_refused != NOTHING_REFUSED:
            self._close_when_sent()
            return NEVER
        if tick < self._deadline():
            return self._deadline()
        if not self.quic.is_secure:
            self.close(int(QuicErrorCode.CONNECTION_REFUSED), "the handshake takes too long")
        elif self._settled <= tick:
            self._settle()
        else:
            self.leave()
        return NEVER if self.is_over else min(self._deadline(), tick + 1)

    def close(self, code: ErrorCode | int, reason: str) -> None:
        """End it now, and tell the client why."""
        if self.is_over:
            return
        is_ours = isinstance(code, ErrorCode)
        frame_type = None if is_ours else 0  # None: what HTTP/3 has to say, not QUIC
        self.quic.close(int(code), frame_type, reason[:100])
        self.break_all("the connection ends")
        for exchange in list(self.exchanges.values()):
            exchange.give_up()
        self.flush()
        self._finish(reason)

    def _finish(self, reason: str) -> None:
        """It is gone: nothing is sent any more."""
        if self.is_over:
            return
        self.is_over = True
        self.break_all(reason or "the connection is gone")
        for exchange in list(self.exchanges.values()):
            exchange.give_up()
        self._disarm()
        if hasattr(self, "client"):  # not before the handshake is done
            release(self.client)
        self.wheel.forget(self)
        self.wheel.release()
        self._server.forget(self)

    def close_if_idle(self) -> None:
        """The entry point stops. As `leave`; what is under way may finish."""
        if self.quic.is_secure:
            self.leave()

    def abort(self) -> None:
        """Cut it whatever it does."""
        self.close(ErrorCode.NO_ERROR, "")

    @property
    def is_fresh(self) -> bool:
        """A request may be under way to us, or our last answers to the client."""
        if self.is_over or not self.quic.is_secure:
            return False
        return self._settled < NEVER or self.largest_stream < 0 or self._is_sending()

    def ends_soon(self) -> bool:
        options = self.options
        return (
            self.site.draining
            or (0 < options.max_requests <= self.served + self.running)
            or self.wheel.tick - self._born >= options.max_age_ticks
        )

    def __repr__(self) -> str:
        return f"<Http3Connection {self.address[0][0]}:{self.address[0][1]} {self.running} running>"
