"""When to build next: at once after a quiet time, otherwise not before two pauses have passed. Pure.

Two pauses, both as in Traefik: between two builds of this provider (`throttleDuration`) and between two
publications (`providersThrottleDuration`). Where pods come and go all the time neither of them may be left to
hold anything back (both can be 0), so there is a budget of publications as well: BURST of them at once after a
quiet time, and then one each SPACING_SECONDS, evenly, since each costs every worker a share of its time. A build
that could not be published yet would be thrown away, so building waits for all of these; whatever happened
meanwhile is in it. An unchanged result costs nothing of the budget and starts no pause of the second kind.
"""

from __future__ import annotations

from typing import Final

BURST: Final = 8
SPACING_SECONDS: Final = 0.125


class Holdoff:
    """All times are seconds of one monotonic clock, passed in."""

    __slots__ = (
        "_built_at",
        "_pending",
        "_published_at",
        "_spent_until",
        "build_pause_seconds",
        "publish_pause_seconds",
    )

    def __init__(self, build_pause_seconds: float, publish_pause_seconds: float) -> None:
        self.build_pause_seconds = build_pause_seconds
        self.publish_pause_seconds = publish_pause_seconds
        self._built_at: float | None = None
        self._published_at: float | None = None
        self._spent_until = float("-inf")
        """When the budget is whole again if nothing more is published."""
        self._pending = False

    def changed(self) -> None:
        """Something that matters has changed."""
        self._pending = True

    def due_at(self) -> float | None:
        """When to build: None while nothing is pending; a time in the past means now."""
        if not self._pending:
            return None
        due = 0.0
        if self._built_at is not None:
            due = self._built_at + self.build_pause_seconds
        if self._published_at is not None:
            due = max(due, self._published_at + self.publish_pause_seconds)
        return max(due, self._spent_until - (BURST - 1) * SPACING_SECONDS)

    def is_due(self, now: float) -> bool:
        due = self.due_at()
        return due is not None and now >= due

    def built(self, now: float, *, published: bool, pauses: bool = True) -> None:
        """A build that takes in every change so far has ended.

        `pauses` False: at the start, when it only found out what else there is to read. Nobody is served before
        the next one, so nothing may hold that up.
        """
        self._pending = False
        if pauses:
            self._built_at = now
        if published:
            self._published_at = now
            self._spent_until = max(self._spent_until, now) + SPACING_SECONDS
