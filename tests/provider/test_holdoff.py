"""When to build: at once after quiet, never before the pauses, always in the end."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from provider.holdoff import BURST, BURST_SECONDS, Holdoff


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


def test_without_pauses_every_change_is_due() -> None:
    holdoff = Holdoff(0, 0)
    holdoff.changed()
    holdoff.built(100, published=True)
    holdoff.changed()
    assert holdoff.is_due(100)


def test_a_storm_is_published_a_few_times_a_second_and_a_change_in_quiet_at_once() -> None:
    holdoff, published = Holdoff(0, 0), []
    for milliseconds in range(0, 3000, 2):
        now = milliseconds / 1000
        holdoff.changed()
        if holdoff.is_due(now):
            holdoff.built(now, published=True)
            published.append(now)
    assert len(published) == 3 * BURST
    holdoff.changed()
    assert holdoff.is_due(published[-1] + BURST_SECONDS)


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
    assert due is None or due <= now + max(build, publish, BURST_SECONDS)
    pauses = [later - earlier for earlier, later in itertools.pairwise(built_at)]
    assert all(pause >= max(build, publish) for pause in pauses)
