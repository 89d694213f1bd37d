"""Fixtures of several files of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workers.publications import NAMES, Control, Written, controlled


@pytest.fixture
def control() -> Iterator[Control]:
    """A provider that has published NAMES, each with one server."""
    with controlled(**dict.fromkeys(NAMES, (1,))) as made:
        yield made


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    made.writer.close()
