"""A generation of several files is refused unless they are all there, the right ones, and hold what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from config import generation as g
from config import generation_layout as layout
from config.generation_writing import GenerationWriter, write_generation
from tests.config.test_generation import content_of, sealed, written
from tests.config.test_generation_file import descriptors
from tests.config.test_generation_writing import KEYS, encoded, read

CONTENTS = {key: bytes([65 + index]) * 1000 for index, key in enumerate(KEYS)}


class Case:
    """A generation of three files, 5, 4 and 3, and a way to be given others."""

    def __init__(self) -> None:
        self.writer = GenerationWriter()
        for number in (3, 4, 5):
            self.files = self.writer.write(
                number, encoded(number, CONTENTS | {KEYS[number]: b"%d" % number * 500})
            )
        self.made: list[int] = []

    def own(self, descriptor: int) -> int:
        """To be closed at the end."""
        self.made.append(descriptor)
        return descriptor

    def refused(self, files: Sequence[int], before: g.Generation | None = None) -> str:
        count = descriptors()
        with pytest.raises(g.GenerationRefused) as caught:
            look_at(files, before)
        assert descriptors() == count
        return str(caught.value)

    def close(self) -> None:
        self.writer.close()
        for descriptor in self.made:
            os.close(descriptor)


def look_at(files: Sequence[int], before: g.Generation | None = None) -> None:
    with g.Generation(files, before) as generation:
        read(generation)


@pytest.fixture
def case() -> Iterator[Case]:
    made = Case()
    yield made
    made.close()


def table(
    case: Case, rows: Sequence[tuple[str, int, int, int, int]], files: Sequence[int] = (9, 4), size: int = 0
) -> int:
    """A file of generation 9 that says this: rows of section, shard, file, offset, length; `meta` is added."""
    meta = g.encode_section(g.Meta(number=9, created_unix_seconds=0))
    start = layout.HEADER.size + layout.FILE.size * len(files) + layout.ROW.size * (len(rows) + 1)
    packed = b"".join(map(layout.FILE.pack, files))
    packed += layout.ROW.pack(b"meta", 0, files[0], start, len(meta), g.digest_of(meta))
    for section, shard, file, offset, length in rows:
        packed += layout.ROW.pack(section.encode(), shard, file, offset, length, bytes(16))
    header = layout.header_of(9, len(files), packed, len(rows) + 1, start + len(meta))
    return case.own(sealed(header + packed + meta))


def test_its_files_are_those_that_it_names(case: Case) -> None:
    own, four, three = case.files
    with g.Generation(case.files) as generation:
        assert {row.file for row in generation.sections.values()} == {3, 4, 5}
    other = case.own(written(7))
    assert case.refused(()) == "0 files where 1 to 8 make a generation"
    assert case.refused([own]) == "came with the files of generations [5] where it names [5, 4, 3]"
    assert "generations [5, 4]" in case.refused([own, four])
    assert "generations [5, 3, 4]" in case.refused([own, three, four])
    assert "generations [5, 4, 3, 7]" in case.refused([own, four, three, other])
    assert "generations [5, 4, 4]" in case.refused([own, four, four])
    assert "generations [5, 4, 7]" in case.refused([own, four, other])
    assert "generations [4, 5, 3]" in case.refused([four, own, three])
    assert "9 files" in case.refused([own] * 9)


def test_a_file_of_that_number_with_other_content_is_refused(case: Case) -> None:
    """As a former provider may have left it: what the table says of it does not hold."""
    own, four, _ = case.files
    smaller = case.own(written(3))
    assert "lies outside its file" in case.refused([own, four, smaller])
    other = write_generation(3, [(key, bytes(5000), g.digest_of(bytes(5000))) for key in (g.META, *KEYS)])
    assert "does not match its digest" in case.refused([own, four, case.own(other)])
    with g.Generation(case.files) as before:
        assert "does not match its digest" in case.refused([own, four, other], before)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_each_file_is_looked_at(case: Case, position: int) -> None:
    def exchanged(content: bytes, seals: int = layout.REQUIRED_SEALS) -> list[int]:
        files = list(case.files)
        files[position] = case.own(sealed(content, seals))
        return files

    good = bytes(content_of(case.files[position]))
    look_at(exchanged(good))
    assert "not sealed" in case.refused(exchanged(good, 0))
    assert "cannot be a generation" in case.refused(exchanged(b""))
    assert "where its header says" in case.refused(exchanged(good[:-1]))
    assert "wrong magic" in case.refused(exchanged(b"x" + good[1:]))
    assert "layout 1 where 2" in case.refused(exchanged(good[:8] + b"\1" + good[9:]))
    pipe, end = os.pipe()
    files = list(case.files)
    files[position] = pipe
    assert "not a memfd" in case.refused(files)
    os.close(pipe)
    os.close(end)


def test_together_they_may_not_be_too_large(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [os.fstat(one).st_size for one in case.files]
    monkeypatch.setattr(layout, "LARGEST_BYTES", sum(sizes) - 1)
    assert "larger than a generation may be" in case.refused(case.files)


def test_rows_lie_where_something_can_be(case: Case) -> None:
    four = case.files[1]
    start = layout.HEADER.size + 2 * layout.FILE.size + (len(KEYS) + 1) * layout.ROW.size
    size = os.fstat(four).st_size
    assert "does not match its digest" in case.refused([table(case, [("tls", 1, 4, start, size - start)]), four])
    for offset, length in ((start - 1, 1), (0, 8), (start, size - start + 1), (size, 1), (2**32 - 1, 2**32 - 1)):
        message = case.refused([table(case, [("tls", 1, 4, offset, length)]), four])
        assert message == "section tls/1 lies outside its file"
    assert "lies outside" in case.refused([table(case, [("tls", 1, 9, start, 1)]), four]), "in the own table"
    assert "not listed" in case.refused([table(case, [("tls", 1, 3, start, 1)]), four])
    twice = [("tls", 1, 4, start, 1), ("tls", 1, 4, start, 2)]
    assert "twice" in case.refused([table(case, twice), four])
    assert "twice" in case.refused([table(case, twice[:1] * 2), four])


def test_files_are_named_once_and_come_from_before(case: Case) -> None:
    four, own = case.files[1], table(case, [], (9, 4, 4))
    assert "cannot consist" in case.refused([own, four, four])
    later = case.own(written(10))
    assert "cannot consist" in case.refused([table(case, [], (9, 10)), later])
    assert "over 9 files" in case.refused([table(case, [], range(9, 0, -1))])


def test_what_was_there_before_does_not_excuse_a_file_that_is_missing(case: Case) -> None:
    """Rows that are known are not read again, but where they point to is looked at."""
    four = case.files[1]
    with g.Generation(case.files) as before:
        row = next(row for row, one in before._table.rows(lambda: None).packed.items() if one.file == 3)
        meta = g.encode_section(g.Meta(number=9, created_unix_seconds=0))
        start = layout.HEADER.size + 2 * layout.FILE.size + 2 * layout.ROW.size
        packed = layout.FILE.pack(9) + layout.FILE.pack(4)
        packed += layout.ROW.pack(b"meta", 0, 9, start, len(meta), g.digest_of(meta)) + row
        own = case.own(sealed(layout.header_of(9, 2, packed, 2, start + len(meta)) + packed + meta))
        assert "not listed" in case.refused([own, four], before)
