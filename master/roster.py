"""Who works where: lanes, slots and the pauses between failed starts. Decisions only, no process is touched.

A *lane* is a set of listening sockets (0 to wanted-1) and has one serving worker; a *slot* is a worker's place
on the control page. They differ while a reload replaces workers: the new worker takes the lane of the old one
at once, and its slot only when that has gone. An *epoch* is the count of reloads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from config.control_page import SLOT_COUNT, Slot

EARLY_END_SECONDS: Final = 2.0
"""A worker that ends sooner than this counts as a failed start."""
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 5.0


class Member(Protocol):
    """A worker as the roster sees it. Retiring: it was told to drain and no longer counts."""

    lane: int
    epoch: int
    slot: Slot
    born: float
    is_ready: bool
    is_retiring: bool


M = TypeVar("M", bound=Member)


class Plan(NamedTuple, Generic[M]):
    """Lanes that need a worker now, and workers that are to drain now."""

    starts: list[int]
    retirements: list[M]


class Roster:
    def __init__(self) -> None:
        self.epoch = 0
        self.was_ever_ready = False
        """Set when the first worker has started."""
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._last_slot: dict[int, int] = {}

    def begin_epoch(self) -> None:
        """After a reload every worker of before is to be replaced; former failures are forgiven."""
        self.epoch += 1
        self._failures.clear()
        self._not_before.clear()

    def plan(self, members: Iterable[M], wanted: int, now: float) -> Plan[M]:
        """What to do so that lanes 0 to wanted-1 have one serving worker of this epoch each."""
        serving: dict[int, list[M]] = {}
        for member in members:
            if not member.is_retiring:
                serving.setdefault(member.lane, []).append(member)
        starts: list[int] = []
        retirements: list[M] = []
        for lane in range(wanted):
            here = serving.pop(lane, [])
            current = [member for member in here if member.epoch == self.epoch]
            if not current and now >= self._not_before.get(lane, 0.0):
                starts.append(lane)
            elif any(member.is_ready for member in current):
                retirements.extend(member for member in here if member.epoch != self.epoch)
        for surplus in serving.values():
            retirements.extend(surplus)
        return Plan(starts, retirements)

    def slot_index_for(self, lane: int, members: Iterable[Member]) -> int | None:
        """The lane's former slot if it is free, else the lowest free one; None if all are taken."""
        taken = {member.slot.index for member in members}
        former = self._last_slot.get(lane)
        if former is not None and former not in taken:
            return former
        free = next((index for index in range(SLOT_COUNT) if index not in taken), None)
        if free is not None:
            self._last_slot[lane] = free
        return free

    def is_staffed(self, members: Iterable[Member], wanted: int) -> bool:
        """Every lane has a worker of this epoch that accepts connections."""
        lanes = {m.lane for m in members if m.epoch == self.epoch and m.is_ready and not m.is_retiring}
        return lanes.issuperset(range(wanted))

    def ended(self, member: Member, now: float) -> None:
        """A worker is gone. If it died soon after its start, its lane waits a little, longer each time."""
        if member.is_retiring:
            return
        if now - member.born >= EARLY_END_SECONDS:
            self._failures.pop(member.lane, None)
            self._not_before.pop(member.lane, None)
            return
        self.failed(member.lane, now)

    def failed(self, lane: int, now: float) -> None:
        """A start came to nothing: the next one in this lane waits, longer each time."""
        failures = self._failures.get(lane, 0) + 1
        self._failures[lane] = failures
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
        self._not_before[lane] = now + pause

    def has_failed_everywhere(self, wanted: int) -> bool:
        """No worker ever served and each lane's start has failed: the cause is not one worker's."""
        return not self.was_ever_ready and wanted > 0 and all(lane in self._failures for lane in range(wanted))

    def seconds_to_next_start(self, now: float) -> float:
        """Until the first pause is over; infinite if no lane waits."""
        waiting = [due - now for due in self._not_before.values() if due > now]
        return min(waiting, default=float("inf"))
