"""Changed servers that a generation names apart: the same comes of it as of reading everything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.generation import DELTA, GenerationRefused, encode_section
from config.names import qualify
from provider.publish import MOST_IN_DELTA, encode_delta
from tests.workers.fakes import servers
from tests.workers.publications import (
    NAMES,
    Control,
    P,
    Written,
    controlled,
    reloader,
    sections_read,
    served,
    tables_read,
)
from workers.runtime import Runtime

SERVERS = st.lists(st.integers(1, 3), max_size=2, unique=True)
STEPS = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), st.none() | SERVERS, max_size=4),
    st.booleans(),  # whether the one that skips some takes it
)


@given(st.lists(STEPS, max_size=10))
def test_a_history_comes_out_the_same_for_everybody(
    steps: list[tuple[dict[str, list[int] | None], bool]],
) -> None:
    with controlled() as control:
        follower, straggler = reloader(), reloader()
        for services, is_taken in [({}, True), *steps]:
            control.change(services)
            control.publish()
            follower.apply(control.files)
            if is_taken:
                straggler.apply(control.files)
            fresh = reloader()
            fresh.apply(control.files)
            assert served(follower) == served(fresh)
            assert follower._kept == fresh._kept
        straggler.apply(control.files)
        assert served(straggler) == served(fresh)
        assert straggler._kept == fresh._kept
        assert fresh.runtime.endpoints == {
            qualify(name, P): one.load_balancer.servers
            for name, one in control.services.items()
            if one.load_balancer is not None
        }


def test_other_servers_are_read_where_they_are_named(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reloader()
    one.apply(control.files)
    kept = one.runtime.endpoints[qualify(NAMES[1], P)]
    control.change({NAMES[0]: (1, 2), NAMES[2]: (3,)})
    control.publish()
    read, tables = sections_read(monkeypatch), tables_read(monkeypatch)
    one.apply(control.files)
    assert sorted(read) == ["delta", "meta"]
    assert not tables
    assert one.runtime.endpoints[qualify(NAMES[0], P)] == servers(1, 2)
    assert one.runtime.services[qualify(NAMES[2], P)].servers == servers(3)
    assert one.runtime.endpoints[qualify(NAMES[1], P)] is kept


def test_servers_that_came_back_to_what_they_were_are_no_change(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named with the next change: nothing that was named gets lost when nothing is published."""
    one = reloader()
    one.apply(control.files)
    before = one.runtime.endpoints[qualify(NAMES[0], P)]
    control.change({NAMES[0]: (2,)})
    control.change({NAMES[0]: (1,)})
    assert not control.publish()
    control.change({NAMES[1]: (2,)})
    assert control.publish()
    with control.generation() as generation:
        assert sorted(generation.read(DELTA).servers) == sorted(qualify(name, P) for name in NAMES[:2])
    given: list[dict[str, Any]] = []
    updated = Runtime.updated

    def noted(runtime: Runtime, number: int, changes: Any, pause: Any) -> Runtime:
        given.append(changes.endpoints)
        return updated(runtime, number, changes, pause)

    monkeypatch.setattr(Runtime, "updated", noted)
    one.apply(control.files)
    assert given == [{qualify(NAMES[1], P): servers(2)}]
    assert one.runtime.endpoints[qualify(NAMES[0], P)] is before


def test_who_has_skipped_a_generation_reads_what_differs(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reloader()
    one.apply(control.files)
    for port, name in enumerate(NAMES[::2], 2):
        control.change({name: (port,)})
        control.publish()
    read = sections_read(monkeypatch)
    one.apply(control.files)
    assert read.count("endpoints") == 2 * len(NAMES[::2])
    assert one.runtime.endpoints[qualify(NAMES[0], P)] == servers(2)
    assert one.runtime.endpoints[qualify(NAMES[2], P)] == servers(3)


def test_the_first_generation_and_a_large_change_name_nothing_apart() -> None:
    names = [f"s{number}" for number in range(MOST_IN_DELTA + 1)]
    with controlled(**dict.fromkeys(names, (1,))) as control:
        with control.generation() as generation:
            assert DELTA not in generation.sections
        control.change(dict.fromkeys(names, (2,)))
        control.publish()
        with control.generation() as generation:
            assert DELTA not in generation.sections
        control.change(dict.fromkeys(names[1:], (3,)))
        control.publish()
        with control.generation() as generation:
            assert len(generation.read(DELTA).servers) == MOST_IN_DELTA
        assert not control.publish(), "a delta alone is no difference"


def test_one_that_fails_leaves_everything_as_it_was(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Runtime:
        raise ZeroDivisionError

    one, other = reloader(), reloader()
    one.apply(control.files)
    other.apply(control.files)
    control.change({NAMES[0]: (2,), NAMES[1]: None})
    control.publish()
    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "updated", fail)
        with pytest.raises(ZeroDivisionError):
            one.apply(control.files)
    assert served(one) == served(other)
    assert one._kept == other._kept
    control.change({NAMES[2]: (2,)})
    control.publish()
    fresh = reloader()
    for each in (one, fresh):
        each.apply(control.files)
    assert served(one) == served(fresh)


def entry(name: str, *ports: int) -> bytes:
    return encode_section(name) + encode_section(servers(*ports))


@pytest.mark.parametrize(("number", "digest"), [(1, bytes(16)), (0, None), (2, None)])
def test_one_against_another_generation_is_not_believed(
    written: Written, number: int, digest: bytes | None
) -> None:
    """As that of a provider whose predecessor had used the same number."""
    one = reloader()
    one.apply(written.write({"a": servers(1), "b": servers(1)}))
    delta = encode_delta(number, digest or written.writer.digest, {"a": entry("a", 9)}, alone=True)
    one.apply(written.write({"a": servers(2), "b": servers(1)}, delta))
    assert one.runtime.endpoints == {"a": servers(2), "b": servers(1)}


@pytest.mark.parametrize(
    "spoilt", [b"", b"\xc1", encode_section({"base": 1}), encode_section({"base": 1, "digest": "", "servers": 3})]
)
def test_one_that_cannot_be_read_is_refused(written: Written, spoilt: bytes) -> None:
    one = reloader()
    one.apply(written.write({"a": servers(1)}))
    with pytest.raises(GenerationRefused, match="section delta"):
        one.apply(written.write({"a": servers(2)}, spoilt))
    assert one.runtime.endpoints == {"a": servers(1)}


def test_servers_that_cannot_be_read_are_refused(written: Written) -> None:
    one = reloader()
    one.apply(written.write({"a": servers(1), "b": servers(1)}))
    entries = {"a": entry("a", 2), "b": encode_section("b") + encode_section([{"url": 7}])}
    delta = encode_delta(1, written.writer.digest, entries, alone=True)
    with pytest.raises(GenerationRefused, match="section delta"):
        one.apply(written.write({"a": servers(2), "b": servers(2)}, delta))
    assert one.runtime.endpoints == {"a": servers(1), "b": servers(1)}
    one.apply(written.write({"a": servers(3)}))
    assert one.runtime.endpoints == {"a": servers(3)}
