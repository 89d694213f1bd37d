"""From an accepted socket to a protocol: look at the first bytes, shake hands where they are TLS.

TLS and plaintext share every entry point. A connection that cannot be served ends here, with the alert that is
due; how that comes about is decided in the `tls` room, from the ClientHello alone.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from OpenSSL import SSL

from tls.alerts import DECODE_ERROR, INTERNAL_ERROR, HandshakeRefused
from tls.hello import ClientHello, Malformed
from tls.server import ServerConnection as TLSConnection
from workers.forwarded import Client, ForwardedPolicy
from workers.http1.options import ConnectionOptions
from workers.http1.server import SETTLE_SECONDS, ServerConnection
from workers.linger import linger
from workers.sniff import local_address, sniff
from workers.stream import Stream, StreamError
from workers.timers import NEVER, TimerWheel
from workers.tls_engine import TLSEngine
from workers.tls_stream import TLSStream

if TYPE_CHECKING:
    from workers.entrypoint import EntryPointServer


class Opening:
    """One connection until its protocol is known; `run` in its own greenlet makes it what it is to be."""

    __slots__ = (
        "_born",
        "_ip",
        "_log",
        "_options",
        "_policy",
        "_port",
        "_server",
        "is_secure",
        "may_end",
        "stream",
    )

    def __init__(
        self,
        stream: Stream,
        ip: str,
        port: int,
        server: EntryPointServer,
        policy: ForwardedPolicy,
        options: ConnectionOptions,
        log: logging.Logger,
    ) -> None:
        self.stream = stream
        self.is_secure = False
        """It turned out to speak TLS."""
        self.may_end = False
        self._ip = ip
        self._port = port
        self._server = server
        self._policy = policy
        self._options = options
        self._log = log
        self._born = stream.wheel.tick

    def run(self) -> ServerConnection | None:
        """The connection ready to be run, or None: it is over and closed."""
        try:
            return self._open()
        except HandshakeRefused as refused:
            self._log.debug("entry point %s: %s: %s", self._server.name, self._ip, refused.reason)
            self._refuse(refused.record)
        except SSL.Error as error:
            self._log.debug("entry point %s: %s: TLS handshake: %r", self._server.name, self._ip, error)
            self._refuse(b"")
        except StreamError:
            pass
        except BaseException:
            self.stream.close()
            raise
        self.stream.close()
        return None

    def _open(self) -> ServerConnection:
        stream, engine = self.stream, self._server.tls
        connection = None
        if engine is not None:
            stream.set_read_deadline(self._until(self._born, self._options.read_ticks))
            hello = sniff(stream)
            if hello is not None:
                self.is_secure = True
                connection = self._secure(stream, hello, engine)
        client = Client(self._ip, self._port, connection is not None, self._server.name, self._policy, connection)
        born = None if connection else self._born
        return ServerConnection(self.stream, client, self._options, self._server, born)

    def _secure(self, stream: Stream, hello: ClientHello | Malformed, engine: TLSEngine) -> TLSConnection:
        """Shake hands; `self.stream` is the secured one afterwards. Raises HandshakeRefused, SSL.Error."""
        table, sock = self._server.tls_table, stream.sock
        if isinstance(hello, Malformed):
            raise HandshakeRefused(hello.reason, DECODE_ERROR)
        if table is None:
            raise HandshakeRefused("TLS is not configured yet", INTERNAL_ERROR)
        selection = table.select(hello, "" if hello.server_name else local_address(sock))
        try:
            connection = engine.connect(selection, sock)
        except SSL.Error as error:
            raise HandshakeRefused(str(error), INTERNAL_ERROR) from error
        self.stream = secured = TLSStream(stream.detach(), stream.wheel, connection)
        self._set_deadlines(secured)
        secured.handshake()
        secured.set_write_deadline(NEVER)
        return connection

    def _set_deadlines(self, stream: TLSStream) -> None:
        until = self._until(stream.wheel.tick, min(self._options.read_ticks, self._options.write_ticks))
        stream.set_read_deadline(until)
        stream.set_write_deadline(until)

    def _until(self, since: int, ticks: int) -> int:
        """The tick of a deadline; a draining entry point has no patience."""
        until = since + ticks
        return min(until, self._settled()) if self._server.draining else until

    def _settled(self) -> int:
        return self.stream.wheel.tick + TimerWheel.ticks(SETTLE_SECONDS)

    def _refuse(self, record: bytes) -> None:
        """Say why and make sure that it arrives: what is unread would turn the close into a reset."""
        if self.stream.closed:
            return
        raw = Stream(self.stream.detach(), self.stream.wheel)
        self.stream = raw
        raw.ready = True
        with contextlib.suppress(StreamError):
            raw.set_write_deadline(self._settled())
            raw.write(record)
            linger(raw)

    @property
    def is_fresh(self) -> bool:
        """Its client has just come and is about to ask for something."""
        return True

    def close_if_idle(self) -> None:
        """Any greenlet: give it a moment. What was accepted is not turned away if that can be helped."""
        until = self._settled()
        self.stream.set_read_deadline(min(self.stream.read_deadline, until))
        self.stream.set_write_deadline(min(self.stream.write_deadline, until))

    def abort(self) -> None:
        """Any greenlet: cut it."""
        self.stream.shutdown()

    def __repr__(self) -> str:
        return f"<Opening {self._ip}:{self._port}{' TLS' if self.is_secure else ''}>"
