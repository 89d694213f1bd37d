"""Generation after generation, of which only what differs is written: each decodes to exactly what was given."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import generation as g
from config import generation_layout as layout
from config.generation_writing import Encoded, GenerationWriter
from tests.config.test_generation_file import descriptors

KEYS = [g.SectionKey(section, shard) for section in ("routing", "endpoints", "tls") for shard in range(6)]
Contents = Mapping[g.SectionKey, bytes]
CONTENTS = st.dictionaries(
    st.sampled_from(KEYS), st.builds(bytes.__mul__, st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 3000))
)
CHANGES = st.dictionaries(
    st.sampled_from(KEYS),
    st.none() | st.builds(bytes.__mul__, st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 3000)),
    max_size=5,
)


def encoded(number: int, contents: Contents) -> dict[g.SectionKey, Encoded]:
    """With a `meta` that is another each time."""
    meta = g.encode_section(g.Meta(number=number, created_unix_seconds=0))
    return {key: (body, g.digest_of(body)) for key, body in {**contents, g.META: meta}.items()}


def read(generation: g.Generation) -> dict[g.SectionKey, bytes]:
    return {key: generation._checked(key) for key in generation.sections}


def bodies(sections: Mapping[g.SectionKey, Encoded]) -> dict[g.SectionKey, bytes]:
    return {key: body for key, (body, _) in sections.items()}


@pytest.fixture
def writer() -> Iterator[GenerationWriter]:
    made = GenerationWriter()
    yield made
    made.close()


@given(CONTENTS, st.lists(CHANGES, max_size=12), st.integers(0, 3))
def test_each_generation_is_what_was_given(
    first: dict[g.SectionKey, bytes], changes: list[dict[g.SectionKey, bytes | None]], every: int
) -> None:
    """One reader knows the generation before, one that of some time ago, one nothing."""
    before = descriptors()
    writer, contents = GenerationWriter(), first
    follower: g.Generation | None = None
    straggler: g.Generation | None = None
    for number, change in enumerate([{}, *changes], 1):
        merged = {**contents, **change}
        contents = {key: body for key, body in merged.items() if body is not None}
        sections = encoded(number, contents)
        files = writer.write(number, sections)
        assert 1 <= len(files) <= layout.MOST_FILES
        live = sum(len(body) for body, _ in sections.values())
        own = len(files) * (layout.HEADER.size + layout.MOST_FILES * layout.FILE.size)
        tables = sum(layout.ROW.size * row_count(file) for file in files)
        assert sum(os.fstat(file).st_size for file in files) <= 2 * live + own + tables
        assert descriptors() == before + len(files) + sum(map(files_of, (follower, straggler)))
        fresh = g.Generation(files)
        assert fresh.number == number
        assert read(fresh) == bodies(sections)
        assert {*fresh.compared(None).changed} == {*sections}
        follower = followed(files, follower, fresh, sections)
        if every == 0 or number % every == 0:
            straggler = followed(files, straggler, fresh, sections)
        fresh.close()
    for generation in (follower, straggler):
        if generation is not None:
            generation.close()
    writer.close()
    assert descriptors() == before


def followed(
    files: tuple[int, ...],
    former: g.Generation | None,
    fresh: g.Generation,
    sections: Mapping[g.SectionKey, Encoded],
) -> g.Generation:
    """The generation as one reads it who has the former: the same, and told apart from it."""
    generation = g.Generation(files, former)
    assert generation.sections == fresh.sections
    assert generation.digest == fresh.digest
    assert read(generation) == bodies(sections)
    known = {key: row.digest for key, row in former.sections.items()} if former is not None else {}
    now = {key: digest for key, (_, digest) in sections.items()}
    compared = generation.compared(former)
    assert sorted(compared.changed) == sorted(key for key in now if known.get(key) != now[key])
    assert sorted(compared.gone) == sorted(known.keys() - now.keys())
    if former is not None:
        former.close()
    return generation


def row_count(descriptor: int) -> int:
    rows: int = layout.HEADER.unpack(os.pread(descriptor, layout.HEADER.size, 0))[3]
    return rows


def files_of(generation: g.Generation | None) -> int:
    return len(generation._descriptors) if generation is not None else 0


def test_what_does_not_change_is_not_written_again(writer: GenerationWriter) -> None:
    contents = dict.fromkeys(KEYS, b"x" * 1000)
    (whole,) = writer.write(1, encoded(1, contents))
    changed = encoded(2, contents | {KEYS[3]: b"y" * 1000})
    files = writer.write(2, changed)
    assert files[1:] == (whole,)
    start = layout.HEADER.size + 2 * layout.FILE.size + layout.ROW.size * len(changed)
    assert os.fstat(files[0]).st_size - start == 1000 + len(changed[g.META][0])
    with g.Generation(files) as generation:
        assert {one.file for key, one in generation.sections.items() if key in (KEYS[3], g.META)} == {2}
        assert {one.file for key, one in generation.sections.items() if key not in (KEYS[3], g.META)} == {1}


def test_a_file_of_which_less_than_half_is_used_is_given_up(writer: GenerationWriter) -> None:
    contents = dict.fromkeys(KEYS[:11], b"x" * 1000)
    writer.write(1, encoded(1, contents))
    for number in range(2, 7):
        contents[KEYS[number]] = b"y" * 1000
        assert len(writer.write(number, encoded(number, contents))) == number
    contents[KEYS[7]] = b"y" * 1000
    files = writer.write(7, encoded(7, contents))
    with g.Generation(files) as generation:
        assert {one.file for one in generation.sections.values()} == {2, 3, 4, 5, 6, 7}
        assert {one.file for one in generation.sections.values() if one.digest == g.digest_of(b"x" * 1000)} == {7}


def test_of_too_many_files_the_emptiest_is_given_up(writer: GenerationWriter) -> None:
    contents: dict[g.SectionKey, bytes] = {}
    for number in range(1, layout.MOST_FILES + 4):
        contents[KEYS[number]] = b"x" * 1000 * (3 if number != 4 else 2)
        files = writer.write(number, encoded(number, contents))
        assert len(files) == min(number, layout.MOST_FILES)
    with g.Generation(files) as generation:
        assert 4 not in {one.file for one in generation.sections.values()}


@pytest.mark.parametrize("after", [b"k" * 10, None])
def test_a_private_key_is_left_in_no_file(writer: GenerationWriter, after: bytes | None) -> None:
    tls = g.SectionKey("tls", 100)
    contents = dict.fromkeys(KEYS, b"x" * 1000)
    writer.write(1, encoded(1, contents))
    writer.write(2, encoded(2, contents | {tls: b"private", g.SectionKey("tls", 200): b"y" * 1000}))
    contents[g.SectionKey("tls", 200)] = b"y" * 1000
    if after is not None:
        contents[tls] = after
    files = writer.write(3, encoded(3, contents))
    assert len(files) == 2, "the others stay"
    assert not any(b"private" in os.pread(file, os.fstat(file).st_size, 0) for file in files)
    with g.Generation(files) as generation:
        assert read(generation) == bodies(encoded(3, contents))


def test_more_than_may_be_kept_is_written_whole(writer: GenerationWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.generation_writing._LARGEST_KEPT_BYTES", 10_000)
    contents = dict.fromkeys(KEYS[:10], b"x" * 1000)
    for number in (1, 2):
        assert len(writer.write(number, encoded(number, contents))) == 1


@pytest.mark.parametrize("place", ["memfd_create", "writev"])
def test_one_that_cannot_be_written_changes_nothing(
    writer: GenerationWriter, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = dict.fromkeys(KEYS, b"x" * 1000)
    writer.write(1, encoded(1, contents))
    contents[KEYS[0]] = b"y"
    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(os, place, no_room)
        with pytest.raises(OSError, match="no room"):
            writer.write(2, encoded(2, contents))
    assert descriptors() == before
    files = writer.write(3, encoded(3, contents))
    assert len(files) == 2
    with g.Generation(files) as generation:
        assert read(generation) == bodies(encoded(3, contents))


def no_room(*_: object) -> int:
    raise OSError("no room")


def test_numbers_rise(writer: GenerationWriter) -> None:
    writer.write(5, encoded(5, {}))
    with pytest.raises(ValueError, match="generation 5 after 5"):
        writer.write(5, encoded(5, {}))


def test_after_the_end_it_begins_anew() -> None:
    before, writer = descriptors(), GenerationWriter()
    contents = dict.fromkeys(KEYS, b"x" * 1000)
    for number in (1, 2):
        writer.write(number, encoded(number, contents))
    writer.close()
    writer.close()
    assert descriptors() == before
    assert len(writer.write(3, encoded(3, contents))) == 1
    writer.close()


def test_files_of_another_writer_with_the_same_numbers_are_other_files(writer: GenerationWriter) -> None:
    """A provider that was replaced may have used them, too. What differs is told nevertheless."""
    other = GenerationWriter()
    contents = dict.fromkeys(KEYS[:8], b"x" * 1000)
    for number in (1, 2):
        files = writer.write(number, encoded(number, contents))
    with g.Generation(files) as before:
        shifted = {KEYS[10]: b"z" * 100} | dict.fromkeys(KEYS[1:8], b"x" * 1000)
        for number in (1, 3):
            files = other.write(number, encoded(number, shifted))
        assert len(files) == 2
        with g.Generation(files, before) as generation:
            assert read(generation) == bodies(encoded(3, shifted))
            compared = generation.compared(before)
            assert sorted(compared.changed) == sorted([KEYS[10], g.META])
            assert compared.gone == [KEYS[0]]
    other.close()
