"""One client connection: HTTP/1.1 with keep-alive, request bodies, and chunked watch streams.

A thread owns each connection; `close_soon` is the only method other threads call. Faults of the network
(hanging, dropped connections) happen here; every answer comes from the handler.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from .messages import Request, Response
from .watch import Ending, Watch

Handler = Callable[[Request], Response | Watch]
_LONGEST_LINE = 65_536
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache, private\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@dataclass(slots=True)
class Network:
    """How connections treat requests now; shared by all of them and changed by tests."""

    drop: bool = False
    """Close instead of answering."""
    hang: threading.Event | None = None
    """Do not answer before this is set; then close."""
    control: Callable[[Request], Response] | None = None
    """Answers paths below /_control/, whatever the state of the API."""


class BadRequestLine(Exception):
    """The bytes are not a request this server understands."""


class Connection:
    """Reads requests and writes what the handler returns, until either side closes."""

    def __init__(
        self, accepted: socket.socket, tls: ssl.SSLContext | None, handler: Handler, network: Network
    ) -> None:
        self._socket = accepted
        self._tls = tls
        self._handler = handler
        self._network = network
        self._certified = False

    def run(self) -> None:
        """Serve until the end; the socket is closed on return."""
        try:
            self._start()
            with self._socket.makefile("rb") as reader:
                while self._serve_one(reader):
                    pass
        except (OSError, ValueError, BadRequestLine):
            pass  # the peer went away, broke TLS or spoke nonsense; there is nobody to tell
        finally:
            self._socket.close()

    def close_soon(self) -> None:
        """Make the owning thread see the end of the connection; TLS state is left to that thread."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _start(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            self._socket.settimeout(10)
            wrapped = self._tls.wrap_socket(self._socket, server_side=True)
            self._socket = wrapped
            self._certified = bool(wrapped.getpeercert())
            self._socket.settimeout(None)

    def _serve_one(self, reader: io.BufferedReader) -> bool:
        request = self._read_request(reader)
        if request is None:
            return False
        control = self._network.control
        if control is not None and request.path.startswith("/_control/"):
            return self._send(request, control(request))
        if self._network.drop:
            return False
        if (hang := self._network.hang) is not None:
            hang.wait()
            return False
        answer = self._handler(request)
        if isinstance(answer, Response):
            return self._send(request, answer)
        try:
            return self._stream(answer)
        finally:
            answer.close()

    def _read_request(self, reader: io.BufferedReader) -> Request | None:
        line = _read_line(reader)
        if not line:
            return None
        try:
            method, target, version = line.decode("ascii").split()
        except ValueError:
            raise BadRequestLine(line) from None
        headers = _read_headers(reader)
        if headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _read_body(reader, headers)
        if version == "HTTP/1.0":
            headers.setdefault("connection", "close")
        parts = urlsplit(target)
        query: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, value)
        return Request(method, unquote(parts.path), query, headers, body, self._certified)

    def _send(self, request: Request, response: Response) -> bool:
        keep = request.headers.get("connection", "").lower() != "close"
        try:
            phrase = HTTPStatus(response.code).phrase
        except ValueError:
            phrase = ""
        lines = [
            f"HTTP/1.1 {response.code} {phrase}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            "Cache-Control: no-cache, private",
            *(f"{name}: {value}" for name, value in response.headers.items()),
            *(() if keep else ("Connection: close",)),
        ]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if request.method == "HEAD":
            self._socket.sendall(head)
        elif len(response.body) < _LONGEST_LINE:
            self._socket.sendall(head + response.body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(response.body)
        return keep

    def _stream(self, watch: Watch) -> bool:
        """Send what the watch has until it ends or the client goes; True keeps the connection."""
        self._socket.sendall(_STREAM_HEAD)
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(watch.wake, select.POLLIN)
        while True:
            watch.wake.clear()
            frames, ending, wait_seconds = watch.take(time.monotonic())
            if frames:
                self._socket.sendall(b"".join(frames))
            if ending is not None:
                break
            ready = poller.poll(wait_seconds * 1000)
            if any(descriptor == self._socket.fileno() for descriptor, _ in ready) and self._peer_spoke():
                return False
        if ending is Ending.CLEAN:
            self._socket.sendall(b"0\r\n\r\n")
            return True
        return False

    def _peer_spoke(self) -> bool:
        """During a watch the client has nothing to say, so anything readable is its goodbye."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self._socket.setblocking(True)
        return True


def _read_line(reader: io.BufferedReader) -> bytes:
    line = reader.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise BadRequestLine("line too long")
    return line


def _read_headers(reader: io.BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := _read_line(reader).strip():
        name, separator, value = line.decode("latin-1").partition(":")
        if not separator:
            raise BadRequestLine(line)
        headers[name.strip().lower()] = value.strip()
    return headers


def _read_body(reader: io.BufferedReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return reader.read(int(headers.get("content-length", "0")))
    pieces = []
    while size := int(_read_line(reader).partition(b";")[0], 16):
        pieces.append(reader.read(size))
        _read_line(reader)
    _read_headers(reader)
    return b"".join(pieces)
