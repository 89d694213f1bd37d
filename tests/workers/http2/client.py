"""An HTTP/2 client for tests: the `h2` package over a socket of the test's hub, and a rude one that speaks frames.

The polite one (`Conversation`) knows nothing of our code; what it takes for a protocol error fails the test.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gevent
import hpack
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import (
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.playbook import Client, Stage
from tests.waiting import wait_until

Headers = Sequence[tuple[bytes, bytes]]
E = TypeVar("E", bound=events.Event)
F = TypeVar("F", bound=Frame)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Answer:
    """One response as the client saw it. `error_code`: of the reset that ended it, None where it ended well."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    interim: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_over: bool = False
    error_code: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.headers)[b":status"])

    def __getitem__(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None


class Conversation:
    """A connection that keeps all rules. `reads`: give the server new windows as data comes."""

    def __init__(self, client: Client, *, reads: bool = True, settings: dict[int, int] | None = None) -> None:
        self.peer = client
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reads = reads
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)
        self.answers: dict[int, Answer] = {}
        self.seen: list[events.Event] = []
        self.flush()

    def flush(self) -> None:
        self.peer.send(self.h2.data_to_send())

    def ask(
        self,
        path: bytes = b"/",
        *headers: tuple[bytes, bytes],
        method: bytes = b"GET",
        authority: bytes = b"a.example",
        body: bytes | None = b"",
    ) -> int:
        """Send a request; `body` None leaves the stream open. Returns the stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(b":method", method), (b":authority", authority)]
        if method != b"CONNECT":
            pseudo += [(b":scheme", b"http"), (b":path", path)]
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=body == b"")
        if body:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def get(self, path: bytes = b"/", *headers: tuple[bytes, bytes], **members: Any) -> Answer:
        """Ask and wait for the whole answer."""
        return self.answer(self.ask(path, *headers, **members))

    def answer(self, stream: int) -> Answer:
        """Read until the answer on `stream` is over."""
        while not self.answers[stream].is_over:
            self.read()
        return self.answers[stream]

    def head(self, stream: int) -> Answer:
        """Read until the final head is there."""
        while not self.answers[stream].headers and not self.answers[stream].is_over:
            self.read()
        return self.answers[stream]

    def until(self, kind: type[E]) -> E:
        """Read until such an event, and return it."""
        while True:
            for event in self.seen:
                if isinstance(event, kind):
                    self.seen.remove(event)
                    return event
            self.read()

    def read(self) -> None:
        """What comes next; fails at the end of the connection."""
        data = self.peer.read_some()
        assert data, "the connection ended"
        for event in self.h2.receive_data(data):
            self.seen.append(event)
            self._take(event)
        self.flush()

    def _take(self, event: events.Event) -> None:
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None:
            return
        if isinstance(event, events.ResponseReceived):
            answer.headers = _pairs(event.headers)
        elif isinstance(event, events.InformationalResponseReceived):
            answer.interim.append(_pairs(event.headers))
        elif isinstance(event, events.TrailersReceived):
            answer.trailers = _pairs(event.headers)
        elif isinstance(event, events.DataReceived):
            answer.body += event.data
            if self.reads and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            answer.is_over = True
        elif isinstance(event, events.StreamReset):
            if not answer.is_over:
                answer.error_code = int(event.error_code)
            answer.is_over = True


def _pairs(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in headers]


class Rude:
    """A connection that says whatever it is told to, and reads frames."""

    def __init__(self, client: Client, *, greets: bool = True) -> None:
        self.peer = client
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder = hpack.Encoder()
        self.frames: list[Frame] = []
        if greets:
            self.send(PREFACE, SettingsFrame(0))

    def send(self, *parts: bytes | Frame) -> None:
        """Bytes and frames in one go. Once the server has closed there is nobody to hear it."""
        data = b"".join([part if isinstance(part, bytes) else part.serialize() for part in parts])
        with contextlib.suppress(OSError):
            self.peer.send(data)

    def headers(
        self, stream: int, *fields: tuple[bytes, bytes], end: bool = True, **changed: bytes
    ) -> HeadersFrame:
        """A request head as a frame; `method`, `path`, `scheme` and `authority` may be changed."""
        given = {"method": b"GET", "scheme": b"http", "authority": b"a.example", "path": b"/"} | changed
        pseudo = [(b":" + name.encode(), value) for name, value in given.items()]
        return self.block(stream, [*pseudo, *fields], end=end)

    def block(self, stream: int, fields: Headers, *, end: bool = True) -> HeadersFrame:
        """Any header list as a frame, names as they are."""
        frame = HeadersFrame(stream, self.encoder.encode([(name, value) for name, value in fields]))
        frame.flags.add("END_HEADERS")
        if end:
            frame.flags.add("END_STREAM")
        return frame

    def read(self) -> Frame | None:
        """The next frame, None at the end of the connection (a reset included)."""
        try:
            while len(self.peer.unread) < 9:
                if not self._more():
                    return None
            frame, length = Frame.parse_frame_header(memoryview(self.peer.unread[:9]))
            while len(self.peer.unread) < 9 + length:
                if not self._more():
                    return None
        except ConnectionError:
            return None
        frame.parse_body(memoryview(self.peer.unread[9 : 9 + length]))
        self.peer.unread = self.peer.unread[9 + length :]
        self.frames.append(frame)
        return frame

    def _more(self) -> bool:
        data = self.peer.socket.recv(65536)
        self.peer.unread += data
        return bool(data)

    def until(self, kind: type[F]) -> F:
        """Read up to the next frame of that kind; fails at the end of the connection."""
        while True:
            frame = self.read()
            assert frame is not None, f"the connection ended after {self.frames}"
            if isinstance(frame, kind):
                return frame

    def goaway(self) -> GoAwayFrame:
        """The last GOAWAY before the end of the connection; fails if there is none."""
        while self.read() is not None:
            pass
        found = [frame for frame in self.frames if isinstance(frame, GoAwayFrame)]
        assert found, f"no GOAWAY among {self.frames}"
        return found[-1]

    def reset(self, stream: int) -> int:
        """The error code of the next RST_STREAM, which must be of this stream."""
        frame = self.until(RstStreamFrame)
        assert frame.stream_id == stream
        return int(frame.error_code)

    def is_alive(self) -> bool:
        """Does the connection still answer?"""
        self.send(PingFrame(0, b"are you?"))
        while True:
            frame = self.read()
            if frame is None:
                return False
            if isinstance(frame, PingFrame) and frame.opaque_data == b"are you?" and "ACK" in frame.flags:
                return True


def converse(stage: Stage, **members: Any) -> Conversation:
    """A polite plaintext connection with prior knowledge."""
    return Conversation(stage.client(), **members)


def be_rude(stage: Stage, *, greets: bool = True) -> Rude:
    return Rude(stage.client(), greets=greets)


def wait_for_end(stage: Stage, step_seconds: float) -> None:
    """Let time pass in such steps until the entry point has no connection any more."""

    def is_over() -> bool:
        stage.clock.advance(step_seconds)
        return not stage.server.open_connections

    wait_until(is_over, pause=gevent.sleep)
