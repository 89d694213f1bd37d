"""Answers to those whom we do not know: a Retry, the version that we speak, the end of a connection that is gone.

None of them needs memory, none is larger than what it answers, and there are not more of them than budgets allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workers.http2.budget import Budget
from workers.http3.driving import Address
from workers.http3.quic_packets import First, Retries
from workers.timers import TimerWheel

_ANSWER_BURST: Final = 1000
_ANSWERS_PER_SECOND: Final = 200.0
"""Packets of other versions, and of connections that are gone."""
_RETRY_BURST: Final = 5000
_RETRIES_PER_SECOND: Final = 2000.0
"""With fewer of them, a flood from forged addresses would leave none for clients that are there."""


class Strangers:
    """One socket's. `send` is given what is to be sent, and where."""

    def __init__(self, key: bytes, wheel: TimerWheel, send: Callable[[bytes, Address], None]) -> None:
        """`key`: of the tokens, the same in all workers."""
        self._retries = Retries(key)
        self._wheel = wheel
        self._send = send
        self._answers = Budget(wheel, _ANSWER_BURST, _ANSWERS_PER_SECOND)
        self._retry_answers = Budget(wheel, _RETRY_BURST, _RETRIES_PER_SECOND)

    def answer(self, data: bytes, address: Address) -> None:
        """Not as often as anybody likes; nothing if there is no data."""
        if data:
            self._say(data, address, self._answers)

    def retry(self, first: First, address: Address) -> None:
        """Make the client come back with a token."""
        self._say(self._retries.packet(first, address[0]), address, self._retry_answers)

    def original_id(self, first: First, address: Address) -> bytes | None:
        """What the client's very first packet was for, if it brings a token that it got here."""
        return self._retries.original_id(first, address[0]) if first.token else None

    def _say(self, data: bytes, address: Address, budget: Budget) -> None:
        if budget.spend() or self._has_time_passed(budget):
            self._send(data, address)

    def _has_time_passed(self, budget: Budget) -> bool:
        """The wheel stands still where no connection needs it, and nothing is earned then."""
        self._wheel.acquire()
        self._wheel.release()
        return budget.spend()
