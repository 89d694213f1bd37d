"""What an HTTP connection needs to know of its entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from config.http import IngressSource
from workers.http1.target import TargetPolicy
from workers.timers import TimerWheel

if TYPE_CHECKING:
    from workers.dates import DateLine
    from workers.exchange import Exchange, Handler, Request


class Found(Protocol):
    """A route, as far as a connection needs it."""

    name: str
    handler: Handler
    service: str
    source: IngressSource | None
    visible: int


class Table(Protocol):
    """What a routing table has to offer."""

    def find(self, request: Request, /) -> Found | None:
        """The route of a request."""
        ...


class Observer(Protocol):
    """Sees every request of an entry point: metrics, access log."""

    def begin(self, exchange: Exchange, /) -> None:
        """Before anything is decided about it; may give the exchange a note to write in."""
        ...

    def end(self, exchange: Exchange, /) -> None:
        """When it is over, however it ended."""
        ...


class Site(Protocol):
    """The entry point as its connections see it. `secure_table` is for requests that came through TLS."""

    table: Table | None
    secure_table: Table | None
    date: DateLine
    draining: bool
    observer: Observer | None
    active: int
    served: int

    def report_crash(self, request: Request) -> None:
        """Log the exception that is being handled."""
        ...


class ConnectionOptions:
    """What one entry point asks of its connections, in ticks and bytes. Immutable."""

    __slots__ = (
        "head_limit_bytes",
        "idle_ticks",
        "max_age_ticks",
        "max_concurrent_streams",
        "max_decoder_table_bytes",
        "max_encoder_table_bytes",
        "max_requests",
        "read_ticks",
        "target_policy",
        "write_ticks",
    )

    def __init__(
        self,
        *,
        read_timeout_seconds: float = 60.0,
        write_timeout_seconds: float = 0.0,
        idle_timeout_seconds: float = 180.0,
        keep_alive_max_requests: int = 0,
        keep_alive_max_time_seconds: float = 0.0,
        max_header_bytes: int = 1048576,
        target_policy: TargetPolicy | None = None,
        max_concurrent_streams: int = 250,
        max_decoder_table_bytes: int = 4096,
        max_encoder_table_bytes: int = 4096,
    ) -> None:
        """The last three are for HTTP/2; 0 means its default."""
        self.read_ticks = TimerWheel.ticks(read_timeout_seconds)
        self.write_ticks = TimerWheel.ticks(write_timeout_seconds)
        self.idle_ticks = TimerWheel.ticks(idle_timeout_seconds or read_timeout_seconds)
        self.max_requests = keep_alive_max_requests
        self.max_age_ticks = TimerWheel.ticks(keep_alive_max_time_seconds)
        # The original reads 4 KiB beyond its limit before it complains.
        self.head_limit_bytes = max_header_bytes + 4096
        self.target_policy = target_policy or TargetPolicy()
        self.max_concurrent_streams = max_concurrent_streams or 250
        self.max_decoder_table_bytes = max_decoder_table_bytes or 4096
        self.max_encoder_table_bytes = max_encoder_table_bytes or 4096
