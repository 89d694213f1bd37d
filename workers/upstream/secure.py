"""TLS on a connection to a server: the handshake, its time, and what its failures mean to the client.

The mapping is the original's: what the server says against us, or hanging up, is a bad gateway; what we hold
against the server (its certificate, bytes that are no TLS) is an internal error; silence is a timeout.
"""

from __future__ import annotations

from typing import Final

from OpenSSL import SSL

from tls.client import ClientContext, PeerRefused
from tls.openssl import clear_errors
from workers import errors
from workers.errors import Failure, ProxyError
from workers.stream import Stream, StreamError, StreamTimeout
from workers.timers import NEVER, TimerWheel
from workers.tls_stream import TLSStream

HANDSHAKE_TICKS: Final = TimerWheel.ticks(10.0)


def secure(
    stream: Stream, context: ClientContext, host: str, session: SSL.Session | None, until: int
) -> TLSStream:
    """Shake hands with `host` over `stream`, which is used up; `session`: one to resume, earned in this context.

    `until`: a tick that ends it even before the handshake's own time does. Raises ProxyError.
    """
    sock, wheel = stream.sock, stream.wheel
    try:
        connection = context.connect(host, sock)
        if session is not None:
            connection.set_session(session)
        secured = TLSStream(sock, wheel, connection)
    except (SSL.Error, UnicodeError) as error:
        stream.close()
        clear_errors()
        raise ProxyError(errors.TLS_FAILED, f"{host}: {_reason(error)}") from error
    except BaseException:
        stream.close()
        raise
    stream.detach()
    deadline = min(until, wheel.tick + HANDSHAKE_TICKS)
    try:
        secured.set_read_deadline(deadline)
        secured.set_write_deadline(deadline)
        secured.handshake()
    except (SSL.Error, StreamError) as error:
        secured.close()
        raise ProxyError(_failure(error), f"{host}: {_reason(error)}") from error
    except BaseException:
        secured.close()
        raise
    secured.set_read_deadline(NEVER)
    secured.set_write_deadline(NEVER)
    return secured


def _failure(error: Exception) -> Failure:
    if isinstance(error, StreamTimeout):
        return errors.TLS_TIMEOUT
    if isinstance(error, PeerRefused):
        return errors.UNTRUSTED_SERVER
    if isinstance(error, StreamError | SSL.ZeroReturnError) or " alert " in _reason(error):
        return errors.TLS_REFUSED
    return errors.TLS_FAILED


def _reason(error: Exception) -> str:
    """OpenSSL's own sentence, where there is one."""
    details = error.args[0] if error.args else ""
    if isinstance(details, list) and details:
        return str(details[0][-1])
    return str(error)
