"""When to build: at once after quiet, never before the pauses, always in the end."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.holdoff import BURST, SPACING_SECONDS, Holdoff


def test_nothing_is_due_before_something_changed() -> None:
    assert Holdoff(1, 2).due_at() is None


def test_the_first_change_is_due_at_once() -> None:
    holdoff = Holdoff(10, 20)
    holdoff.changed()
    assert holdoff.is_due(5)


def test_the_next_build_waits_for_the_publication_pause() -> None:
    holdoff = Holdoff(0, 2)
    holdoff.changed()
    holdoff.built(100, published=True)
    assert holdoff.due_at() is None
    holdoff.changed()
    assert holdoff.due_at() == 102
    assert not holdoff.is_due(101.9)
    assert holdoff.is_due(102)


def test_an_unpublished_build_starts_only_the_build_pause() -> None:
    holdoff = Holdoff(1, 60)
    holdoff.changed()
    holdoff.built(100, published=False)
    holdoff.changed()
    assert holdoff.due_at() == 101


def test_a_build_that_only_found_out_what_is_missing_starts_no_pause() -> None:
    holdoff = Holdoff(3600, 3600)
    holdoff.changed()
    holdoff.built(100, published=False, pauses=False)
    assert holdoff.due_at() is None
    holdoff.changed()
    assert holdoff.is_due(100)


def test_without_pauses_every_change_is_due() -> None:
    holdoff = Holdoff(0, 0)
    holdoff.changed()
    holdoff.built(100, published=True)
    holdoff.changed()
    assert holdoff.is_due(100)


def storm(holdoff: Holdoff, begin: float, seconds: float) -> list[float]:
    """When something is published if there is a change every two milliseconds."""
    published = []
    for milliseconds in range(0, round(seconds * 1000), 2):
        now = begin + milliseconds / 1000
        holdoff.changed()
        if holdoff.is_due(now):
            holdoff.built(now, published=True)
            published.append(now)
    return published


def test_a_storm_is_published_at_once_a_few_times_and_then_evenly() -> None:
    holdoff = Holdoff(0, 0)
    published = storm(holdoff, 100, 4)
    pauses = [later - earlier for earlier, later in itertools.pairwise(published)]
    assert pauses[: BURST - 1] == pytest.approx([0.002] * (BURST - 1))
    assert all(abs(pause - SPACING_SECONDS) <= 0.004 for pause in pauses[BURST:])
    assert len(published) == pytest.approx(BURST + 4 / SPACING_SECONDS, abs=1)


def test_after_a_storm_there_is_a_budget_again() -> None:
    holdoff = Holdoff(0, 0)
    end = storm(holdoff, 100, 2)[-1]
    holdoff.changed()
    assert holdoff.due_at() == pytest.approx(end + SPACING_SECONDS, abs=0.004), (
        "one that comes right behind it waits"
    )
    assert holdoff.is_due(end + 0.5)
    quiet = end + BURST * SPACING_SECONDS
    assert storm(holdoff, quiet, 0.05) == pytest.approx([quiet + one * 0.002 for one in range(BURST)])


def test_changes_one_after_the_other_wait_for_nothing() -> None:
    """Faster than the budget grows, for a while: a few routes applied by hand or by a script."""
    holdoff = Holdoff(0, 0)
    for number in range(2 * BURST):
        holdoff.changed()
        assert holdoff.is_due(100 + number * 0.11)
        holdoff.built(100 + number * 0.11, published=True)


def test_what_publishes_nothing_costs_nothing() -> None:
    holdoff = Holdoff(0, 0)
    for _ in range(10 * BURST):
        holdoff.changed()
        assert holdoff.is_due(100)
        holdoff.built(100, published=False)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.integers(0, 50), st.integers(0, 50))
def test_every_change_is_built_and_never_too_fast(gaps: list[int], build: int, publish: int) -> None:
    holdoff = Holdoff(build, publish)
    now, built_at = 0, []
    for gap in gaps:
        now += gap
        holdoff.changed()
        if holdoff.is_due(now):
            holdoff.built(now, published=True)
            built_at.append(now)
    due = holdoff.due_at()
    assert due is None or due <= now + max(build, publish, SPACING_SECONDS)
    pauses = [later - earlier for earlier, later in itertools.pairwise(built_at)]
    assert all(pause >= max(build, publish) for pause in pauses)
