"""Which session is given up first."""

from __future__ import annotations

from workers.udp.table import SessionTable


def test_the_one_silent_longest_goes_first() -> None:
    table: SessionTable[str] = SessionTable(3)
    for name in ("a", "b", "c"):
        table.add(name, name.upper())
    assert table.is_full
    assert table.find("a") == "A"
    assert table.oldest() == "B"
    table.remove("b")
    assert table.oldest() == "C"
    assert list(table) == ["C", "A"]


def test_proven_sessions_go_last() -> None:
    table: SessionTable[str] = SessionTable(3)
    for name in ("a", "b"):
        table.add(name, name)
    table.prove("a")
    assert table.oldest() == "b"
    table.remove("b")
    assert table.oldest() == "a"
    assert table.find("a") == "a"
    table.remove("a")
    assert table.oldest() is None
    assert len(table) == 0


def test_proving_twice_or_a_stranger_changes_nothing() -> None:
    table: SessionTable[str] = SessionTable(3)
    table.add("a", "a")
    table.prove("a")
    table.prove("a")
    table.prove("x")
    assert list(table) == ["a"]
    table.remove("x")
    assert len(table) == 1
