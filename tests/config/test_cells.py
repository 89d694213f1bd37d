"""Layout, locks and worker slots of the shared cells."""

from __future__ import annotations

import os
import signal
import time

import pytest

from config import cells as cells_module
from config.cells import ALL_ROWS, FIRST_GAUGE_LOCK, RECORD_BYTES, Cells, CellsBusy
from tests.forked import Forked


@pytest.fixture
def cells() -> Cells:
    return Cells.create()


def resident_bytes(cells: Cells) -> int:
    return os.fstat(cells.descriptor).st_blocks * 512


def test_memory_is_spent_only_on_what_was_touched(cells: Cells) -> None:
    assert resident_bytes(cells) == 4096
    cells.word_values[12345] = 1
    cells.records[5 * RECORD_BYTES] = 1
    assert resident_bytes(cells) == 3 * 4096
    cells.clear_record(5)
    assert resident_bytes(cells) == 2 * 4096


def test_tables_do_not_overlap(cells: Cells) -> None:
    tables = [cells.word_tags, cells.word_stamps, cells.word_values, cells.gauge_tags, cells.gauge_counts]
    tables += [cells.record_tags, cells.record_stamps, cells.records.cast("Q")]
    for number, table in enumerate(tables, 1):
        table[0] = table[len(table) - 1] = number
    assert [table[0] for table in tables] == [table[-1] for table in tables] == list(range(1, 9))
    assert len(cells.salt) == 32
    assert cells.salt != Cells.create().salt


def test_a_child_sees_what_the_parent_wrote_and_the_other_way_round(cells: Cells) -> None:
    cells.word_values[0] = 7

    def child() -> int:
        cells.word_values[1] = cells.word_values[0] + 1
        return cells.word_values[0]

    with Forked(child) as forked:
        assert forked.result() == "7"
    assert cells.word_values[1] == 8


def test_a_dead_holder_leaves_no_lock(cells: Cells) -> None:
    def child() -> None:
        cells.lock(FIRST_GAUGE_LOCK)
        os.kill(os.getpid(), signal.SIGKILL)

    with Forked(child) as forked:
        assert forked.exit_code() == -signal.SIGKILL
    cells.lock(FIRST_GAUGE_LOCK)
    cells.unlock(FIRST_GAUGE_LOCK)


def test_a_stopped_holder_does_not_stop_the_others(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_module, "LONGEST_WAIT_SECONDS", 0.02)

    def child() -> None:
        cells.lock(3)
        os.kill(os.getpid(), signal.SIGSTOP)

    with Forked(child) as forked:
        forked.wait_stopped()
        with pytest.raises(CellsBusy, match="lock 3"):
            cells.lock(3)
        tries: list[int] = []
        monkeypatch.setattr(os, "sched_yield", lambda: tries.append(1))
        with pytest.raises(CellsBusy, match="lock 3"):
            cells.lock(3)
        assert not tries, "it was waited for in vain a moment ago"
        cells.lock(4)
        cells.unlock(4)
        assert forked.kill() == -signal.SIGKILL
    cells.lock(3)
    cells.unlock(3)


def test_a_lock_is_waited_for(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_module, "LONGEST_WAIT_SECONDS", 15.0)

    def child() -> None:
        cells.lock(3)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.005)  # long enough for the parent to come and wait
        cells.unlock(3)

    with Forked(child) as forked:
        forked.wait_stopped()
        os.kill(forked.pid, signal.SIGCONT)
        cells.lock(3)
        forked.result()


def test_slots(cells: Cells) -> None:
    assert cells.used_slots == 0
    cells.clear_slot(9)  # never opened: nothing to do
    cells.open_slot(2)
    cells.open_slot(1)
    assert cells.used_slots == 3
    cells.gauge_counts[1 * ALL_ROWS + 5] = 4
    cells.gauge_counts[2 * ALL_ROWS + 5] = 6
    cells.clear_slot(2)
    assert cells.gauge_counts[1 * ALL_ROWS + 5] == 4
    assert cells.gauge_counts[2 * ALL_ROWS + 5] == 0
    with pytest.raises(IndexError):
        cells.open_slot(256)


def test_where_the_kernel_gives_no_pages_back_zeros_are_written(
    cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoRemoval:
        def __init__(self, real: object) -> None:
            self._real = real

        def madvise(self, *_: int) -> None:
            raise OSError("not here")

        def __setitem__(self, where: slice, data: bytes) -> None:
            self._real[where] = data  # type: ignore[index]

    cells.open_slot(1)
    cells.gauge_counts[ALL_ROWS] = cells.gauge_counts[2 * ALL_ROWS - 1] = cells.gauge_counts[0] = 9
    monkeypatch.setattr(cells, "_map", NoRemoval(cells._map))
    cells.clear_slot(1)
    assert not any(cells.gauge_counts[ALL_ROWS : 2 * ALL_ROWS])
    assert cells.gauge_counts[0] == 9
