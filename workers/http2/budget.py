"""How much nonsense a connection may bring: a bucket that time and real work fill up again.

Frames that cost us something and bring nobody anything (pings, empty frames, resets) are paid from it. A client
that does real work never notices; one that only floods is told to calm down.
"""

from __future__ import annotations

from workers.timers import TimerWheel


class Budget:
    """`burst` at once, `per_second` on the average, and whatever is earned."""

    __slots__ = ("_burst", "_left", "_per_tick", "_tick", "_wheel")

    def __init__(self, wheel: TimerWheel, burst: int, per_second: float) -> None:
        self._wheel = wheel
        self._burst = burst
        self._left = float(burst)
        self._per_tick = per_second / (TimerWheel.ticks(1.0) - 1)
        self._tick = wheel.tick

    def spend(self, amount: int = 1) -> bool:
        """False if it is used up."""
        self._left -= amount
        if self._left >= 0:
            return True
        now = self._wheel.tick
        self._left = min(self._left + (now - self._tick) * self._per_tick, self._burst)
        self._tick = now
        return self._left >= 0

    def earn(self, amount: int = 1) -> None:
        """Real work was done."""
        if self._left < self._burst:
            self._left += amount

    def __repr__(self) -> str:
        return f"<Budget {self._left:.0f} of {self._burst}>"
