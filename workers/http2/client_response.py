"""What a server says on one stream before its body: interim heads, the final one, trailers, or that there is none.

The connection's reader stores and wakes; the exchange's greenlet waits, until a deadline that may be set while it
does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from greenlet import getcurrent, greenlet

from workers import errors
from workers.errors import Failure
from workers.exchange import Header, ResponseHead
from workers.http2.channel import Channel
from workers.http2.codes import ErrorCode, StreamFault
from workers.http2.hpack import Field
from workers.http2.responses import Malformed, response_head, trailers_in
from workers.timers import NEVER

if TYPE_CHECKING:
    from workers.http2.client import ClientLink

MOST_INTERIM: Final = 64
NO_BODY_YET: Final = 1 << 62
"""Length expected before there is a head: a stream that ends without one is at fault."""
_WITHOUT_BODY: Final = frozenset({204, 304})


class StreamResponse:
    """`failure`: no (more) heads will come, for `reason`. `trailers` are there when the stream has ended."""

    __slots__ = (
        "_has_head",
        "_heads",
        "_interim",
        "_link",
        "_waiting",
        "deadline",
        "failure",
        "method",
        "reason",
        "scheduled",
        "trailers",
    )

    def __init__(self, link: ClientLink) -> None:
        self._link = link
        self.method = b""
        """Of the request: an answer to HEAD has no body."""
        self._heads: deque[ResponseHead] = deque()
        self._interim = 0
        self._has_head = False
        self.trailers: Sequence[Header] = ()
        self.failure: Failure | None = None
        self.reason = ""
        self._waiting: greenlet | None = None
        self.deadline = self.scheduled = NEVER

    # The exchange's greenlet

    def next_head(self) -> ResponseHead | None:
        """Wait for the next head, interim or final; None if there is a failure or the deadline has passed."""
        while not self._heads:
            if self.failure is not None or self.is_late:
                return None
            self._waiting = getcurrent()
            self._link.park()
        return self._heads.popleft()

    @property
    def is_late(self) -> bool:
        return self._link.wheel.tick >= self.deadline

    def set_deadline(self, ticks: int) -> None:
        """From now on: until the final head must be there."""
        if ticks < NEVER and not self._has_head:
            self.deadline = self._link.wheel.tick + ticks
            if self.deadline < self.scheduled:
                self._link.wheel.schedule(self, self.deadline)

    def forget_deadline(self) -> None:
        """No limit, and nothing left on the wheel."""
        self.deadline = NEVER
        if self.scheduled < NEVER:
            self._link.wheel.forget(self)

    def on_tick(self, tick: int) -> int:
        """For the wheel."""
        if self.deadline <= tick:
            self._wake()
            return NEVER
        return self.deadline

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._link.wake(waiting)

    # The connection's reader

    def fail(self, failure: Failure, reason: str) -> None:
        """Any greenlet: no response will come."""
        if self.failure is None:
            self.failure, self.reason = failure, reason
        self._wake()

    def on_headers(self, channel: Channel, fields: Sequence[Field], end_stream: bool) -> None:
        """A header list for this stream. Raises StreamFault."""
        try:
            if self._has_head:
                if not end_stream:
                    raise Malformed("a second head")
                self.trailers = trailers_in(fields)
            else:
                self._on_head(channel, response_head(fields), end_stream)
        except Malformed as error:
            self.fail(errors.MALFORMED_RESPONSE, str(error))
            raise StreamFault(channel.id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        if end_stream:
            channel.end_remote()

    def _on_head(self, channel: Channel, head: ResponseHead, end_stream: bool) -> None:
        if head.status < 200:
            self._interim += 1
            if end_stream or self._interim > MOST_INTERIM:
                raise Malformed("interim responses and no final one")
        else:
            self._has_head = True
            has_body = head.status not in _WITHOUT_BODY and self.method != b"HEAD"
            if end_stream and has_body and head.content_length < 0:
                head.content_length = 0
            channel.expected_bytes = head.content_length if has_body else 0
            if channel.received_bytes:
                raise Malformed("a body before the head")
        self._heads.append(head)
        self._wake()

    def __repr__(self) -> str:
        return f"<StreamResponse {len(self._heads)} heads, {self.reason or 'open'}>"
