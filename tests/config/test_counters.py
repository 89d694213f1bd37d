"""Counters in shared memory: found again by a successor, read by others, never torn."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import counters
from config.control_page import SLOT_COUNT
from config.counters import LONGEST_KEY_BYTES, CounterPage, RegionFull, Tally


def test_counted_and_read() -> None:
    page = CounterPage.create()
    region = page.region(3)
    first, second = region.place(b"a", 2), region.place(b"bcdefghij", 1)
    region.values[first] += 1
    region.values[first + 1] += 0.5
    region.values[second] += 7
    assert region.place(b"a", 2) == first
    assert page.read([3, 4]) == [(b"a", (1.0, 0.5)), (b"bcdefghij", (7.0,))]
    region.close()


def test_a_successor_goes_on() -> None:
    page = CounterPage.create()
    child = os.fork()
    if not child:
        region = page.region(0)
        place = region.place(b"requests", 1)
        for _ in range(10):
            region.values[place] += 1
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    region = page.region(0)
    region.values[region.place(b"requests", 1)] += 1
    assert page.read([0]) == [(b"requests", (11.0,))]
    region.close()


def test_keys_are_forgotten() -> None:
    page = CounterPage.create()
    region = page.region(0)
    for number in range(5):
        region.values[region.place(b"%d" % number, 1)] = number
    region.keep({b"1", b"4", b"absent"})
    assert page.read([0]) == [(b"1", (1.0,)), (b"4", (4.0,))]
    assert sorted(region.keys()) == [b"1", b"4"]
    region.values[region.place(b"2", 1)] += 9
    assert page.read([0])[-1] == (b"2", (9.0,))
    region.close()


def test_a_region_that_was_being_written_anew_is_empty() -> None:
    page = CounterPage.create()
    region = page.region(0)
    region.place(b"a", 1)
    counters._HEAD.pack_into(region._map, 0, region._used, 1)
    assert page.read([0]) == []
    region.close()
    region = page.region(0)
    assert (list(region.keys()), page.read([0])) == ([], [])
    region.place(b"b", 1)
    assert page.read([0]) == [(b"b", (0.0,))]
    region.close()


def test_the_tally_is_one_for_all() -> None:
    page = CounterPage.create()
    region, tally = page.region(SLOT_COUNT - 1), page.tally()
    region.values[region.place(b"a", 1)] = 1
    tally[Tally.SCRAPES] += 2
    tally[SLOT_COUNT - 1] += 3
    assert (page.tally()[Tally.SCRAPES], sum(page.tally()[:SLOT_COUNT])) == (2, 3)
    assert page.read([SLOT_COUNT - 1]) == [(b"a", (1.0,))]
    region.close()


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    page = CounterPage.create()
    region = page.region(SLOT_COUNT - 1)
    with pytest.raises(RegionFull):
        region.place(b"x" * (LONGEST_KEY_BYTES + 1), 1)
    monkeypatch.setattr(counters, "REGION_BYTES", 200)
    region.place(b"a", 1)
    with pytest.raises(RegionFull):
        region.place(b"b" * 90, 4)
    assert list(region.keys()) == [b"a"]
    region.close()
    with pytest.raises(IndexError):
        page.region(SLOT_COUNT)


@given(st.dictionaries(st.binary(max_size=40), st.lists(st.floats(allow_nan=False), max_size=9), max_size=20))
def test_any_keys_and_values(rows: dict[bytes, list[float]]) -> None:
    page = CounterPage.create()
    region = page.region(0)
    for key, values in rows.items():
        place = region.place(key, len(values))
        for offset, value in enumerate(values):
            region.values[place + offset] = value
    assert page.read([0]) == [(key, tuple(values)) for key, values in rows.items()]
    region.close()
    again = page.region(0)
    assert list(again.keys()) == list(rows)
    again.close()
