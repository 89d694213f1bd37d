"""HTTP/2 towards both proxies by an independent library with its checks off: what a client may send or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from h2 import events, exceptions
from h2.config import H2Configuration
from h2.connection import H2Connection

PATIENCE_SECONDS = 10.0
Header = tuple[str, str]


@dataclass
class H2Answer:
    """What came on one stream. `end`: `ended`, `reset 1` with its code, or `gone` with the connection."""

    status: str = ""
    headers: list[Header] = field(default_factory=list)
    interim: list[str] = field(default_factory=list)
    body: bytes = b""
    trailers: list[Header] = field(default_factory=list)
    end: str = ""

    @property
    def is_refusal(self) -> bool:
        """Was the request refused, in whatever way?"""
        return self.status == "400" or self.end not in ("ended", "reset 0")


def ask(
    port: int,
    headers: Sequence[Header],
    pieces: Sequence[bytes] = (),
    trailers: Sequence[Header] = (),
    *,
    secure: bool = False,
) -> H2Answer:
    """One request on a connection of its own. Header names and values go out as they are."""
    with _connect(port, secure) as connection:
        h2 = H2Connection(
            H2Configuration(
                client_side=True,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                header_encoding="latin-1",
            )
        )
        h2.initiate_connection()
        h2.send_headers(1, [_latin(pair) for pair in headers], end_stream=not pieces and not trailers)
        for number, piece in enumerate(pieces):
            h2.send_data(1, piece, end_stream=number == len(pieces) - 1 and not trailers)
        if trailers:
            h2.send_headers(1, [_latin(pair) for pair in trailers], end_stream=True)
        answer = H2Answer()
        _send(connection, h2)
        while not answer.end:
            data = _receive(connection)
            if not data:
                answer.end = "gone"
                break
            try:
                for event in h2.receive_data(data):
                    _note(answer, event, h2)
            except exceptions.ProtocolError as error:
                raise AssertionError(f"the proxy broke a rule of HTTP/2: {error}") from error
            _send(connection, h2)
        return answer


def _latin(pair: Header) -> tuple[bytes, bytes]:
    return pair[0].encode("latin-1"), pair[1].encode("latin-1")


def _send(connection: Any, h2: H2Connection) -> None:
    with contextlib.suppress(OSError):  # what it said before will be read
        connection.sendall(h2.data_to_send())


def _receive(connection: Any) -> bytes:
    try:
        return bytes(connection.recv(65536))
    except ConnectionError:
        return b""


def _connect(port: int, secure: bool) -> Any:
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    if not secure:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain, server_hostname="corpus")


def _note(answer: H2Answer, event: events.Event, h2: H2Connection) -> None:
    if isinstance(event, events.InformationalResponseReceived):
        answer.interim.append(_pairs(event)[0][1])
    elif isinstance(event, events.ResponseReceived):
        (_, answer.status), *headers = _pairs(event)
        answer.headers = sorted(header for header in headers if header[0] != "date")
    elif isinstance(event, events.DataReceived):
        answer.body += event.data or b""
        h2.acknowledge_received_data(event.flow_controlled_length, 1)
    elif isinstance(event, events.TrailersReceived):
        answer.trailers = sorted(_pairs(event))
    elif isinstance(event, events.StreamEnded):
        answer.end = "ended"
    elif isinstance(event, events.StreamReset):
        answer.end = answer.end or f"reset {int(event.error_code)}"
    elif isinstance(event, events.ConnectionTerminated):
        answer.end = answer.end or "gone"


def _pairs(event: Any) -> list[Header]:
    return [(str(name), str(value)) for name, value in event.headers]
