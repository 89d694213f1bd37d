"""Connections to one server that many requests share (HTTP/2), and who makes the next one.

While one request dials, the others that need a connection wait for it: they may all get along with that one. If it
fails they share its failure, as each of them would have met the same. Whether a server speaks HTTP/2 at all is
known from the first handshake on.
"""

from __future__ import annotations

from typing import Final

from gevent.event import Event

from workers import errors
from workers.errors import ProxyError
from workers.http2.client import ClientLink, ClientOptions
from workers.http2.client_call import ClientCall
from workers.stream import Stream
from workers.timers import GRANULARITY_SECONDS, NEVER, TimerWheel

_SETTINGS_SECONDS: Final = 1.0
"""So long others wait for a new connection's settings, which may say that it takes few requests."""


class Dialling:
    """A connection that is being made; `failure` if it came to nothing."""

    __slots__ = ("_event", "_is_ready", "failure", "link")

    def __init__(self) -> None:
        self._event = Event()
        self._is_ready = Event()
        self.failure: ProxyError | None = None
        self.link: ClientLink | None = None
        """What it became, where it is one to share."""

    def wait(self, ticks: int) -> None:
        """Until it is there. Raises ProxyError if it does not come (in time)."""
        seconds = ticks * GRANULARITY_SECONDS if ticks < NEVER else None
        if not self._event.wait(seconds):
            raise ProxyError(errors.DIAL_TIMEOUT, "waited for a connection")
        if self.failure is not None:
            raise ProxyError(self.failure.failure, self.failure.detail)
        if self.link is not None and not self._is_ready.wait(_SETTINGS_SECONDS):
            self.link.assume_settings()

    def is_over(self) -> None:
        """There is a connection, or a failure."""
        self._event.set()

    def is_ready(self) -> None:
        """The server has said how many requests it takes, or left."""
        self._is_ready.set()


class Sessions:
    """The shared connections of one pool. `speaks_http1`: the server was offered HTTP/2 and does not want it."""

    __slots__ = ("_closed", "_links", "_options", "dialling", "speaks_http1")

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._links: list[ClientLink] = []
        self.dialling: Dialling | None = None
        self.speaks_http1 = False
        self._closed = False

    def begin(self) -> ClientCall | None:
        """A place on one of the connections; None if all are full."""
        for link in self._links:
            if link.can_open:
                return link.begin()
        return None

    def add(self, stream: Stream, dialling: Dialling) -> ClientCall:
        """Make a connection of `stream`, and a first call on it; the others that wait follow."""

        def is_over(link: ClientLink) -> None:
            self._forget(link)
            is_ready()

        def is_ready() -> None:
            dialling.is_ready()
            if self.dialling is dialling:
                self.dialling = None

        link = dialling.link = ClientLink(stream, self._options, is_over, is_ready)
        call = link.begin()
        if self._closed:
            link.retire()
        else:
            self._links.append(link)
        return call

    def wait(self, wheel: TimerWheel, until: int) -> None:
        """For the one who dials. Raises ProxyError."""
        assert self.dialling is not None
        self.dialling.wait(max(until - wheel.tick, 1) if until < NEVER else NEVER)

    def _forget(self, link: ClientLink) -> None:
        if link in self._links:
            self._links.remove(link)

    def close(self) -> None:
        """Idle connections end now, the others with their last request."""
        self._closed = True
        for link in list(self._links):
            link.retire()

    def __len__(self) -> int:
        return len(self._links)

    def __repr__(self) -> str:
        return f"<Sessions {self._links}>"
