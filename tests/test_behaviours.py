"""The record of numbered behaviours, and that the documents agree with the marks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import behaviours
from tests.behaviours import FAMILIES, ROOT, Recorder, UnknownBehaviour

pytest_plugins = ["pytester"]


def report(number: str, test: str, when: str, outcome: str) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=test,
        location=("tests/test_x.py", 1, test),
        keywords={},
        outcome=outcome,  # type: ignore[arg-type]
        longrepr=None,
        when=when,  # type: ignore[arg-type]
        user_properties=[(behaviours.PROPERTY, number)],
    )


def record(tmp_path: Path, *reports: pytest.TestReport) -> behaviours.Outcomes:
    recorder = Recorder(tmp_path / "record.json")
    for each in reports:
        recorder.pytest_runtest_logreport(each)
    recorder.pytest_sessionfinish()
    loaded: behaviours.Outcomes = json.loads((tmp_path / "record.json").read_text())
    return loaded


@pytest.mark.parametrize("number", ["DP-1", "DP-126", "PR-77", "OP-72", "MW-163", "ADV-E-10"])
def test_a_number_of_the_list_is_accepted(number: str) -> None:
    assert behaviours.checked(number) == number


@pytest.mark.parametrize(
    "number", ["DP-0", "DP-127", "DP-07", "XX-1", "DP7", "dp-7", "DP-7 ", "ADV-1", "ADV-E-11", "ADV-Z-1"]
)
def test_a_number_outside_the_list_is_refused(number: str) -> None:
    with pytest.raises(UnknownBehaviour):
        behaviours.checked(number)


def test_a_behaviour_is_tested_when_one_test_passed_and_none_failed(tmp_path: Path) -> None:
    outcomes = record(
        tmp_path,
        report("DP-1", "a", "setup", "passed"),
        report("DP-1", "a", "call", "passed"),
        report("DP-1", "b", "setup", "skipped"),
        report("DP-2", "a", "call", "passed"),
        report("DP-2", "b", "call", "failed"),
        report("DP-3", "c", "setup", "skipped"),
        report("DP-4", "d", "setup", "passed"),
    )
    state = behaviours.standing("DP", outcomes)
    assert state.tested == [1]
    assert state.failing == [2]
    assert state.skipped == [3]
    assert state.untested == list(range(4, FAMILIES["DP"].total + 1))


def test_an_error_in_the_teardown_counts_against_a_test(tmp_path: Path) -> None:
    outcomes = record(tmp_path, report("MW-5", "a", "call", "passed"), report("MW-5", "a", "teardown", "failed"))
    assert behaviours.standing("MW", outcomes).failing == [5]


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([4], "4"), ([1, 2], "1, 2"), ([1, 2, 3, 7, 9, 10], "1-3, 7, 9, 10")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert behaviours.ranges(numbers) == text


def test_the_table_can_be_read_back(tmp_path: Path) -> None:
    outcomes = {number: {"t": "passed"} for number in ("PR-1", "PR-2", "PR-3", "DP-126", "MW-9")}
    document = tmp_path / "compatibility.md"
    document.write_text(f"# Before\n{behaviours.BEGIN}\nold\n{behaviours.END}\nafter\n")
    behaviours.write_compatibility(outcomes, document)
    text = document.read_text()
    assert behaviours.numbers_in_table(text) == set(outcomes)
    assert text.startswith("# Before\n")
    assert text.endswith("\nafter\n")
    behaviours.write_compatibility(outcomes, document)
    assert document.read_text() == text


def test_a_document_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        behaviours.split_at_markers("# Nothing here\n")


def test_the_text_report_has_every_family_and_a_sum() -> None:
    text = behaviours.as_text({"DP-7": {"t": "passed"}, "OP-1": {"t": "failed"}})
    assert "DP  1/126" in text
    assert "failing:     1" in text
    assert text.endswith(f"all 1/{sum(family.total for family in FAMILIES.values())}")


@pytest.mark.parametrize("parallel", [[], ["-n", "1"]], ids=["one process", "xdist"])
def test_the_suite_records_its_marks(pytester: pytest.Pytester, parallel: list[str]) -> None:
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.behaviour("DP-7")
        @pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.behaviour("PR-1", "PR-2"))])
        def test_good(x): pass

        @pytest.mark.behaviour("DP-8")
        def test_bad(): assert False
        """
    )
    target = pytester.path / "record.json"
    # The marker and the path of the suite are given here: the folder of this test has no pyproject.toml.
    result = pytester.runpytest_subprocess(
        *parallel,
        f"--behaviours-json={target}",
        "-p", "no:cacheprovider", "-o", f"pythonpath={ROOT}", "-o", "markers=behaviour(number): a number",
    )  # fmt: skip
    result.assert_outcomes(passed=2, failed=1)
    outcomes = json.loads(target.read_text())
    assert set(outcomes) == {"DP-7", "PR-1", "PR-2", "DP-8"}
    assert sorted(outcomes["DP-7"].values()) == ["passed", "passed"]
    assert list(outcomes["DP-8"].values()) == ["failed"]


def listed() -> dict[str, str]:
    text = "".join((ROOT / "docs" / name).read_text() for name in ("behaviours.md", "advisories.md"))
    return dict(re.findall(r"^- `([A-Z]{2}-\d+|ADV-[A-I]-\d+)` (\S.*)$", text, re.MULTILINE))


def test_the_list_of_behaviours_is_complete() -> None:
    wanted = {f"{family}-{n}" for family, (_, total) in FAMILIES.items() for n in range(1, total + 1)}
    assert set(listed()) == wanted


def test_what_the_documents_call_tested_is_named_by_a_test() -> None:
    named = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix in {".py", ".yaml", ".yml", ".json", ".txt"} and path.name != "test_behaviours.py":
            named |= {match[0] for match in behaviours.NUMBER.finditer(path.read_text(errors="replace"))}
    claimed = behaviours.numbers_in_table(behaviours.COMPATIBILITY.read_text())
    assert claimed <= named
