"""Requests as raw bytes and answers as seen on the wire; no client library may tidy anything up."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, headers in wire order, body with chunking undone, trailers, interim heads, and whether
    the connection stayed open."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    interim: tuple[int, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    truncated: bool = False

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def exchange(port: int, request: bytes, *, half_close: bool = False) -> Answer | None:
    """Send the bytes, read one answer. None: the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return read_answer(stream, request.split(b" ", 1)[0])


def secure_exchange(port: int, request: bytes, server_name: str, version: str = "") -> Answer | None:
    """The same through TLS, without ALPN. `server_name` empty: none is sent. `version`: `TLSv1_2`, say.

    A handshake that fails gives an answer with status 0 and a header `handshake` that says how.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        try:
            with context.wrap_socket(connection, server_hostname=server_name or None) as secure:
                secure.sendall(request)
                with secure.makefile("rb") as stream:
                    return read_answer(stream, request.split(b" ", 1)[0])
        except (ssl.SSLError, ConnectionError) as error:
            return Answer(0, (("handshake", _reason(error)),), b"")


def _reason(error: OSError) -> str:
    """What the peer did: an alert by its name, or an end without one."""
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    return reason if reason and "ALERT" in reason else "closed"


def read_answer(stream: object, method: bytes) -> Answer | None:
    """One answer, interim ones before it included; None if the connection ends first."""
    interim = []
    while True:
        head = _read_head(stream)
        if head is None:
            return None
        status, headers = head
        if status >= 200 or status == 101:
            break
        interim.append(status)
    body, trailers, truncated = _read_body(stream, method, status, headers)
    return Answer(status, tuple(headers), body, tuple(interim), tuple(trailers), truncated)


def _read_head(stream: object) -> tuple[int, list[tuple[str, str]]] | None:
    line = _line(stream)
    if line is None:
        return None
    return int(line.split(" ")[1]), _fields(stream)


def _fields(stream: object) -> list[tuple[str, str]]:
    fields = []
    while line := _line(stream):
        name, _, value = line.partition(":")
        fields.append((name, value.strip()))
    return fields


def _line(stream: object) -> str | None:
    try:
        raw: bytes = stream.readline()  # type: ignore[attr-defined]
    except (ConnectionError, TimeoutError):
        return None
    return raw.decode("latin-1").rstrip("\r\n") if raw else None


def _read_body(
    stream: object, method: bytes, status: int, headers: list[tuple[str, str]]
) -> tuple[bytes, list[tuple[str, str]], bool]:
    known = {name.lower(): value for name, value in headers}
    if method == b"HEAD" or status in (101, 204, 304):
        return b"", [], False
    if known.get("transfer-encoding") == "chunked":
        return _read_chunks(stream)
    length = int(known.get("content-length", -1))
    body = _read(stream, length)
    return body, [], 0 <= len(body) < length


def _read_chunks(stream: object) -> tuple[bytes, list[tuple[str, str]], bool]:
    body = b""
    while line := _line(stream):
        size = int(line.split(";")[0], 16)
        if size == 0:
            return body, _fields(stream), False
        chunk = _read(stream, size)
        body += chunk
        if len(chunk) < size:
            break
        _line(stream)
    return body, [], True


def _read(stream: object, length: int) -> bytes:
    data = b""
    try:
        while length < 0 or len(data) < length:
            piece: bytes = stream.read1(65536 if length < 0 else length - len(data))  # type: ignore[attr-defined]
            if not piece:
                break
            data += piece
    except (ConnectionError, TimeoutError):
        pass
    return data
