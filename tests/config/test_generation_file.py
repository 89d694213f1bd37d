"""How a generation is written and read: by short calls, and leaving nothing open."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import generation as g
from config import generation_writing as writing
from tests.config.test_generation import META, opened, written


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def large(shards: int, size: int = 100) -> int:
    """`meta` and so many sections of findings, of `size` bytes each."""
    meta = g.encode_section(g.Meta(number=1, created_unix_seconds=0))
    rows = [(META, meta, g.digest_of(meta))]
    for shard in range(shards):
        body = bytes([shard % 256]) * size
        rows.append((g.SectionKey("findings", shard), body, g.digest_of(body)))
    return writing.write_generation(1, rows)


@given(st.lists(st.integers(0, 80_000), max_size=8))
def test_pieces_are_gathered_in_their_order(lengths: list[int]) -> None:
    pieces = [bytes([number]) * length for number, length in enumerate(lengths)]
    gathered = list(writing._gathered(pieces))
    assert [piece for some in gathered for piece in some] == pieces
    assert all(gathered)
    assert all(len(some) == 1 or sum(map(len, some)) <= 64 << 10 for some in gathered)
    assert all(sum(map(len, [*some, after[0]])) > 64 << 10 for some, after in pairwise(gathered))


def test_many_small_pieces_are_no_more_than_one_call_takes() -> None:
    assert [len(some) for some in writing._gathered([b"x"] * 2500)] == [1024, 1024, 452]


def test_it_is_written_in_short_calls_and_read_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    writev = os.writev

    def noted(descriptor: int, pieces: list[bytes]) -> int:
        lengths.append(sum(map(len, pieces)))
        return writev(descriptor, pieces)

    monkeypatch.setattr(os, "writev", noted)
    descriptor = large(200, 5_000)
    assert max(lengths) <= 64 << 10
    assert sum(lengths) == os.fstat(descriptor).st_size > 1_000_000
    with opened(descriptor) as generation:
        for key, row in generation.sections.items():
            if key.section == "findings":
                assert generation._checked(key) == bytes([key.shard]) * row.length


def test_a_write_that_falls_short_is_an_error_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: sum(map(len, pieces)) - 1)
    with pytest.raises(OSError, match="the memory file took"):
        written()
    assert descriptors() == before


def test_the_descriptor_may_be_closed_once_it_is_opened() -> None:
    descriptor = written(4)
    with g.Generation(descriptor) as generation:
        os.close(descriptor)
        assert generation.read(META).number == 4


def test_it_is_closed_once_and_by_itself_when_nobody_has_it() -> None:
    descriptor, before = written(), descriptors()
    generation = g.Generation(descriptor)
    assert descriptors() == before + 1
    generation.close()
    other = os.dup(descriptor)  # takes the number that has become free
    generation.close()
    assert os.fstat(other).st_size == os.fstat(descriptor).st_size
    with pytest.raises(OSError, match="Bad file descriptor"):
        generation.read(META)
    os.close(other)
    generation = g.Generation(descriptor)
    del generation
    assert descriptors() == before
    os.close(descriptor)


def test_others_get_their_turn_while_a_large_table_is_read() -> None:
    def pauses(shards: int) -> int:
        descriptor, made = large(shards), [0]

        def pause() -> None:
            made[0] += 1

        with g.Generation(descriptor) as generation:
            os.close(descriptor)
            generation.compared(None, pause)
        return made[0]

    assert pauses(250) >= pauses(1) + 3


def test_an_end_while_others_have_their_turn_leaves_nothing_open() -> None:
    def end() -> None:
        raise KeyboardInterrupt

    descriptor, before = written(), descriptors()
    with pytest.raises(KeyboardInterrupt):
        g.Generation(descriptor, pause=end)
    assert descriptors() == before
    os.close(descriptor)
