"""A response head that the first read did not bring: interim responses, pieces, silence, nonsense.

Also decides what a connection that ends before the head does means, and lets a body go that waits for a 100.
"""

from __future__ import annotations

from typing import Final

from workers import errors
from workers.errors import Failure, ProxyError
from workers.exchange import Exchange
from workers.http1 import grammar
from workers.http1.pump import BodyPump
from workers.http1.responses import IncomingHead, parse_response
from workers.stream import Stream, StreamError, StreamTimeout
from workers.timers import NEVER

HEAD_LIMIT_BYTES: Final = 10 << 20
MOST_INTERIM: Final = 64


def read_after(error: StreamError, stream: Stream, pump: BodyPump | None) -> bytes:
    """The first read failed: if it was only the wait for a 100 that ended, send the body and read again."""
    if not isinstance(error, StreamTimeout):
        return b""
    _time_is_up(error, stream, pump)
    return _read(stream, pump)


def _read(stream: Stream, pump: BodyPump | None) -> bytes:
    """What comes next, b"" if the connection ended."""
    while True:
        try:
            return stream.read()
        except StreamTimeout as error:
            _time_is_up(error, stream, pump)
        except StreamError:
            return b""


def _time_is_up(error: StreamTimeout, stream: Stream, pump: BodyPump | None) -> None:
    """Send a body that has waited for a 100 long enough; whoever has waited for the response gives up."""
    if pump is None or pump.started:
        raise ProxyError(errors.RESPONSE_TIMEOUT) from error
    _release_body(stream, pump)


def _release_body(stream: Stream, pump: BodyPump | None) -> None:
    if pump is not None and not pump.started:
        stream.set_read_deadline(NEVER)
        pump.start()


def final_head(
    response: IncomingHead | Failure | None,
    data: bytes,
    exchange: Exchange,
    stream: Stream,
    pump: BodyPump | None,
) -> tuple[IncomingHead, bytes]:
    """The final head where the first read did not bring it: interim responses, pieces, silence, nonsense.

    Returns it with the bytes that it is the start of.
    """
    interim, begun = 0, False
    while True:
        if isinstance(response, Failure):
            raise ProxyError(response)
        if response is None:
            if begun and not data:
                data = _read_more(exchange, stream, pump, begun)
            response, data = _complete(data, exchange, stream, pump, begun)
            continue
        if response.status >= 200 or response.status == 101:
            if pump is not None:
                pump.answered = True
            return response, data
        begun = True
        interim += 1
        if interim > MOST_INTERIM:
            raise ProxyError(errors.MALFORMED_RESPONSE, "too many interim responses")
        exchange.inform(response.status, response.headers)
        if response.status == 100:
            _release_body(stream, pump)
        data = data[response.consumed :]
        response = parse_response(data) if data else None


def _complete(
    data: bytes, exchange: Exchange, stream: Stream, pump: BodyPump | None, begun: bool
) -> tuple[IncomingHead | Failure | None, bytes]:
    """Read until `data` may hold a whole head."""
    if not data:
        raise ProxyError(_reason(exchange, pump, begun))
    response = parse_response(data)
    if response is not None:
        return response, data
    partial = grammar.PartialHead(data, grammar.early_response_refusal)
    while len(partial) <= HEAD_LIMIT_BYTES:
        whole = partial.feed(_read_more(exchange, stream, pump, True))
        if isinstance(whole, Failure):
            return whole, b""
        if whole is not None:
            return parse_response(whole), whole
    raise ProxyError(errors.MALFORMED_RESPONSE, "response head too large")


def _read_more(exchange: Exchange, stream: Stream, pump: BodyPump | None, begun: bool) -> bytes:
    data = _read(stream, pump)
    if not data:
        raise ProxyError(_reason(exchange, pump, begun))
    return data


def _reason(exchange: Exchange, pump: BodyPump | None, begun: bool) -> Failure:
    """Why the server's bytes ended before the head did."""
    if pump is not None and pump.failure is not None:
        return pump.failure
    if exchange.client_gone:
        return errors.CLIENT_GONE
    return errors.MALFORMED_RESPONSE if begun else errors.CLOSED_EARLY
