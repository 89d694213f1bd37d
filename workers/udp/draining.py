"""The end of a UDP entry point in one worker: hand the socket over, or wait for the sessions.

Where another worker waits to read the socket (a reload, a binary upgrade) it gets it at once, and with it
whatever clients send; here sessions only live on for the answers under way. Where nobody does, the whole is
stopping: the sessions are served until they end, and clients without one are not heard any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import gevent

from config.static import LifeCycle
from workers.udp.entrypoint import LEASE_SECONDS, UDPEntryPointServer

HAND_OVER_SECONDS = 3 * LEASE_SECONDS
"""A successor asks for the socket every LEASE_SECONDS; who has not taken it by now is not there."""
POLL_SECONDS = 0.05


def drain(server: UDPEntryPointServer, life_cycle: LifeCycle, log: logging.Logger) -> None:
    """Serve on for the grace time, then end; returns when every session is over. In a greenlet of its own."""
    gevent.sleep(life_cycle.request_accept_grace_timeout_seconds)
    server.give_way()
    if not _wait_until(lambda: server.has_successor, HAND_OVER_SECONDS):
        server.refuse_new()
    if not _wait_until(lambda: server.is_settled, life_cycle.grace_time_out_seconds):
        log.warning("entry point %s: %d sessions cut after the grace period", server.name, len(server.sessions))
    server.abort()


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        gevent.sleep(POLL_SECONDS)
    return True
