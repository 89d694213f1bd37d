"""The server's side of HTTP/2 by an independent library, for scripts of upstream servers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from h2 import config, connection, events, settings

from tests.upstreams import Peer

E = TypeVar("E", bound=events.Event)
Header = tuple[bytes, bytes]


class Http2Peer:
    """One connection of a client, its preface answered. `limits`: settings by name, as MAX_CONCURRENT_STREAMS."""

    def __init__(self, peer: Peer, limits: dict[str, int] | None = None) -> None:
        self.peer = peer
        self.h2 = connection.H2Connection(config.H2Configuration(client_side=False, header_encoding=None))
        if limits:
            codes = {getattr(settings.SettingCodes, name): value for name, value in limits.items()}
            self.h2.local_settings = settings.Settings(client=False, initial_values=codes)
        self.h2.initiate_connection()
        self.flush()
        self._events: deque[events.Event] = deque()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.peer.send(data)

    def next(self, kind: type[E]) -> E:
        """The next event of this kind; those before it are dropped. Fails at the end of the connection."""
        while True:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, kind):
                    return event
            data = self.peer.read_some()
            assert data, f"the connection ended before {kind.__name__}"
            self._events.extend(self.h2.receive_data(data))
            self.flush()

    def request(self) -> tuple[int, dict[bytes, bytes]]:
        """Stream and header fields of the next request."""
        event = self.next(events.RequestReceived)
        assert event.stream_id is not None
        fields = dict(event.headers or ())
        return event.stream_id, {bytes(name): bytes(value) for name, value in fields.items()}

    def body(self, stream: int) -> bytes:
        """The rest of a request's body, windows opened as it comes."""
        body = b""
        while True:
            event: Any = self.next(events.Event)
            if isinstance(event, events.DataReceived) and event.stream_id == stream:
                body += event.data or b""
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                self.flush()
            elif isinstance(event, events.StreamEnded) and event.stream_id == stream:
                return body

    def head(self, stream: int, status: int, *headers: Header, end: bool = False) -> None:
        self.h2.send_headers(stream, [(b":status", b"%d" % status), *headers], end_stream=end)
        self.flush()

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        """As fast as the windows allow."""
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
            if not room:
                self.next(events.WindowUpdated)
                continue
            self.h2.send_data(stream, data[:room], end_stream=end and room == len(data))
            data = data[room:]
            self.flush()

    def answer(
        self, stream: int, body: bytes = b"ok", status: int = 200, trailers: Sequence[Header] = (), **more: bytes
    ) -> None:
        """A whole response; `more` are header fields."""
        headers = [(name.replace("_", "-").encode(), value) for name, value in more.items()]
        self.head(stream, status, *headers, end=not body and not trailers)
        if body:
            self.data(stream, body, end=not trailers)
        if trailers:
            self.h2.send_headers(stream, list(trailers), end_stream=True)
            self.flush()

    def serve(self, body: bytes = b"ok") -> None:
        """Answer every request until the client ends the connection."""
        try:
            while True:
                stream, _ = self.request()
                self.answer(stream, body)
        except AssertionError:
            return
