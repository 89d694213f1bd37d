"""An HTTP/3 client on a datagram socket that somebody else made, of gevent or of the system: aioquic without I/O.

It waits only where a test asks it to: `pump` takes what comes until a condition holds.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PATIENCE_SECONDS = 15.0
_SERVER = ("server", 443)
Fields = Sequence[tuple[bytes, bytes]]


class Closed(Exception):
    """The connection ended: `code` and `reason` as the other side said, or the client itself found."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code:#x} {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """A response as the client saw it; interim ones apart."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    interim: list[int]

    def __getitem__(self, name: bytes) -> bytes | None:
        """Value of a header that must not come twice, None if it is absent."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None


class _Http(H3Connection):
    """aioquic holds an answer to HEAD against its Content-Length."""

    def _check_content_length(self, stream: object) -> None:
        """The tests do that."""


class Stream:
    """What came on one request stream so far."""

    def __init__(self) -> None:
        self.heads: list[list[tuple[bytes, bytes]]] = []
        self.body = bytearray()
        self.is_complete = False
        self.reset_code: int | None = None
        self.stop_code: int | None = None


class Http3Client:
    """One connection. The socket is connected to the server and closed by its owner."""

    def __init__(
        self,
        sock: Any,
        server_name: str | None = "a.test",
        *,
        certificate: tuple[bytes, bytes] | None = None,
        window_bytes: int = 1 << 20,
        alpn: Sequence[str] = H3_ALPN,
        authority: str | None = None,
        idle_seconds: float = 60.0,
    ) -> None:
        """`certificate`: chain and key in PEM. `authority`: a PEM text to verify the server by; None: anybody."""
        configuration = QuicConfiguration(
            alpn_protocols=list(alpn),
            idle_timeout=idle_seconds,
            is_client=True,
            max_data=window_bytes,
            max_stream_data=window_bytes,
            server_name=server_name,
            verify_mode=ssl.CERT_NONE if authority is None else ssl.CERT_REQUIRED,
        )
        if authority is not None:
            configuration.load_verify_locations(cadata=authority.encode())
        self.sock = sock
        self.quic = QuicConnection(configuration=configuration)
        self.http: H3Connection | None = None
        self.streams: dict[int, Stream] = {}
        self.control = bytearray()
        """What came on the server's control stream."""
        self.closed: Closed | None = None
        self.lost = 0
        """So many datagrams of the server are thrown away before one is looked at."""
        self._certificate = certificate
        self.quic.connect(_SERVER, time.monotonic())
        if certificate is not None:
            self._give_certificate(certificate)
        self.flush()

    def _give_certificate(self, pair: tuple[bytes, bytes]) -> None:
        leaf, *chain = x509.load_pem_x509_certificates(pair[0])
        context: Any = self.quic.tls
        context.certificate, context.certificate_chain = leaf, chain
        context.certificate_private_key = load_pem_private_key(pair[1], None)

    # --- packets

    def flush(self) -> None:
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            self.sock.send(data)

    def pump(self, condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        """Take what comes until the condition holds. Raises AssertionError when it is too late."""
        until = time.monotonic() + seconds
        while not condition():
            now = time.monotonic()
            assert now < until, f"not within {seconds} s: {self.closed}"
            due = self.quic.get_timer()
            self.sock.settimeout(max(min(until, due or until) - now, 0.001))
            try:
                data = self.sock.recv(65535)
            except TimeoutError:
                if self.closed is None:
                    self.quic.handle_timer(time.monotonic())
            except ConnectionRefusedError:
                continue
            else:
                if self.lost:
                    self.lost -= 1
                    continue
                self.quic.receive_datagram(data, _SERVER, time.monotonic())
            self._take_events()
            self.flush()

    def _take_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            self._on_event(event)
        if self.closed is None and self.quic._close_event is not None:
            gone = self.quic._close_event
            self.closed = Closed(gone.error_code, gone.reason_phrase)

    def _on_event(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted) and event.alpn_protocol in H3_ALPN:
            self.http = _Http(self.quic)
        elif isinstance(event, ConnectionTerminated):
            self.closed = Closed(event.error_code, event.reason_phrase)
        elif isinstance(event, StreamReset):
            self.stream(event.stream_id).reset_code = event.error_code
        elif isinstance(event, StopSendingReceived):
            self.stream(event.stream_id).stop_code = event.error_code
        elif isinstance(event, StreamDataReceived) and event.stream_id == 3:
            self.control += event.data
        if self.http is not None:
            for made in self.http.handle_event(event):
                self._on_http(made)

    def _on_http(self, event: object) -> None:
        if isinstance(event, HeadersReceived):
            stream = self.stream(event.stream_id)
            stream.heads.append(list(event.headers))
            stream.is_complete = event.stream_ended
        elif isinstance(event, DataReceived):
            stream = self.stream(event.stream_id)
            stream.body += event.data
            stream.is_complete = event.stream_ended

    # --- requests

    def handshake(self) -> None:
        """Raises Closed."""
        self.pump(lambda: self.http is not None or self.closed is not None)
        if self.closed is not None:
            raise self.closed

    def stream(self, stream_id: int) -> Stream:
        return self.streams.setdefault(stream_id, Stream())

    def begin(
        self,
        path: bytes = b"/",
        *fields: tuple[bytes, bytes],
        method: bytes = b"GET",
        host: bytes = b"a.test",
        end: bool = True,
    ) -> int:
        """Send a request's head; its stream."""
        pseudo = [(b":method", method), (b":scheme", b"https"), (b":authority", host), (b":path", path)]
        return self.begin_with([*pseudo, *fields], end=end)

    def begin_with(self, fields: Fields, *, end: bool = True) -> int:
        if self.http is None:
            self.handshake()
        assert self.http is not None
        stream_id = self.quic.get_next_available_stream_id()
        self.http.send_headers(stream_id, list(fields), end_stream=end)
        self.flush()
        return stream_id

    def send(self, stream_id: int, data: bytes, *, end: bool = True) -> None:
        assert self.http is not None
        self.http.send_data(stream_id, data, end)
        self.flush()

    def answer(self, stream_id: int) -> Answer:
        """Wait for it. Raises Closed; a reset is an AssertionError."""
        stream = self.stream(stream_id)
        self.pump(lambda: stream.is_complete or stream.reset_code is not None or self.closed is not None)
        if not stream.is_complete and self.closed is not None:
            raise self.closed
        assert stream.reset_code is None, f"reset with {stream.reset_code:#x}"
        heads = list(stream.heads)
        interim = []
        while (status := int(dict(heads[0])[b":status"])) < 200:
            interim.append(status)
            del heads[0]
        trailers = heads[1] if len(heads) > 1 else []
        return Answer(status, heads[0][1:], bytes(stream.body), trailers, interim)

    def get(self, path: bytes = b"/", *fields: tuple[bytes, bytes], host: bytes = b"a.test") -> Answer:
        return self.answer(self.begin(path, *fields, host=host))

    def post(self, path: bytes, body: bytes, *fields: tuple[bytes, bytes], host: bytes = b"a.test") -> Answer:
        stream_id = self.begin(path, *fields, method=b"POST", host=host, end=False)
        self.send(stream_id, body)
        return self.answer(stream_id)

    def reset_of(self, stream_id: int) -> int:
        """Wait for the stream's reset; its code."""
        stream = self.stream(stream_id)
        self.pump(lambda: stream.reset_code is not None or self.closed is not None)
        assert stream.reset_code is not None, f"{self.closed}"
        return stream.reset_code

    def end_of(self) -> Closed:
        """Wait for the end of the connection."""
        self.pump(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    def send_raw(self, data: bytes, *, end: bool = False, one_way: bool = False) -> int:
        """Bytes on a new stream, whatever they are."""
        if self.http is None:
            self.handshake()
        stream_id = self.quic.get_next_available_stream_id(is_unidirectional=one_way)
        self.quic.send_stream_data(stream_id, data, end)
        self.flush()
        return stream_id

    def close(self) -> None:
        """Say goodbye, if anybody listens; the socket is its owner's."""
        if self.closed is None:
            self.quic.close(error_code=0x100)
            with contextlib.suppress(OSError):
                self.flush()
