"""Is it TLS, and which name does the client ask for? Answered from bytes that stay in the socket.

A PostgreSQL client does not begin with TLS but asks for it; that is recognized too.

OpenSSL shall read the ClientHello itself, so it is only looked at here (MSG_PEEK). A hello may come in pieces: the
kernel is told how many bytes the next look needs (SO_RCVLOWAT), and wakes us for no less; where it does not
heed that, we look a few times a second. Bounded in bytes by the sniffer, in time by the stream's read deadline.
"""

from __future__ import annotations

import enum
import select
import socket
from typing import Final

import gevent

from tls.hello import (
    LARGEST_BYTES,
    POSTGRES_SSL_REQUEST,
    ClientHello,
    HelloSniffer,
    Malformed,
    Sniffed,
)
from workers.proxy_protocol import Endpoint
from workers.stream import Stream, StreamBroken, StreamTimeout

FIRST_LOOK_BYTES: Final = 4096
LOOK_SECONDS: Final = 0.05
_TLS: Final = (0x16, 0x80)
_RECORD_HEAD: Final = 5


class Postgres(enum.Enum):
    """What a PostgreSQL client may ask for before its first message: the packet, and its refusal or consent."""

    TLS = POSTGRES_SSL_REQUEST
    GSSAPI = bytes((0, 0, 0, 8, 4, 210, 22, 48))


REQUEST_BYTES: Final = len(POSTGRES_SSL_REQUEST)


def sniff(stream: Stream) -> ClientHello | Malformed | Postgres | None:
    """Wait for the first bytes; None if they are neither TLS nor a wish of PostgreSQL's.

    All stay unread. Raises StreamError.
    """
    while True:
        stream.wait_readable()
        data = stream.peek(FIRST_LOOK_BYTES)
        if data == b"":
            raise StreamBroken("ended without a byte")
        if data:
            if data[0] in _TLS:
                return _hello(stream, data)
            return _postgres(stream, data) if data[0] == 0 else None


def _postgres(stream: Stream, data: bytes) -> Postgres | None:
    while len(data) < REQUEST_BYTES and POSTGRES_SSL_REQUEST.startswith(data):
        data = look_again(stream, data, REQUEST_BYTES)
    try:
        return Postgres(data[:REQUEST_BYTES])
    except ValueError:
        return None


def _hello(stream: Stream, data: bytes) -> ClientHello | Malformed | None:
    if len(data) == FIRST_LOOK_BYTES:
        data = stream.peek(LARGEST_BYTES) or data
    sniffer = HelloSniffer()
    outcome = sniffer.feed(data)
    while outcome is Sniffed.MORE:
        seen = len(data)
        data = look_again(stream, data, _wanted(data))
        outcome = sniffer.feed(data[seen:])
    return None if isinstance(outcome, Sniffed) else outcome


def look_again(stream: Stream, data: bytes, wanted_bytes: int) -> bytes:
    """The same bytes and more, so many if all goes well; they stay unread. Raises StreamError."""
    stream.wait_for(wanted_bytes)
    while True:
        more = stream.peek(LARGEST_BYTES) or b""
        if len(more) > len(data):
            return more
        _check_alive(stream)
        gevent.sleep(LOOK_SECONDS)


def _wanted(data: bytes) -> int:
    """How many bytes there are when the record that is incomplete now is complete, or its head is."""
    position = 0
    while position + _RECORD_HEAD <= len(data):
        position += _RECORD_HEAD + int.from_bytes(data[position + 3 : position + 5], "big")
    return min(position if position > len(data) else position + _RECORD_HEAD, LARGEST_BYTES)


def _check_alive(stream: Stream) -> None:
    if stream.closed:
        raise StreamBroken("closed")
    if stream.wheel.tick >= stream.read_deadline:
        raise StreamTimeout("read")
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLRDHUP)
    if poll.poll(0):
        raise StreamBroken("ended within its first message")


def local_address(connection: socket.socket) -> Endpoint:
    """What the client dialled, an IPv4 address of an IPv6 socket in its IPv4 form and without a zone."""
    ip, port = connection.getsockname()[:2]
    return Endpoint(ip.removeprefix("::ffff:") if "." in ip else ip.partition("%")[0], port)
