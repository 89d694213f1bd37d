"""Who works where, as pure decisions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.control_page import SLOT_COUNT, ControlPage, Slot
from master.roster import EARLY_END_SECONDS, LONGEST_PAUSE_SECONDS, Plan, Roster

PAGE = ControlPage.create()
"""Only for slots with their numbers; nothing is written to it."""


@dataclass
class Member:
    lane: int
    slot: Slot
    epoch: int = 0
    born: float = 0.0
    is_ready: bool = True
    is_retiring: bool = False


@pytest.fixture
def page() -> ControlPage:
    return PAGE


def crew(page: ControlPage, *lanes: int, **more: bool | int) -> list[Member]:
    return [Member(lane, page.slot(index), **more) for index, lane in enumerate(lanes)]  # type: ignore[arg-type]


def test_every_lane_without_a_worker_gets_one(page: ControlPage) -> None:
    assert Roster().plan(crew(page, 1), 3, 0.0) == Plan([0, 2], [])


def test_surplus_workers_drain(page: ControlPage) -> None:
    members = crew(page, 0, 1, 2)
    assert Roster().plan(members, 1, 0.0) == Plan([], members[1:])
    assert Roster().plan(members, 0, 0.0) == Plan([], members)


def test_a_retiring_worker_does_not_count(page: ControlPage) -> None:
    assert Roster().plan(crew(page, 0, is_retiring=True), 1, 0.0) == Plan([0], [])


def test_a_reload_replaces_first_and_retires_then(page: ControlPage) -> None:
    roster = Roster()
    old = crew(page, 0, 1)
    roster.begin_epoch()
    assert roster.plan(old, 2, 0.0) == Plan([0, 1], [])
    new = [Member(lane, page.slot(2 + lane), epoch=1, is_ready=False) for lane in (0, 1)]
    assert roster.plan(old + new, 2, 0.0) == Plan([], [])
    assert not roster.is_staffed(old + new, 2)
    new[1].is_ready = True
    assert roster.plan(old + new, 2, 0.0) == Plan([], [old[1]])
    new[0].is_ready = True
    assert roster.plan(old + new, 2, 0.0) == Plan([], old)
    assert roster.is_staffed(old + new, 2)


def test_slots_are_kept_by_lane_and_else_the_lowest(page: ControlPage) -> None:
    roster = Roster()
    assert roster.slot_index_for(0, []) == 0
    assert roster.slot_index_for(1, crew(page, 0)) == 1
    assert roster.slot_index_for(1, []) == 1, "its former one"
    assert roster.slot_index_for(1, [Member(1, page.slot(1))]) == 0, "taken while the old worker drains"
    everyone = [Member(lane, page.slot(lane)) for lane in range(SLOT_COUNT)]
    assert roster.slot_index_for(0, everyone) is None


def test_an_early_end_is_followed_by_pauses_that_double(page: ControlPage) -> None:
    roster = Roster()
    (member,) = crew(page, 0)
    pauses, now = [], 0.0
    for _ in range(10):
        member.born = now
        roster.ended(member, now)
        pauses.append(roster.seconds_to_next_start(now))
        assert roster.plan([], 1, now) == Plan([], [])
        now += pauses[-1] + 0.001
        assert roster.plan([], 1, now) == Plan([0], [])
    assert pauses[:4] == pytest.approx([0.05, 0.1, 0.2, 0.4])
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    member.born = now
    roster.ended(member, now + EARLY_END_SECONDS)
    assert roster.plan([], 1, now) == Plan([0], []), "a steady life forgives"
    assert roster.seconds_to_next_start(now) == float("inf")


def test_a_worker_that_was_told_to_go_has_not_failed(page: ControlPage) -> None:
    roster = Roster()
    roster.ended(crew(page, 0, is_retiring=True)[0], 0.0)
    assert roster.plan([], 1, 0.0) == Plan([0], [])


def test_only_the_failure_of_all_first_workers_is_fatal(page: ControlPage) -> None:
    roster = Roster()
    first, second = crew(page, 0, 1)
    assert not roster.has_failed_everywhere(2)
    roster.ended(first, 0.0)
    assert not roster.has_failed_everywhere(2)
    roster.ended(second, 0.0)
    assert roster.has_failed_everywhere(2)
    roster.was_ever_ready = True
    assert not roster.has_failed_everywhere(2)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans(), st.booleans()), max_size=12),
    st.integers(0, 5),
)
def test_no_lane_is_ever_left_without_a_worker_or_a_start(
    rows: list[tuple[int, int, bool, bool]], wanted: int
) -> None:
    roster = Roster()
    roster.epoch = 2
    members = [
        Member(lane, PAGE.slot(index), epoch, is_ready=ready, is_retiring=retiring)
        for index, (lane, epoch, ready, retiring) in enumerate(rows)
    ]
    plan = roster.plan(members, wanted, 0.0)
    stay = [m for m in members if not m.is_retiring and not any(m is gone for gone in plan.retirements)]
    for lane in range(wanted):
        assert lane in plan.starts or any(member.lane == lane for member in stay)
    assert all(member.lane < wanted for member in stay)
    assert not any(member.is_retiring for member in plan.retirements)
