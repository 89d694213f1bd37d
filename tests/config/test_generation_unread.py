"""A table whose rows are looked at late, or never, says the same as one that is looked at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import generation as g
from config import generation_layout as layout
from config import generation_table as table_of
from config.generation_writing import GenerationWriter
from tests.config.test_generation_files import Case, table
from tests.config.test_generation_writing import CHANGES, CONTENTS, KEYS, bodies, encoded, read

NOTHING, META_ONLY, SECTIONS, COMPARED = range(4)


@pytest.fixture
def case() -> Iterator[Case]:
    made = Case()
    yield made
    made.close()


@given(
    CONTENTS,
    st.lists(st.tuples(CHANGES, st.lists(st.integers(NOTHING, COMPARED), max_size=2)), min_size=2, max_size=10),
    st.randoms(),
)
def test_it_does_not_matter_when_a_table_is_looked_at(
    first: dict[g.SectionKey, bytes],
    steps: list[tuple[dict[g.SectionKey, bytes | None], list[int]]],
    chance: Random,
) -> None:
    """A reader looks at some of the tables as they come, and at the rest in any order when all are closed."""
    contents, wanted = first, []
    readers: list[g.Generation] = []
    with ExitStack() as stack:
        writer = GenerationWriter()
        stack.callback(writer.close)
        for number, (change, asked) in enumerate([({}, [SECTIONS]), *steps], 1):
            contents = {key: body for key, body in {**contents, **change}.items() if body is not None}
            sections = encoded(number, contents)
            former = readers[-1] if readers else None
            reader = g.Generation(writer.write(number, sections), former)
            stack.callback(reader.close)
            readers.append(reader)
            wanted.append({key: digest for key, (_, digest) in sections.items()})
            for question in asked:
                look(reader, former, question, sections)
        late = list(range(len(readers)))
        chance.shuffle(late)
        for index in late:
            reader, before = readers[index], readers[index - 1] if index else None
            assert {key: row.digest for key, row in reader.sections.items()} == wanted[index]
            was, now = wanted[index - 1] if index else {}, wanted[index]
            compared = reader.compared(before)
            assert sorted(compared.changed) == sorted(key for key in now if was.get(key) != now[key])
            assert sorted(compared.gone) == sorted(was.keys() - now.keys())


def look(
    reader: g.Generation,
    former: g.Generation | None,
    question: int,
    sections: dict[g.SectionKey, tuple[bytes, bytes]],
) -> None:
    assert reader.delta() is None
    if question == META_ONLY:
        assert reader._checked(g.META) == sections[g.META][0]
    elif question == SECTIONS:
        assert read(reader) == bodies(sections)
    elif question == COMPARED:
        assert g.META in reader.compared(former).changed


BAD_ROWS: list[tuple[Sequence[tuple[str, int, int, int, int]], str]] = [
    ([("tls", 1, 9, 1 << 20, 1)], "tls/1 lies outside its file"),
    ([("tls", 1, 7, 500, 1)], "lies in a file that is not listed"),
    ([("tls", 1, 4, 1000, 1), ("tls", 1, 4, 1000, 2)], "tls/1 appears twice"),
    ([("tls", 1, 4, 1000, 1)] * 2, "appears twice"),
    ([("secrets", 1, 4, 1000, 1)], "unknown section"),
    ([("tls", 256, 4, 1000, 1)], "unknown section"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS)
@pytest.mark.parametrize("is_looked_at", [False, True])
def test_rows_that_do_not_hold_are_refused_whenever_somebody_asks(
    case: Case, rows: Sequence[tuple[str, int, int, int, int]], message: str, is_looked_at: bool
) -> None:
    with g.Generation(case.files) as before:
        if is_looked_at:
            before.verify()
        with g.Generation([table(case, rows), case.files[1]], before) as generation:
            assert generation.read(g.META).number == generation.number == 9
            assert generation.delta() is None
            assert repr(generation) == f"<Generation 9, {len(rows) + 1} sections in 2 files>"
            for ask in (
                generation.verify,
                lambda: generation.sections,
                lambda: generation.compared(before),
                lambda: generation.compared(None),
                lambda: before.compared(generation),
                lambda: generation.read(KEYS[0]),
            ):
                for _ in range(2):
                    with pytest.raises(g.GenerationRefused, match=message):
                        ask()
            with g.Generation(case.files, generation) as after:  # it takes nothing over from such a one
                assert {*after.compared(before).changed} == {*after.compared(before).gone} == set()
                assert read(after) == read(before)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("meta", 0, 9, 100, 1)], "meta/0 appears twice"),
        ([("delta", 0, 4, 1000, 1), ("delta", 0, 4, 1000, 2)], "delta/0 appears twice"),
        ([("delta", 0, 4, 1 << 20, 1)], "delta/0 lies outside its file"),
        ([("delta", 0, 4, 0, 1)], "delta/0 lies outside its file"),
        ([("delta", 0, 7, 5000, 1)], "not listed"),
    ],
)
def test_rows_that_are_read_first_are_refused_at_once(
    case: Case, rows: Sequence[tuple[str, int, int, int, int]], message: str
) -> None:
    with pytest.raises(g.GenerationRefused, match=message):
        g.Generation([table(case, rows), case.files[1]])


def test_rows_are_found_where_they_begin() -> None:
    """What looks like one elsewhere is none, nor is another shard."""
    files = (layout.File(4, 10_000, 1, 3, bytes(16)),)
    meta = layout.ROW.pack(b"meta", 0, 4, 5000, 1, bytes(16))
    looks_so = layout.ROW.pack(b"delta", 0, 4, 5000, 3, bytes(16))[:16]
    other = layout.ROW.pack(b"delta", 1, 4, 5000, 3, looks_so)
    delta = layout.ROW.pack(b"delta", 0, 4, 6000, 3, bytes(16))
    assert table_of.Table(files, meta + other, None).find(g.DELTA) is None
    found = table_of.Table(files, other + delta + meta, None).find(g.DELTA)
    assert found is not None
    assert found.offset == 6000
    with pytest.raises(g.GenerationRefused, match="no meta"):
        table_of.Table(files, other + delta, None)


def test_tables_that_nobody_looked_at_are_not_held_for_ever() -> None:
    writer, numbers = GenerationWriter(), range(7001, 7051)
    generation: g.Generation | None = None
    for number in numbers:
        files = writer.write(number, encoded(number, {KEYS[number % 4]: b"%d" % number}))
        former, generation = generation, g.Generation(files, generation)
        if former is None:
            generation.verify()
        else:
            former.close()
    assert generation is not None
    del former
    assert alive(numbers) == [(table_of.Rows, 7001), (table_of.Table, 7050)]
    generation.verify()
    assert alive(numbers) == [(table_of.Rows, 7050), (table_of.Table, 7050)]
    generation.close()
    writer.close()


def alive(numbers: range) -> list[tuple[type, int]]:
    """Tables and rows of these generations that are still there."""
    gc.collect()
    of = [one for one in gc.get_objects() if isinstance(one, (table_of.Rows, table_of.Table)) and one.files]
    found = [(type(one), one.files[0].number) for one in of if one.files[0].number in numbers]
    return sorted(found, key=lambda one: one[0].__name__)
