"""Configuration is put out of the collector's sight, and is freed all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from config import collecting
from config.collecting import FREEZE_AFTER, Collector

MANY = 2 * FREEZE_AFTER * 700


class Node:
    """Something that can be part of a cycle."""

    def __init__(self) -> None:
        self.other: Node | None = None


@pytest.fixture(autouse=True)
def heap() -> Iterator[None]:
    """As good as empty, whatever other tests have left: how often all is looked through depends on its size."""
    thresholds = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    gc.collect()
    gc.freeze()
    gc.collect()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def full_collections() -> Iterator[list[int]]:
    found: list[int] = []

    def note(phase: str, about: dict[str, int]) -> None:
        if phase == "start" and about["generation"] == 2:
            found.append(1)

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_a_change_sets_off_no_full_collection(full_collections: list[int]) -> None:
    kept = []
    with Collector().change():
        kept += [Node() for _ in range(4 * MANY)]
        assert not full_collections
    assert full_collections == [1], "the first freeze, when all is done"
    kept += [Node() for _ in range(4 * MANY)]
    assert len(full_collections) > 1, "nothing here would have set one off"


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
    assert gc.get_threshold() == (700, 10, 10)
