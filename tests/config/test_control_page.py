"""Cells are shared over fork and exec, and the dead are not counted."""

import os
import subprocess
import sys

import pytest

from config.control_page import SLOT_COUNT, Cell, ControlPage, Head


def test_cells_are_seen_by_another_process() -> None:
    page = ControlPage.create()
    page[Head.GENERATION] = 41
    program = (
        "import sys; from config.control_page import *; page = ControlPage.attach(int(sys.argv[1]));"
        "page[Head.PROVIDER_SYNCED] = page[Head.GENERATION] + 1; page.slot(3)[Cell.PID] = 7"
    )
    command = [sys.executable, "-c", program, str(page.descriptor)]
    subprocess.run(command, check=True, pass_fds=[page.descriptor], timeout=60)
    assert page[Head.PROVIDER_SYNCED] == 42
    assert [slot.index for slot in page.live_slots()] == [3]


def test_a_cleared_slot_counts_no_more() -> None:
    page = ControlPage.create()
    slot = page.slot(0)
    slot[Cell.PID], slot[Cell.REQUESTS_TOTAL] = 1, 99
    slot.beat()
    assert slot[Cell.HEARTBEAT_NS] > 0
    slot.clear()
    assert not list(page.live_slots())
    assert all(slot[cell] == 0 for cell in Cell)


def test_neighbouring_slots_do_not_touch() -> None:
    page = ControlPage.create()
    for cell in Cell:
        page.slot(1)[cell] = 2**64 - 1
    for index in (0, 2):
        assert all(page.slot(index)[cell] == 0 for cell in Cell)
    assert all(page[cell] == 0 for cell in Head)


def test_a_foreign_descriptor_is_refused() -> None:
    descriptor = os.memfd_create("other")
    with pytest.raises(ValueError, match="control page"):
        ControlPage.attach(descriptor)
    os.close(descriptor)


def test_slots_are_bounded() -> None:
    page = ControlPage.create()
    with pytest.raises(IndexError):
        page.slot(SLOT_COUNT)
