"""Names of UDP servers to addresses, for code that runs in the event loop and must not wait.

A name is asked for once at a time, however many sessions wait for it, and remembered for a few seconds, so
that a moved server is found soon and a flood of new sessions does not become one of questions.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import gevent
from gevent import get_hub

from workers.timers import TimerWheel
from workers.udp.services import UDPTarget
from workers.upstream.dial import Address

REMEMBER_SECONDS: Final = 5.0
_REMEMBERED_NAMES: Final = 1024

Answer = Callable[[list[Address]], None]
"""Called with the addresses in the system's order; none: the name has none, or nobody answered."""


class Names:
    """One for each worker. The wheel must be in use while names are asked for."""

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self._known: dict[UDPTarget, tuple[int, list[Address]]] = {}
        self._waiting: dict[UDPTarget, list[Answer]] = {}

    def known(self, target: UDPTarget) -> list[Address] | None:
        """Addresses that need no question, None where one is needed."""
        remembered = self._known.get(target)
        if remembered is not None and self._wheel.tick < remembered[0]:
            return remembered[1]
        try:
            found = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        except (OSError, ValueError):
            return None
        return self._remember(target, [Address(one[0], one[4]) for one in found])

    def ask(self, target: UDPTarget, answer: Answer) -> None:
        """Call `answer` later, in a greenlet of its own."""
        if target in self._waiting:
            self._waiting[target].append(answer)
        else:
            self._waiting[target] = [answer]
            gevent.spawn(self._ask, target)

    def _ask(self, target: UDPTarget) -> None:
        addresses: list[Address] = []
        try:
            found = get_hub().resolver.getaddrinfo(*target, 0, socket.SOCK_DGRAM)
            addresses = self._remember(target, [Address(one[0], one[4]) for one in found])
        except (OSError, ValueError):  # ValueError: it could never be a name
            pass  # who waits hears of no address
        finally:
            for answer in self._waiting.pop(target):
                answer(addresses)

    def _remember(self, target: UDPTarget, addresses: list[Address]) -> list[Address]:
        if len(self._known) >= _REMEMBERED_NAMES:
            self._known.clear()
        self._known[target] = self._wheel.tick + TimerWheel.ticks(REMEMBER_SECONDS), addresses
        return addresses
