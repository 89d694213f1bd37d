"""Generations of which a worker reads no more than what they name apart: what comes of them, and of the next."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import gevent
import pytest

from config import generation_table as table
from config.findings import Finding
from config.generation import GenerationRefused, SectionKey, encode_section, shard_of
from config.http import Server
from config.names import qualify
from provider.publish import encode_delta
from tests.waiting import wait_until
from tests.workers.fakes import servers
from tests.workers.publications import (
    NAMES,
    Control,
    P,
    Written,
    reloader,
    sections_read,
    served,
    tables_read,
)


def test_what_else_changes_is_read_beside_servers_that_are_named(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables of two generations are looked at then: that of the one in force had not been."""
    one = reloader()
    one.apply(control.files)
    read, tables = sections_read(monkeypatch), tables_read(monkeypatch)
    for port in (2, 3):
        control.change({NAMES[0]: (port,)})
        control.publish()
        one.apply(control.files)
    assert not tables
    control.change({NAMES[0]: (4,), "new": (1,)})
    control.publish()
    one.apply(control.files)
    assert tables == [3, 4]
    assert read == [*["delta", "meta"] * 2, "delta", *read[5:]]
    assert sorted(read[5:]) == ["meta", "routing"]
    assert one.runtime.services[qualify("new", P)].servers == servers(1)
    assert one.runtime.services[qualify(NAMES[0], P)].servers == servers(4)


def test_a_large_change_after_named_ones_is_compared_with_the_last_of_them(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reloader()
    one.apply(control.files)
    for port in (2, 3):
        control.change({NAMES[0]: (port,)})
        control.publish()
        one.apply(control.files)
    kept = one.runtime.endpoints[qualify(NAMES[0], P)]
    monkeypatch.setattr("provider.publish.MOST_IN_DELTA", 1)
    control.change({NAMES[1]: (5,), NAMES[2]: None})
    control.publish()
    read = sections_read(monkeypatch)
    one.apply(control.files)
    assert {*read} == {"meta", "routing", "endpoints"}
    fresh = reloader()
    fresh.apply(control.files)
    assert served(one) == served(fresh)
    assert one.runtime.endpoints[qualify(NAMES[0], P)] is kept


def finding(name: str, message: str) -> Finding:
    return Finding(kind="K", namespace="n", name=name, severity="error", reason="R", message=message)


def test_findings_are_those_of_the_newest_generation(control: Control) -> None:
    """They may differ without being named: nobody needs them to serve."""
    one = reloader()
    one.apply(control.files)
    for message in ("one", "two"):
        for port in (2, 3):
            found = [finding("a", f"{message} {port}"), finding("b", "always")]
            control.sections.update_findings(found)
            control.change({NAMES[0]: (port,)})
            control.publish()
            with control.generation() as generation:
                delta = generation.delta()
                assert delta is not None
                assert delta.alone
            one.apply(control.files)
        assert sorted(one.findings(), key=lambda each: each.name) == found


def test_whether_the_view_is_complete_is_known_beside_servers_that_are_named(control: Control) -> None:
    one = reloader()
    one.apply(control.files)
    control.is_complete = False
    control.change({NAMES[0]: (2,)})
    control.publish()
    one.apply(control.files)
    assert one.meta is not None
    assert (one.meta.complete, one.meta.number) == (False, 2)


UNKNOWN = {SectionKey("secrets", 0): b""}
"""Makes a table that is refused by who looks at all of it."""


def named(written: Written, endpoints: Mapping[str, list[Server]], **others: Any) -> tuple[int, ...]:
    """A generation that names all of its servers apart."""
    entries = {name: encode_section(name) + encode_section(one) for name, one in endpoints.items()}
    delta = encode_delta(written.number, written.writer.digest, entries, alone=True)
    return written.write(endpoints, delta, **others)


def test_a_table_that_does_not_hold_is_refused_where_it_is_needed(written: Written) -> None:
    one = reloader()
    one.apply(written.write({"a": servers(1), "b": servers(1)}))
    before = one.runtime
    with pytest.raises(GenerationRefused, match="unknown section"):
        one.apply(written.write({"a": servers(2)}, others=UNKNOWN))
    assert one.runtime is before
    assert served(one)[0] == {"a": servers(1), "b": servers(1)}
    one.apply(written.write({"b": servers(2)}))
    assert served(one)[0] == {"b": servers(2)}


def test_one_in_force_that_does_not_hold_keeps_no_other_from_being_applied(
    written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    """Its servers were named, so nobody had looked at its table."""
    one = reloader()
    one.apply(written.write({"a": servers(1), "b": servers(1), "c": servers(1)}))
    kept = one.runtime.endpoints["b"]
    one.apply(named(written, {"a": servers(2), "b": servers(1), "c": servers(1)}, others=UNKNOWN))
    assert one.runtime.endpoints["a"] == servers(2)
    with pytest.raises(GenerationRefused, match="unknown section"):
        one.apply(written.write({}, others=UNKNOWN))
    assert "does not hold" not in caplog.text
    one.apply(written.write({"a": servers(3), "b": servers(1)}))
    assert one.runtime.endpoints == {"a": servers(3), "b": servers(1)}
    assert one.runtime.endpoints["b"] is kept
    assert "generation in force does not hold" in caplog.text


@pytest.mark.parametrize("spoilt", [b"\xc1", encode_section({"a": 7})])
def test_servers_in_force_that_were_never_read_may_be_any_bytes(written: Written, spoilt: bytes) -> None:
    one, key = reloader(), SectionKey("endpoints", shard_of("a"))
    one.apply(written.write({"a": servers(1)}))
    one.apply(named(written, {"a": servers(2)}, others={key: spoilt}))
    assert one.runtime.endpoints == {"a": servers(2)}
    one.apply(written.write({"a": servers(3)}))
    assert one.runtime.endpoints == {"a": servers(3)}


def test_findings_that_cannot_be_read_are_those_of_before(
    written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    one, key = reloader(), SectionKey("findings", 0)
    found = [finding("a", "wrong")]
    one.apply(written.write({"a": servers(1)}, others={key: encode_section(found)}))
    assert one.findings() == found
    one.apply(named(written, {"a": servers(2)}, others=UNKNOWN))
    for _ in range(2):
        assert one.findings() == found
    one.apply(named(written, {"a": servers(3)}, others={key: encode_section("x")}))
    assert one.findings() == found
    assert caplog.text.count("findings cannot be read") == 2, "said once of each"
    one.apply(named(written, {"a": servers(4)}))
    assert one.findings() == []


def test_generations_that_are_followed_are_not_held_for_ever(control: Control) -> None:
    one, count = reloader(), len(tables_alive())
    one.apply(control.files)
    for port in range(2, 52):
        control.change({NAMES[0]: (port,)})
        control.publish()
        one.apply(control.files)
    wait_until(lambda: len(tables_alive()) <= count + 1, pause=gevent.sleep)
    assert one.runtime.endpoints[qualify(NAMES[0], P)] == servers(51)


def tables_alive() -> list[table.Table]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, table.Table)]
