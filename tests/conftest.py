"""What every test of this suite gets: ports, a leak check and one Hypothesis profile.

Warnings are errors (pyproject.toml). `wait_until` is in `tests/waiting.py`, the record of numbered behaviours
in `tests/behaviours.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import behaviours, leftovers
from tests.ports import PortReservation

# A shared machine pauses a test for longer than any per-example deadline; CI repeats the same examples.
_CALM = [HealthCheck.too_slow]
settings.register_profile("default", deadline=None, suppress_health_check=_CALM)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=_CALM)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--behaviours-json",
        type=Path,
        metavar="FILE",
        help="write which numbered behaviours have passing, failing and skipped tests",
    )


def pytest_configure(config: pytest.Config) -> None:
    target: Path | None = config.getoption("--behaviours-json")
    is_xdist_worker = hasattr(config, "workerinput")
    if target is not None and not is_xdist_worker:
        config.pluginmanager.register(behaviours.Recorder(target), "behaviours-recorder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand the marks to the reports: they travel from the xdist workers, the items do not."""
    for item in items:
        for number in behaviours.numbers_of(item):
            item.user_properties.append((behaviours.PROPERTY, number))


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_session() -> Iterator[None]:
    mark = leftovers.put_mark()
    yield
    left = leftovers.marked(mark)
    assert not left, f"processes left behind by this session: {left}"


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test(_no_process_outlives_the_session: None) -> Iterator[None]:
    """Fixtures of wider scope are set up before this one, so their processes are not counted."""
    before = leftovers.children()
    yield
    left = leftovers.new_children(before)
    assert not left, f"processes left behind by this test: {left}"


@pytest.fixture
def free_ports() -> Iterator[Callable[[int], list[int]]]:
    """`free_ports(3)` gives three TCP ports of 127.0.0.1 that nobody else gets while the test runs."""
    held: list[PortReservation] = []

    def reserve(count: int) -> list[int]:
        taken = [PortReservation() for _ in range(count)]
        held.extend(taken)
        return [reservation.port for reservation in taken]

    yield reserve
    for reservation in held:
        reservation.release()


@pytest.fixture
def free_port(free_ports: Callable[[int], list[int]]) -> int:
    """One TCP port of 127.0.0.1 that nobody else gets while the test runs."""
    return free_ports(1)[0]
