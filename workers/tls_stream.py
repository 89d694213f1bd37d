"""A byte stream through TLS: all that `Stream` offers, over a pyOpenSSL connection on the same descriptor.

OpenSSL reads and writes the descriptor itself and says which of the two it is waiting for; the greenlet is
parked on the same watchers as without TLS. No bytes are left inside OpenSSL after a read of at least a whole
record, so a readable socket goes on being what wakes a reader; where less was taken, `_more` says so.

After a close the descriptor's number may belong to somebody else, and OpenSSL would not notice: from then on
no call reaches it.
"""

from __future__ import annotations

import errno
import socket
from typing import NoReturn

from greenlet import getcurrent
from OpenSSL import SSL

from tls.openssl import RECORD_BYTES, clear_errors, transfer
from workers.stream import READ_BYTES, Stream, StreamBroken
from workers.timers import TimerWheel


class TLSStream(Stream):
    """A connected, non-blocking socket and the TLS connection on it. Call `handshake` before anything else.

    `connection` is for questions about the peer and the session; I/O is for the stream alone. A TCP end without
    TLS's own is StreamBroken to a reader: somebody may have cut the stream.
    """

    __slots__ = ("_farewell", "_last", "_more", "_unsent", "_waits_for_room", "connection")

    def __init__(self, sock: socket.socket, wheel: TimerWheel, connection: SSL.Connection) -> None:
        super().__init__(sock, wheel)
        self.connection = connection
        self._receive, self._send = transfer(connection)
        self._more = False
        """OpenSSL may hold what the next read is to return, an end or an error included."""
        self._last = False
        """No reader waits any more: what has arrived, then the end."""
        self._farewell = False
        """May a close_notify be sent? Not before the handshake, not twice, not after a failure."""
        self._unsent = False
        """OpenSSL holds a record that the kernel did not take: only the same bytes may be written next."""
        self._waits_for_room = False
        """The reader waits until OpenSSL can write (an answer to the peer's key update)."""

    def handshake(self) -> None:
        """Until it is done. Raises StreamTimeout, StreamBroken, and SSL.Error where it fails.

        Both deadlines count; an alert that is due has been sent.
        """
        while True:
            try:
                self.connection.do_handshake()
                break
            except SSL.WantReadError:
                self.wait_readable()
            except SSL.WantWriteError:
                self.wait_writable()
            except SSL.SysCallError as error:
                raise self._broken(error) from error
            except SSL.Error:
                clear_errors()
                raise
        self._farewell = True
        self._more = True  # a first request often comes with the last message of the handshake

    # Reading

    def read(self, limit_bytes: int = READ_BYTES) -> bytes:
        size = min(limit_bytes, RECORD_BYTES)
        while True:
            if self._more or self._last:
                self._more = False
            else:
                self.wait_readable()
            try:
                data = self._receive(size)
            except SSL.WantReadError:
                if self._last:
                    return b""
                continue
            except SSL.WantWriteError:
                self._wait_for_room()
                continue
            except SSL.ZeroReturnError:
                self._more = True
                return b""
            except (SSL.Error, OSError) as error:
                raise self._broken(error) from error
            if len(data) < size:
                return data
            return self._read_on(data, limit_bytes)

    def _read_on(self, data: bytes, limit_bytes: int) -> bytes:
        """More records behind a full one, up to the limit and without waiting."""
        pieces, left = [data], limit_bytes - len(data)
        while left >= RECORD_BYTES:
            try:
                data = self._receive(RECORD_BYTES)
            except SSL.WantReadError:
                return b"".join(pieces)
            except SSL.Error:
                clear_errors()
                self._more = True  # for the next read
                return b"".join(pieces)
            pieces.append(data)
            left -= len(data)
            if len(data) < RECORD_BYTES:
                return b"".join(pieces)
        self._more = limit_bytes < RECORD_BYTES
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def _wait_for_room(self) -> None:
        """Park the reader until the socket takes bytes. A writer may wait for the same; both are woken."""
        if self._write_watcher is None:
            self._write_watcher = self._loop.io(self._socket.fileno(), 2)
        if not self.ready:  # what is unread would wake us without end
            self._read_watcher.stop()
            self.ready = True
        self._waits_for_room = True
        self._reader = getcurrent()
        self._write_watcher.start(self._wake_writer)
        reason = self._park()
        self._waits_for_room = False
        if reason:
            raise reason
        self._more = True

    def _wake_writer(self) -> None:
        super()._wake_writer()
        reader = self._reader
        if self._waits_for_room and reader is not None:
            self._reader = None
            reader.switch()

    def at_end(self) -> bool:
        try:
            self._look()
        except SSL.WantReadError:
            self._watch_on()
            return False
        except SSL.WantWriteError:
            return False
        except (SSL.Error, OSError):
            clear_errors()
            return True
        self._more = True
        return False

    def is_quiet(self) -> bool:
        """As for a plain stream; what TLS sends for itself, a new session say, is taken in and does not count."""
        try:
            self._look()
        except SSL.WantReadError:
            self._watch_on()
            return True
        except (SSL.Error, OSError):
            clear_errors()
            return False
        self._more = True
        return False

    def _look(self) -> None:
        """Raises what a read would, and takes nothing."""
        if self.closed:
            _closed()
        self.connection.recv(1, socket.MSG_PEEK)

    def _watch_on(self) -> None:
        """What woke nobody was no data (a new session, say)."""
        if self.ready and not self.closed:
            self.ready = False
            self._read_watcher.start(self._wake_reader)

    # Writing

    def write(self, data: bytes | memoryview) -> None:
        size, sent = len(data), 0
        if 0 < size <= RECORD_BYTES:
            try:
                sent = self._send(data)
            except SSL.WantWriteError:
                self._unsent = True
                self.wait_writable()
            except (SSL.Error, OSError) as error:
                raise self._broken(error) from error
        if sent < size:
            self._write_rest(memoryview(data), sent)

    def _write_rest(self, view: memoryview, sent: int) -> None:
        """Record by record: what OpenSSL once refused has to be offered again in the same pieces."""
        while sent < len(view):
            try:
                sent += self._send(view[sent : sent + RECORD_BYTES])
                self._unsent = False
            except SSL.WantWriteError:
                self._unsent = True
                self.wait_writable(sent)
            except (SSL.Error, OSError) as error:
                raise self._broken(error, sent) from error

    # The end

    def stop_reading(self) -> None:
        """As for a plain stream, but nothing is done to the socket: OpenSSL would complain to the peer."""
        self._last = True
        reader, self._reader = self._reader, None
        if reader is not None:
            self._loop.run_callback(reader.switch)

    def shutdown_write(self) -> None:
        """Say close_notify and end the TCP direction."""
        self._say_farewell()
        super().shutdown_write()

    def shutdown_and_drain(self) -> None:
        self.shutdown_write()
        self.stop_reading()

    def reset(self) -> None:
        self._farewell = False
        super().reset()

    def close(self) -> None:
        """Say close_notify if the kernel takes it now, and close. May be called again."""
        if self.closed:
            return
        self._say_farewell()
        self._receive = self._send = _closed
        super().close()

    def _say_farewell(self) -> None:
        if self._farewell and not self._unsent:
            self._farewell = False
            try:
                self.connection.shutdown()
            except SSL.Error:
                clear_errors()

    def _broken(self, error: Exception, written: int = 0) -> StreamBroken:
        """A failure that OpenSSL does not recover from, as an error of streams."""
        clear_errors()  # what is left in this thread's queue would be taken for another connection's
        self._farewell = False
        self._more = not self.closed
        return StreamBroken(_reason(error), written)


def _reason(error: Exception) -> str:
    if isinstance(error, SSL.SysCallError):
        return str(error.args[1]) if len(error.args) > 1 else str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    details = error.args[0] if error.args else ()
    return ": ".join(str(part) for part in details[0] if part) if details and isinstance(details, list) else "TLS"


def _closed(*_: object) -> NoReturn:
    raise OSError(errno.EBADF, "closed")
