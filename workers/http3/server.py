"""The UDP socket of an entry point with HTTP/3, in one worker: whose packet is it, and may a connection begin?

The socket belongs to the master, which keeps it open for the worker's successor. Only the process that has the
socket's lease reads it; packets of another worker's connections are handed over. Connections count among those of
the entry point's TCP server, whose tables, limits and end are theirs as well. What strangers can cost is bounded:
so many handshakes under way, from some number on only with those who have shown their address.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from typing import Final

from tls.alerts import INTERNAL_ERROR, HandshakeRefused
from tls.hello import ClientHello
from tls.parsed import ParsedPairs
from tls.server import Selection
from workers.entrypoint import EntryPointServer
from workers.http3 import quic_packets
from workers.http3.connection import Http3Connection
from workers.http3.driving import Address, DrivenLink
from workers.http3.identifiers import Identifiers, destination, is_long, slot_of
from workers.http3.leased import LeasedReader
from workers.http3.quic import ServerQuic, configuration
from workers.http3.relay import Handed, Relay
from workers.http3.strangers import Strangers
from workers.timers import GRANULARITY_SECONDS, NEVER, TimerWheel
from workers.udp.addressing import CONTROL_BYTES, Addressing, answer_from, destination_of, plain_ip
from workers.udp.outbox import Outbox

LARGEST_DATAGRAM_BYTES: Final = 4096
"""More fits into no packet between two networks; the work that one datagram makes grows with it."""
MOST_CONNECTIONS: Final = 2048
"""About 100 KiB each."""
MOST_HALF_OPEN: Final = 512
OLD_HALF_OPEN_SECONDS: Final = 2.0
"""When there are too many, one that has not got further for so long makes room for a newcomer."""
RETRY_FROM: Final = 64
"""With so many handshakes under way newcomers have to show their address first."""
LONGEST_IDLE_SECONDS: Final = 600.0
"""What we tell clients where the entry point knows no limit."""
_LOG_TICKS: Final = 600


class Http3Server(LeasedReader):
    """Serves one socket for `site`. All methods from the hub or its greenlets."""

    def __init__(
        self,
        twin: str,
        site: EntryPointServer,
        sock: socket.socket,
        identifiers: Identifiers,
        relay: Relay,
        pairs: ParsedPairs,
        log: logging.Logger,
    ) -> None:
        self.name = site.name
        self.site = site
        self.connections: set[Http3Connection] = set()
        self._unfinished: dict[Http3Connection, int] = {}
        """Handshakes under way, the oldest first, by the tick when they began."""
        self.refused = 0
        """First packets that came to nothing because there was too much already."""
        self._twin = twin
        self._identifiers = identifiers
        self._relay = relay
        self._pairs = pairs
        self._log = log
        super().__init__(sock)
        self._addressing = Addressing(sock)
        self._outbox = Outbox(sock, lambda error: None)
        self._strangers = Strangers(identifiers.retry_key(), site.wheel, self.send)
        self._options = site.options
        idle_ticks = self._options.idle_ticks
        idle_seconds = LONGEST_IDLE_SECONDS if idle_ticks >= NEVER else (idle_ticks - 1) * GRANULARITY_SECONDS
        self._settings = configuration(min(idle_seconds, LONGEST_IDLE_SECONDS))
        self._by_id: dict[bytes, DrivenLink] = {}
        self._logged = -_LOG_TICKS
        self._takes_new = True

    @property
    def half_open(self) -> int:
        """Handshakes under way."""
        return len(self._unfinished)

    def start(self) -> None:
        """Read as soon as no other process does; take at once what others hand over."""
        self._relay.start(self._twin, self._take_handed)
        super().start()

    def give_way(self) -> None:
        """Begin no connection any more and let another process read; if there is none, read on."""
        super().give_way()
        self._takes_new = False

    def on_handed_over(self, pid: int) -> None:
        """After a binary upgrade no packet comes back from there: clients are told instead of being left alone."""
        if not self._relay.is_linked_to(pid):
            for connection in list(self.connections):
                connection.abort()

    def abort(self) -> None:
        """End every connection and stop to read. The socket stays open, it is its owner's."""
        for connection in list(self.connections):
            connection.abort()
        self.stop()
        self._relay.stop(self._twin)
        self._outbox.close()

    # --- packets

    def read_one(self) -> bool:
        """Take one datagram; False if there is none."""
        local = b""
        try:
            if self._addressing.is_wildcard:
                data, control, _, peer = self._socket.recvmsg(LARGEST_DATAGRAM_BYTES + 1, CONTROL_BYTES)
                local = destination_of(control)
            else:
                data, peer = self._socket.recvfrom(LARGEST_DATAGRAM_BYTES + 1)
        except OSError:  # mostly: nothing there
            return False
        if 0 < len(data) <= LARGEST_DATAGRAM_BYTES:
            try:
                self._take(data, (peer, local))
            except Exception:  # an error here would end the reading for all clients
                self.report_crash(self)
        return True

    def _take(self, data: bytes, address: Address) -> None:
        connection_id = destination(data)
        connection = self._by_id.get(connection_id)
        if connection is not None:
            connection.receive(data, address)
            return
        if is_long(data):
            first = quic_packets.judge(data)
            if isinstance(first, quic_packets.First):
                self._consider(first, data, address)
                return
            if first is not None:
                self._strangers.answer(first, address)
                return
        packet = Handed(self._twin, address[0], address[1], data)
        if not self._relay.hand_over(slot_of(connection_id), packet) and not is_long(data):
            self._strangers.answer(self._identifiers.stateless_reset(data), address)

    def _take_handed(self, packet: Handed) -> None:
        address = packet.peer, packet.local
        connection = self._by_id.get(destination(packet.data))
        if connection is not None:
            connection.receive(packet.data, address)
        elif not is_long(packet.data):
            self._strangers.answer(self._identifiers.stateless_reset(packet.data), address)

    def send(self, data: bytes, address: Address) -> None:
        """To a client, from the address that it wrote to."""
        self._outbox.send(data, answer_from(address[1]), address[0])

    # --- new connections

    def _consider(self, first: quic_packets.First, data: bytes, address: Address) -> None:
        peer = address[0]
        if not self._takes_new or not peer[1] or self._addressing.is_own(peer):
            return
        if len(self.connections) >= MOST_CONNECTIONS:
            self._refuse()
            return
        original = self._strangers.original_id(first, address)
        if original is None and self.half_open >= RETRY_FROM:
            self._strangers.retry(first, address)
            return
        if not self._has_made_room():
            self._refuse()
            return
        self._begin(first.destination, original, data, address)

    def _has_made_room(self) -> bool:
        """For one more handshake: clients that begin and never go on do not keep others out."""
        if self.half_open < MOST_HALF_OPEN:
            return True
        oldest, begun = next(iter(self._unfinished.items()))
        if self.site.wheel.tick - begun < TimerWheel.ticks(OLD_HALF_OPEN_SECONDS):
            return False
        oldest.abort()
        return True

    def _begin(self, destination_id: bytes, original_id: bytes | None, data: bytes, address: Address) -> None:
        """`original_id`: what the client wanted before we told it to use `destination_id`."""
        has_retried = original_id is not None
        quic = ServerQuic(
            self._settings,
            self._identifiers,
            lambda hello: self.select(hello, address[1]),
            self._pairs,
            self._options.max_concurrent_streams,
            original_id if original_id is not None else destination_id,
            destination_id if has_retried else None,
        )
        connection = Http3Connection(self, quic, address, self._options, self.site.policy, self.site.wheel)
        self.connections.add(connection)
        self._unfinished[connection] = self.site.wheel.tick
        for known in connection.known_ids:
            self._by_id[known] = connection
        self.site.adopt(connection)
        connection.receive(data, address)
        if not quic.has_begun:  # nothing in it could be read
            connection.abort()

    def _refuse(self) -> None:
        self.refused += 1
        tick = self.site.wheel.tick
        if tick - self._logged >= _LOG_TICKS:
            self._logged = tick
            self._log.warning("entry point %s: too many HTTP/3 connections, %d refused", self.name, self.refused)

    def select(self, hello: ClientHello, local: bytes) -> Selection:
        """Option and certificate of a handshake. Raises HandshakeRefused."""
        table = self.site.tls_table
        if table is None:
            raise HandshakeRefused("TLS is not configured yet", INTERNAL_ERROR)
        host = str(ipaddress.ip_address(local)) if local else self._addressing.host
        return table.select(hello, "" if hello.server_name else plain_ip(host))

    # --- from connections

    def on_secure(self, connection: Http3Connection) -> None:
        """Its handshake is complete: the id that the client began with is not used any more."""
        self._unfinished.pop(connection, None)
        self.unlearn(connection, connection.quic.original_id)

    def learn(self, connection: DrivenLink, connection_id: bytes) -> None:
        connection.known_ids.add(connection_id)
        self._by_id[connection_id] = connection

    def unlearn(self, connection: DrivenLink, connection_id: bytes) -> None:
        connection.known_ids.discard(connection_id)
        self._by_id.pop(connection_id, None)

    def forget(self, connection: Http3Connection) -> None:
        """It is over."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        self._unfinished.pop(connection, None)
        for known in connection.known_ids:
            self._by_id.pop(known, None)
        self.site.release(connection)

    def report_crash(self, culprit: object) -> None:
        """Log the exception that is being handled, if that was not done just now."""
        tick = self.site.wheel.tick
        if tick - self._logged >= _LOG_TICKS:
            self._logged = tick
            self._log.exception("entry point %s: %r", self.name, culprit)

    def __repr__(self) -> str:
        return f"<Http3Server {self.name}, {len(self.connections)} connections, reading={self.is_reading}>"
