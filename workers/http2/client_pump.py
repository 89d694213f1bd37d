"""Carries a request body to an HTTP/2 server while the response may already be on its way back.

As http1/pump.py: one piece is in memory at a time, and a server that does not read stops the client.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from gevent import get_hub
from greenlet import greenlet

from workers.errors import CRASHED, Failure, ProxyError
from workers.exchange import Exchange
from workers.http2.channel import Channel
from workers.http2.codes import ErrorCode
from workers.stream import StreamError

if TYPE_CHECKING:
    from workers.http2.client_response import StreamResponse

log = logging.getLogger(__name__)


class StreamPump:
    """`first`: what has been taken of the body already. `failure`: why the client's side ended early."""

    __slots__ = (
        "_channel",
        "_exchange",
        "_first",
        "_header_ticks",
        "_response",
        "_running",
        "answered",
        "failure",
        "started",
    )

    def __init__(
        self, response: StreamResponse, exchange: Exchange, channel: Channel, first: bytes, header_ticks: int
    ) -> None:
        self._response = response
        self._exchange = exchange
        self._channel = channel
        self._first = first
        self._header_ticks = header_ticks
        self._running = False
        self.started = False
        self.answered = False
        self.failure: Failure | None = None

    def start(self) -> None:
        """Let the pump run from the next turn of the loop on."""
        self._running = self.started = True
        hub: Any = get_hub()
        hub.loop.run_callback(greenlet(self._run, hub).switch)

    def stop(self) -> None:
        """Nobody wants the rest."""
        if self._running:
            self._running = False
            self._exchange.cancel_read()

    def _run(self) -> None:
        exchange, channel = self._exchange, self._channel
        try:
            piece = self._first
            self._first = b""
            while self._running:
                if piece:
                    channel.send(piece, exchange.body_complete)
                    if channel.local_ended:
                        break
                piece = exchange.read_body()
                if not piece and self._running:
                    channel.send(b"", True)
                    break
            if channel.local_ended and not self.answered:
                self._response.set_deadline(self._header_ticks)
        except ProxyError as error:
            self._give_up(error.failure)
        except StreamError:
            pass  # cancelled, or the server wants no more: its answer, if there is one, is being read
        except Exception:
            # a middleware around the body, say: one request fails, and the hub never hears of it
            log.exception("the request body of %r failed", exchange.request)
            self._give_up(CRASHED)
        finally:
            self._running = False

    def _give_up(self, failure: Failure) -> None:
        """The client's side ended early: the server is not to take what came for the whole body."""
        self.failure = failure
        self._response.fail(failure, "the request body")
        self._channel.reset(ErrorCode.CANCEL)
