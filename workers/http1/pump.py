"""Carries a request body to the server while the response may already be on its way back.

Runs in its own greenlet, and only for bodies that have not arrived with their head: the exchange's greenlet waits
for the response meanwhile. One piece is in memory at a time; a server that does not read stops the client.
"""

from __future__ import annotations

import logging
from typing import Any

from gevent import get_hub
from greenlet import greenlet

from workers.errors import CRASHED, Failure, ProxyError
from workers.exchange import Exchange
from workers.http1.framing import LAST_CHUNK, chunk
from workers.stream import Stream, StreamError
from workers.timers import NEVER

log = logging.getLogger(__name__)


class BodyPump:
    """`done`: the whole body is with the server. `failure`: why the client's side ended early."""

    __slots__ = (
        "_chunked",
        "_exchange",
        "_header_ticks",
        "_running",
        "answered",
        "done",
        "failure",
        "started",
        "upstream",
    )

    def __init__(self, exchange: Exchange, upstream: Stream, header_ticks: int) -> None:
        self._exchange = exchange
        self._chunked = exchange.request.content_length < 0
        self._header_ticks = header_ticks
        self._running = False
        self.upstream = upstream
        self.started = False
        self.answered = False
        self.done = False
        self.failure: Failure | None = None

    def start(self) -> None:
        """Let the pump run from the next turn of the loop on."""
        self._running = self.started = True
        hub: Any = get_hub()
        hub.loop.run_callback(greenlet(self._run, hub).switch)

    def stop(self) -> None:
        """The response is over: nobody wants the rest. The server's connection must be closed, too."""
        if self._running:
            self._running = False
            self._exchange.cancel_read()

    def _run(self) -> None:
        try:
            # stopped before its first turn, it must not read beside the connection's own greenlet
            while self._running and self._carry(self._exchange.read_body()):
                pass
        except ProxyError as error:
            self.failure = error.failure
            self.upstream.shutdown()
        except StreamError:
            pass  # cancelled, or the server reads no more: its answer, if there is one, is being read
        except Exception:
            # a middleware around the body, say: one request fails, and the hub never hears of it
            log.exception("the request body of %r failed", self._exchange.request)
            self.failure = CRASHED
            self.upstream.shutdown()
        finally:
            self._running = False

    def _carry(self, piece: bytes) -> bool:
        """Pass one piece on; False if it was the last one."""
        upstream = self.upstream
        if not self._running:
            return False
        if piece:
            upstream.write(chunk(piece) if self._chunked else piece)
            if self._chunked or not self._exchange.splice_request(upstream):
                return True
        if self._chunked:
            upstream.write(LAST_CHUNK)
        self.done = True
        if self._header_ticks < NEVER and not self.answered:
            upstream.set_read_deadline(upstream.wheel.tick + self._header_ticks)
        return False
