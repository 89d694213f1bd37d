"""Configuration is put out of the collector's sight, and is freed all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from config import collecting
from config.collecting import FREEZE_AFTER, Collector, QuietCollector

USUAL = (700, 10, 10)
HANDFUL = 250
MANY = 2 * FREEZE_AFTER * HANDFUL


class Node:
    """Something that can be part of a cycle."""

    def __init__(self) -> None:
        self.other: Node | None = None


@pytest.fixture(autouse=True)
def heap() -> Iterator[None]:
    """As good as empty, whatever other tests have left: how often all is looked through depends on its size."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*USUAL)
    gc.collect()
    gc.freeze()
    gc.collect()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generation of each, in order."""
    found: list[int] = []

    def note(phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            found.append(about["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_a_change_sets_off_no_full_collection(collections: list[int]) -> None:
    kept = []
    with Collector().change():
        kept += [Node() for _ in range(4 * MANY)]
        assert 2 not in collections
    assert collections.count(2) == 1, "the first freeze, when all is done"
    kept += [Node() for _ in range(4 * MANY)]
    assert collections.count(2) > 1, "nothing here would have set one off"


def test_a_change_never_stands_still_for_more_than_some_handfuls(collections: list[int]) -> None:
    """The more objects a collection finds the longer it takes, so there are the more of them."""
    kept = []
    with Collector().change():
        kept += [Node() for _ in range(MANY)]
    made = collections[:-1]
    assert len(made) >= MANY // HANDFUL - 2
    assert set(made) == {0, 1}
    assert "00000" not in "".join(map(str, made)), "those of the middle one find what few others have left"


def test_a_worker_that_collects_more_often_is_left_to_it(collections: list[int]) -> None:
    gc.set_threshold(50, 10, 10)
    kept = []
    with Collector().change():
        kept += [Node() for _ in range(1000)]
    assert len(collections) >= 1000 // 50 - 2


def test_what_a_large_change_leaves_is_frozen_and_what_a_small_one_leaves_is_not() -> None:
    collector, kept = Collector(), []
    before = gc.get_freeze_count()
    with collector.change():
        kept.append([Node() for _ in range(100)])
    assert collector.freezes == 0
    assert gc.get_freeze_count() <= before
    with collector.change():
        kept.append([Node() for _ in range(MANY)])
    assert collector.freezes == 1
    assert gc.get_freeze_count() >= before + MANY - 100


def test_many_small_changes_are_frozen_together() -> None:
    collector, kept = Collector(), []
    for _ in range(MANY // 1000):
        with collector.change():
            kept.append([Node() for _ in range(1000)])
    assert 1 <= collector.freezes < len(kept)


def test_what_is_frozen_is_freed_when_it_is_replaced() -> None:
    collector = Collector()
    with collector.change():
        kept = [Node() for _ in range(MANY)]
    gone = weakref.ref(kept[0])
    assert collector.freezes == 1
    del kept
    assert gone() is None


def test_cycles_among_the_young_are_not_frozen() -> None:
    collector = Collector()
    with collector.change():
        kept = [Node() for _ in range(MANY)]
        one = Node()
        one.other = one
        gone = weakref.ref(one)
        del one
    assert collector.freezes == 1
    assert gone() is None
    del kept


def test_a_frozen_cycle_is_freed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "THAW_AFTER", 2)
    collector, living = Collector(), Node()
    with collector.change():
        kept = [[Node() for _ in range(MANY)]]
    living.other = living
    gone = weakref.ref(living)
    del living
    gc.collect()
    assert gone() is not None
    with collector.change():
        kept.append([Node() for _ in range(MANY)])
    assert collector.freezes == 2
    assert gone() is None


def test_thresholds_are_as_before_even_after_an_error() -> None:
    def fail() -> None:
        with Collector().change():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.get_threshold() == USUAL


def test_freezing_in_quiet_is_no_collection(collections: list[int]) -> None:
    """But for the first, which is made when nobody is waiting."""
    collector, kept = QuietCollector(), []
    for expected in (1, 2, 3):
        with collector.change():
            kept += [Node() for _ in range(MANY)]
            before = len(collections)
        assert collector.freezes == expected
        assert collections[before:] == ([2] if expected == 1 else [])
    assert set(collections) == {0, 2}
    assert gc.get_freeze_count() >= 3 * MANY - HANDFUL


def test_what_is_left_is_looked_through_in_a_quiet_moment(collections: list[int]) -> None:
    collector, living = QuietCollector(), Node()
    kept = [Node() for _ in range(MANY // 2)]
    living.other = living
    gone = weakref.ref(living)
    del living
    kept += [Node() for _ in range(2 * HANDFUL)]
    assert gone() is not None, "it is not among the youngest any more"
    assert set(collections) == {0}
    collector.quiet()
    assert gone() is None
    assert collections[-1] == 1
    del kept


def test_a_quiet_moment_costs_nothing_where_little_is_left(collections: list[int]) -> None:
    collector = QuietCollector()
    collector.quiet()
    kept = [Node() for _ in range(10 * HANDFUL)]
    collector.quiet()
    assert set(collections) == {0}
    del kept


def test_what_is_left_does_not_grow_for_ever_where_no_moment_is_quiet(collections: list[int]) -> None:
    """Messages that change nothing, more than one a second."""
    collector = QuietCollector()
    kept = [Node() for _ in range((collecting._HANDFULS_AT_MOST + 10) * HANDFUL)]
    assert collections.count(1) == 1
    assert 2 not in collections
    assert collector.freezes == 0
    del kept


def test_a_cycle_that_outlived_quiet_moments_is_freed_without_any_change() -> None:
    """By the collections that Python makes after so many of the middle generation."""
    collector, living = QuietCollector(), Node()
    living.other = living
    gone = weakref.ref(living)
    kept: list[Node] = []
    for _ in range(2):
        kept += [Node() for _ in range(MANY // 2)]
        collector.quiet()
    del living
    for _ in range(2 * USUAL[2]):
        kept += [Node() for _ in range(MANY)]
        collector.quiet()
    assert gone() is None


def test_a_cycle_frozen_in_quiet_is_freed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "THAW_AFTER", 3)
    collector, living, kept = QuietCollector(), Node(), []
    for _ in range(2):
        with collector.change():
            kept += [Node() for _ in range(MANY)]
    living.other = living
    gone = weakref.ref(living)
    del living
    collector.quiet()
    gc.collect()
    assert gone() is not None
    with collector.change():
        kept += [Node() for _ in range(MANY)]
    assert collector.freezes == 3
    assert gone() is None
