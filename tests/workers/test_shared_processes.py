"""Several processes at the same cells: limits are exact, and a death at any instruction leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import workers.shared
from config.cells import Cells
from tests.forked import Forked, all_at_once, dies_before_line
from workers.shared import SharedState

HOUR_NS = 3600 * 10**9
WORKERS = 4
FILES = {str(path) for path in Path(workers.shared.__file__).parent.glob("shared*.py")}
Work = Callable[[SharedState], object]


@pytest.fixture
def cells() -> Cells:
    made = Cells.create()
    for slot in range(WORKERS + 1):
        made.open_slot(slot)
    return made


def in_slot(cells: Cells, slot: int, work: Work) -> Callable[[], object]:
    return lambda: work(SharedState(cells, slot))


def run_in_all(cells: Cells, work: Work) -> list[str]:
    with all_at_once(*(in_slot(cells, slot, work) for slot in range(WORKERS))) as children:
        return [child.result() for child in children]


def take_many(shared: SharedState) -> int:
    limiter = shared.buckets(
        shared.identity("b"), interval_ns=HOUR_NS, burst=500, longest_wait_ns=0, ttl_seconds=3600
    )
    return sum(limiter.take(b"x")[0] for _ in range(1000))


def test_one_bucket_gives_exactly_its_burst(cells: Cells) -> None:
    taken = [int(text) for text in run_in_all(cells, take_many)]
    assert sum(taken) == 500


def test_one_gauge_lets_exactly_its_limit_in(cells: Cells) -> None:
    def enter_many(shared: SharedState) -> int:
        gauge = shared.gauge(shared.identity("g"))
        return sum(gauge.enter(b"x", 501) for _ in range(1000))

    assert sum(int(text) for text in run_in_all(cells, enter_many)) == 501
    watcher = SharedState(cells, WORKERS)
    gauge = watcher.gauge(watcher.identity("g"))
    assert gauge.count(b"x") == 501
    cells.clear_slot(2)
    for slot in (0, 1, 3):
        cells.clear_slot(slot)
    assert gauge.count(b"x") == 0


def test_entering_and_leaving_never_exceeds_the_limit(cells: Cells) -> None:
    def come_and_go(shared: SharedState) -> int:
        gauge = shared.gauge(shared.identity("g"))
        highest = 0
        for number in range(3000):
            source = b"%d" % (number % 3)
            if gauge.enter(source, 2):
                highest = max(highest, gauge.count(source))
                gauge.leave(source)
        return highest

    assert {int(text) for text in run_in_all(cells, come_and_go)} <= {1, 2}
    watcher = SharedState(cells, WORKERS)
    assert [watcher.gauge(watcher.identity("g")).count(b"%d" % source) for source in range(3)] == [0, 0, 0]


def test_new_sources_from_all_sides_get_one_cell_each(cells: Cells) -> None:
    def spread(shared: SharedState) -> int:
        limiter = shared.buckets(
            shared.identity("b"), interval_ns=HOUR_NS, burst=1, longest_wait_ns=0, ttl_seconds=3600
        )
        return sum(limiter.take(b"%d" % source)[0] for source in range(2000))

    assert sum(int(text) for text in run_in_all(cells, spread)) == 2000


def test_records_are_made_once(cells: Cells) -> None:
    def count(shared: SharedState) -> None:
        for number in range(500):
            with shared.record(shared.identity("r", str(number % 20)), ttl_seconds=60) as words:
                words[0] += 1

    run_in_all(cells, count)
    watcher = SharedState(cells, WORKERS)
    for number in range(20):
        with watcher.record(watcher.identity("r", str(number)), ttl_seconds=60) as words:
            assert words[0] == WORKERS * 500 // 20


LIMIT, SOURCES = 3, 40


def churn(shared: SharedState) -> None:
    """Everything at once, for ever."""
    gauge = shared.gauge(shared.identity("g"))
    limiter = shared.buckets(
        shared.identity("b"), interval_ns=HOUR_NS, burst=LIMIT, longest_wait_ns=0, ttl_seconds=3600
    )
    chosen = random.Random(os.getpid())
    while True:
        source = b"%d" % chosen.randrange(SOURCES)
        limiter.take(source)
        if gauge.enter(source, LIMIT):
            gauge.leave(source)
        with shared.record(shared.identity("r", str(chosen.randrange(5))), ttl_seconds=60) as words:
            words[0] += 1


def test_killing_workers_at_random_neither_wedges_nor_leaks(cells: Cells) -> None:
    watcher = SharedState(cells, WORKERS)
    gauge = watcher.gauge(watcher.identity("g"))
    children = [Forked(in_slot(cells, slot, churn)) for slot in range(WORKERS)]
    pauses = random.Random(1)
    try:
        for round_number in range(40):
            slot = round_number % WORKERS
            time.sleep(pauses.uniform(0.001, 0.01))  # nothing to wait for: any moment will do
            assert children[slot].kill() == -signal.SIGKILL
            children[slot].__exit__(None, None, None)
            cells.clear_slot(slot)
            cells.open_slot(slot)
            children[slot] = Forked(in_slot(cells, slot, churn))
            assert all(gauge.count(b"%d" % source) <= LIMIT for source in range(SOURCES))
    finally:
        for child in children:
            child.__exit__(None, None, None)
    for slot in range(WORKERS):
        cells.clear_slot(slot)
    for source in (b"%d" % number for number in range(SOURCES)):
        assert [gauge.enter(source, LIMIT) for _ in range(LIMIT + 1)] == [True] * LIMIT + [False]


def bucket_work(shared: SharedState) -> list[bool]:
    limiter = shared.buckets(
        shared.identity("b"), interval_ns=HOUR_NS, burst=3, longest_wait_ns=0, ttl_seconds=3600
    )
    return [limiter.take(b"x")[0] for _ in range(4)]


def gauge_work(shared: SharedState) -> list[bool]:
    gauge = shared.gauge(shared.identity("g"))
    admitted = [gauge.enter(b"x", 3) for _ in range(4)]
    for was_let_in in admitted:
        if was_let_in:
            gauge.leave(b"x")
    return admitted


def record_work(shared: SharedState) -> list[bool]:
    with shared.record(shared.identity("r"), ttl_seconds=60) as words:
        assert words[0] == words[1]
        words[0] = words[1] = 1
        words[0] = words[1] = 0
    return [True] * 3 + [False]


@pytest.mark.parametrize("work", [gauge_work, record_work, bucket_work])
def test_a_death_before_any_line_leaves_a_whole_state(work: Work) -> None:
    """The next worker gets what the dead one had not taken: all of it, or all but what was taken before."""
    for lines in range(1000):
        cells = Cells.create()
        cells.open_slot(0)
        cells.open_slot(1)
        with Forked(dies_before_line(lines, FILES, in_slot(cells, 0, work))) as child:
            code = child.exit_code()
        cells.clear_slot(0)
        found = work(SharedState(cells, 1))
        assert isinstance(found, list)
        if work is bucket_work:
            assert found == sorted(found, reverse=True)
            assert sum(found) <= 3
        else:
            assert found == [True] * 3 + [False]
        if code == 0:
            break
    assert code == 0
    assert lines > 5
