"""A blocking HTTP/2 client by an independent library: requests one after the other on a connection."""

from __future__ import annotations

import socket
from typing import NamedTuple

from h2 import config, connection, events


class Reply(NamedTuple):
    """`headers` without the pseudo ones, names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Http2Client:
    """Over a connected socket (TLS or not) that goes on belonging to the caller."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._h2 = connection.H2Connection(config.H2Configuration(header_encoding="latin-1"))
        self._h2.initiate_connection()
        self._flush()

    def get(self, authority: str, path: str = "/", scheme: str = "https") -> Reply:
        """Raises ConnectionResetError where stream or connection ends without an answer; OSError as it comes."""
        stream = self._h2.get_next_available_stream_id()
        fields = [(":method", "GET"), (":authority", authority), (":scheme", scheme), (":path", path)]
        self._h2.send_headers(stream, fields, end_stream=True)
        self._flush()
        headers: dict[str, str] = {}
        body = b""
        while True:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed without an answer")
            for event in self._h2.receive_data(data):
                if isinstance(event, events.ResponseReceived):
                    headers = {str(name): str(value) for name, value in event.headers or ()}
                elif isinstance(event, events.DataReceived):
                    body += event.data or b""
                elif isinstance(event, events.StreamReset | events.ConnectionTerminated):
                    raise ConnectionResetError(f"ended by {event!r}")
                elif isinstance(event, events.StreamEnded) and event.stream_id == stream:
                    self._flush()
                    return Reply(int(headers.pop(":status")), headers, body)
            self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._socket.sendall(data)
