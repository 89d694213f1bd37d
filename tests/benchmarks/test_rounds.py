"""Turns, medians and tables of benchmarks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.rounds import Column, Comparison, chosen, median, options, present, table, take_turns
from benchmarks.setting import Peer, Setting


@dataclass(frozen=True, slots=True)
class Sample:
    cost: float
    failed: int = 0


def peer(name: str) -> Peer:
    def command(setting: Setting) -> list[str]:
        return [name]

    return Peer(name, command)


COLUMNS = (Column("µs", "cost", ".1f", compared=True), Column("failed", "failed", "d"))


def test_everybody_has_a_turn_each_round_and_another_one_begins() -> None:
    order: list[str] = []

    def measure(one: Peer) -> Sample:
        order.append(one.name)
        return Sample(1.0)

    samples = take_turns([peer("a"), peer("b"), peer("c")], 4, measure)
    assert "".join(order) == "abcbcacababc"
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 4, "b": 4, "c": 4}


def test_who_is_not_installed_does_not_show_up() -> None:
    samples = take_turns([peer("a"), peer("b")], 2, lambda one: Sample(1.0) if one.name == "b" else None)
    assert list(samples) == ["b"]


def test_failures_are_summed_and_the_rest_are_medians() -> None:
    assert median([Sample(3.0, 1), Sample(1.0, 2), Sample(2.0, 0)]) == Sample(2.0, 3)


def test_ratios_are_to_traefik() -> None:
    lines = table({"pointsman": Sample(1.0), "traefik": Sample(4.0, 2)}, COLUMNS).splitlines()
    assert lines == [
        "| proxy | µs | x Traefik | failed |",
        "|---|---|---|---|",
        "| pointsman | 1.0 | 0.25 | 0 |",
        "| traefik | 4.0 | 1.00 | 2 |",
    ]


def test_without_traefik_they_are_to_the_first() -> None:
    lines = table({"pointsman": Sample(2.0), "nginx": Sample(1.0)}, COLUMNS).splitlines()
    assert lines[3] == "| nginx | 1.0 | 0.50 | 0 |"


def test_others_may_be_compared_with() -> None:
    itself = Comparison("x one", lambda name: f"{name[0]}1")
    results = {"a1": Sample(1.0), "a2": Sample(2.0), "b1": Sample(10.0), "b2": Sample(5.0)}
    lines = table(results, COLUMNS, itself).splitlines()
    assert [line.split(" | ")[2] for line in lines[2:]] == ["1.00", "2.00", "1.00", "0.50"]


def test_nothing_spent_by_the_reference_has_no_ratio() -> None:
    assert table({"traefik": Sample(0.0)}, COLUMNS).splitlines()[2] == "| traefik | 0.0 |  | 0 |"


def test_every_round_goes_to_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rounds.json"
    present({"traefik": [Sample(1.0), Sample(2.0)]}, COLUMNS, "two rounds", str(path))
    assert json.loads(path.read_text())["rounds"] == {
        "traefik": [{"cost": 1.0, "failed": 0}, {"cost": 2.0, "failed": 0}]
    }
    assert "two rounds, medians\n" in capsys.readouterr().out


def test_names_choose() -> None:
    peers = [peer("a"), peer("b")]
    assert chosen(peers, "") == peers
    assert chosen(peers, "b") == peers[1:]
    with pytest.raises(SystemExit, match="there are a, b"):
        chosen(peers, "c")


def test_options_that_all_have() -> None:
    found = options("text", rounds=3, seconds=2).parse_args(["--rounds", "1", "--only", "a"])
    assert (found.rounds, found.seconds, found.only, found.json) == (1, 2, "a", "")
    assert not hasattr(options("text", rounds=3).parse_args([]), "seconds")
