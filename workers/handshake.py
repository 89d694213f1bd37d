"""The server side of a TLS handshake on a stream that has only been looked at, and how it is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from OpenSSL import SSL

from tls.alerts import INTERNAL_ERROR, HandshakeRefused
from tls.server import Selection, ServerConnection
from workers.linger import linger
from workers.stream import Stream, StreamError
from workers.timers import NEVER
from workers.tls_engine import TLSEngine
from workers.tls_stream import TLSStream


def secure(
    stream: Stream, selection: Selection, engine: TLSEngine, until: int, replace: Callable[[Stream], None]
) -> ServerConnection:
    """Shake hands until the tick `until`; the ClientHello is unread. `replace` is called with the new stream.

    From then on that one owns the socket. Raises HandshakeRefused, SSL.Error and StreamError.
    """
    sock = stream.sock
    try:
        connection = engine.connect(selection, sock)
    except SSL.Error as error:
        raise HandshakeRefused(str(error), INTERNAL_ERROR) from error
    # the wheel must not lose its last user in between: to stand still and start again costs more than a stream
    secured = TLSStream(sock, stream.wheel, connection)
    stream.detach()
    replace(secured)
    secured.set_read_deadline(until)
    secured.set_write_deadline(until)
    secured.handshake()
    secured.set_write_deadline(NEVER)
    return connection


def refuse(stream: Stream, record: bytes, until: int, replace: Callable[[Stream], None]) -> None:
    """Say why, by the tick `until`, and make sure that it arrives: unread bytes would make the close a reset.

    `replace` is called with the stream that owns the socket from then on; to close it is the caller's. Nothing
    is done to a stream that is closed.
    """
    if stream.closed:
        return
    raw = Stream(stream.sock, stream.wheel)
    stream.detach()
    replace(raw)
    raw.ready = True
    with contextlib.suppress(StreamError):
        raw.set_write_deadline(until)
        raw.write(record)
        linger(raw)
