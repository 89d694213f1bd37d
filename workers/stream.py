"""One byte stream: a socket, one permanently started watcher, and bare greenlet switches.

gevent's own sockets make a waiter, start and stop a watcher and raise an exception at every read; that was
half of a proxied request. Here the read watcher runs from the stream's birth to its end, a reader parks its
greenlet in a slot, and the watcher's callback switches to it. Only when bytes come that nobody waits for is the
watcher stopped (`ready`), so that the loop does not spin.

At most one greenlet reads and at most one writes at a time; they may differ. Nothing is buffered here: `write`
returns when the kernel has taken everything, which is what bounds memory and slows a fast peer down to a slow one.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from gevent import get_hub
from greenlet import getcurrent, greenlet

from workers.timers import NEVER, TimerWheel

READ_BYTES: Final = 65536
_READ: Final = 1
_WRITE: Final = 2


class StreamError(Exception):
    """The stream cannot do what was asked; it has to be closed (by its owner)."""


class StreamTimeout(StreamError):
    """A deadline passed while a greenlet was waiting."""


class StreamBroken(StreamError):
    """Reset by the peer, or closed here. `written`: bytes of the failed write that the kernel had taken."""

    def __init__(self, message: str, written: int = 0) -> None:
        super().__init__(message)
        self.written = written


class StreamCancelled(StreamError):
    """Another greenlet called `cancel_read`. The stream itself is still good."""


class Stream:
    """Read, write, close and deadlines of one connected, non-blocking socket, which it owns.

    `read_deadline` and `write_deadline` are ticks of the wheel; set them through the methods. `on_unexpected`
    is called in the hub when the socket becomes readable and nobody reads; it must not block.
    """

    __slots__ = (
        "_loop",
        "_park",
        "_read_watcher",
        "_reader",
        "_receive",
        "_send",
        "_socket",
        "_write_watcher",
        "_writer",
        "closed",
        "on_unexpected",
        "read_deadline",
        "ready",
        "scheduled",
        "wheel",
        "write_deadline",
    )

    def __init__(self, connection: socket.socket, wheel: TimerWheel) -> None:
        hub = get_hub()
        self._socket = connection
        self._receive: Callable[[int], bytes] = connection.recv
        self._send: Callable[[bytes | memoryview], int] = connection.send
        # greenlet's own switch: the hub's looks for hooks that only gevent's Greenlet class has.
        self._park: Callable[[], BaseException | None] = greenlet.switch.__get__(hub)
        self._loop: Any = hub.loop
        self._reader: greenlet | None = None
        self._writer: greenlet | None = None
        self._write_watcher: Any = None
        self.closed = False
        self.ready = False
        self.on_unexpected: Callable[[], None] | None = None
        self.wheel = wheel
        self.scheduled = self.read_deadline = self.write_deadline = NEVER
        wheel.acquire()
        self._read_watcher: Any = self._loop.io(connection.fileno(), _READ)
        self._read_watcher.start(self._wake_reader)

    # Reading

    def read(self, limit_bytes: int = READ_BYTES) -> bytes:
        """Wait for bytes and return them; b"" at the end of the stream.

        Raises StreamTimeout, StreamBroken, StreamCancelled.
        """
        while True:
            if self.ready:
                if self.closed:
                    raise StreamBroken("closed")
                self.ready = False
                self._read_watcher.start(self._wake_reader)
            else:
                self._reader = getcurrent()
                reason = self._park()
                if reason:
                    raise reason
            try:
                return self._receive(limit_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise StreamBroken(os.strerror(error.errno or 0)) from error

    def wait_readable(self) -> None:
        """Park until bytes or the end may be there; nothing is read. Raises as `read`."""
        if self.ready:
            if self.closed:
                raise StreamBroken("closed")
            self.ready = False
            self._read_watcher.start(self._wake_reader)
            return
        self._reader = getcurrent()
        reason = self._park()
        if reason:
            raise reason

    def wait_for(self, size_bytes: int) -> None:
        """Park until so many bytes are unread, or the end is there. Raises as `read`."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)
        if self.ready and not self.closed:  # for fewer bytes than that
            self.ready = False
            self._read_watcher.start(self._wake_reader)
        try:
            self.wait_readable()
        finally:
            if not self.closed:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def pass_on(self, target: Stream) -> tuple[bytes, int]:
        """Hand what arrives to `target` from the event loop itself, for as long as that takes all of it at once.

        Saves two switches a message. Returns the bytes with which it ended and how many of them `target` has: the
        end of this stream (b""), a whole READ_BYTES, or more than `target` takes. Raises as `read` and `write`.
        """
        receive, send = self._receive, target._send
        last: tuple[bytes, int] = b"", 0

        def turn() -> None:
            nonlocal last
            if self._reader is None:  # it is being woken for another reason; the bytes stay where they are
                return
            failure = None
            try:
                data = receive(READ_BYTES)
                sent = _sent(send, data) if 0 < len(data) < READ_BYTES else 0
                if data and sent == len(data):
                    return  # and nothing is kept: a silent tunnel holds no message
                last = data, sent
            except BlockingIOError:
                return
            except OSError as error:
                failure = StreamBroken(os.strerror(error.errno or 0))
            reader, self._reader = self._reader, None
            reader.switch(failure)

        if self.closed:
            raise StreamBroken("closed")
        self._listen_with(turn)
        self._reader = getcurrent()
        try:
            reason = self._park()
        finally:
            if not self.closed:
                self._listen_with(self._wake_reader)
        if reason:
            raise reason
        return last

    def _listen_with(self, callback: Callable[[], None]) -> None:
        self.ready = False
        self._read_watcher.stop()
        self._read_watcher.start(callback)

    def peek(self, limit_bytes: int) -> bytes | None:
        """What has arrived, left where it is; b"" at the end of the stream, None if there is nothing yet.

        The next read looks at once instead of waiting for the watcher. Never waits; raises StreamBroken.
        """
        try:
            data = self._socket.recv(limit_bytes, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise StreamBroken(os.strerror(error.errno or 0)) from error
        self.ready = True
        return data

    def _wake_reader(self) -> None:
        reader = self._reader
        if reader is not None:
            self._reader = None
            reader.switch()
            return
        self._read_watcher.stop()
        self.ready = True
        if self.on_unexpected is not None:
            self.on_unexpected()

    def at_end(self) -> bool:
        """Has the peer closed or reset, with no unread bytes before that? Never waits."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def is_quiet(self) -> bool:
        """Has the peer sent nothing that is still unread, not even an end? Never waits."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def give_way(self) -> None:
        """Let other greenlets and I/O have a turn."""
        self._loop.run_callback(getcurrent().switch)
        self._park()

    def cancel_read(self) -> None:
        """Wake the greenlet that reads, if any, with StreamCancelled."""
        reader, self._reader = self._reader, None
        if reader is not None:
            self._loop.run_callback(reader.switch, StreamCancelled("cancelled"))

    # Writing

    def write(self, data: bytes | memoryview) -> None:
        """Hand everything to the kernel, waiting where it takes no more. Raises StreamTimeout, StreamBroken."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise StreamBroken(os.strerror(error.errno or 0)) from error
        if sent != len(data):
            self._write_rest(memoryview(data), sent)

    def _write_rest(self, view: memoryview, sent: int) -> None:
        while sent < len(view):
            self.wait_writable(sent)
            try:
                sent += self._send(view[sent:])
            except BlockingIOError:
                continue
            except OSError as error:
                raise StreamBroken(os.strerror(error.errno or 0), sent) from error

    def wait_writable(self, written: int = 0) -> None:
        """Park until the socket takes bytes (or is connected). Raises StreamTimeout, StreamBroken."""
        if self.closed:
            raise StreamBroken("closed", written)
        if self._write_watcher is None:
            self._write_watcher = self._loop.io(self._socket.fileno(), _WRITE)
        self._writer = getcurrent()
        self._write_watcher.start(self._wake_writer)
        reason = self._park()
        if reason:
            if isinstance(reason, StreamBroken):
                reason.written = written
            raise reason

    def _wake_writer(self) -> None:
        self._write_watcher.stop()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.switch()

    def finish_connect(self) -> int:
        """Wait for the end of a connect under way; its errno, 0 for success. Raises StreamTimeout."""
        self.wait_writable()
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    # Deadlines

    def set_read_deadline(self, tick: int) -> None:
        """Reads that wait at `tick` fail with StreamTimeout; NEVER for no limit."""
        self.read_deadline = tick
        if tick < self.scheduled:
            self.wheel.schedule(self, tick)

    def set_write_deadline(self, tick: int) -> None:
        """As set_read_deadline, for writes."""
        self.write_deadline = tick
        if tick < self.scheduled:
            self.wheel.schedule(self, tick)

    def on_tick(self, tick: int) -> int:
        """For the wheel. A deadline that passed while nobody waited is looked at again at the next tick."""
        if self.closed:
            return NEVER
        if self.read_deadline <= tick and self._reader is not None:
            reader, self._reader = self._reader, None
            reader.switch(StreamTimeout("read"))
        if self.write_deadline <= tick and self._writer is not None:
            self._write_watcher.stop()
            writer, self._writer = self._writer, None
            writer.switch(StreamTimeout("write"))
        return NEVER if self.closed else min(self.read_deadline, self.write_deadline)

    # The end

    def detach(self) -> socket.socket:
        """Give the socket away, open. Only for one whom nobody waits on; this stream is closed then."""
        self._retire()
        return self._socket

    def shutdown_write(self) -> None:
        """Tell the peer that no more bytes come; reading goes on."""
        self._shutdown(socket.SHUT_WR)

    def shutdown(self) -> None:
        """End both directions without closing: waiting greenlets see the end of the stream or an error."""
        self._shutdown(socket.SHUT_RDWR)

    def stop_reading(self) -> None:
        """Whoever reads gets what has arrived and then the end."""
        self._shutdown(socket.SHUT_RD)

    def shutdown_and_drain(self) -> None:
        """No more bytes come, and whoever reads gets what has arrived and then the end: both in one call."""
        self._shutdown(socket.SHUT_RDWR)

    def _shutdown(self, how: int) -> None:
        try:
            self._socket.shutdown(how)
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EBADF):
                raise

    def reset(self) -> None:
        """Make the coming close a reset, so that the peer does not take it for a proper end."""
        if not self.closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        """Close now; greenlets that wait on it get StreamBroken. May be called again."""
        if self.closed:
            return
        self._retire()
        self._socket.close()

    def _retire(self) -> None:
        self.closed = self.ready = True
        self.on_unexpected = None
        self._read_watcher.stop()
        self._read_watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.stop()
            self._write_watcher.close()
        self.wheel.forget(self)
        self.wheel.release()
        for waiting in (self._reader, self._writer):
            if waiting is not None:
                self._loop.run_callback(waiting.switch, StreamBroken("closed"))
        self._reader = self._writer = None

    @property
    def sock(self) -> socket.socket:
        """For questions only."""
        return self._socket

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._socket.fileno()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd {self.fileno()}"
        return f"<Stream {state}{' unread' if self.ready and not self.closed else ''}>"


def _sent(send: Callable[[bytes], int], data: bytes) -> int:
    """How much the kernel takes now. Raises OSError."""
    try:
        return send(data)
    except BlockingIOError:
        return 0
