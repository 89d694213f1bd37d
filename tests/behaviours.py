"""Which numbered behaviours have a passing test: `make behaviours`.

`docs/behaviours.md` numbers what an operator of Traefik can observe, in four families, and `docs/advisories.md`
the attacks that worked elsewhere, by class. A test names what it proves with `@pytest.mark.behaviour("DP-7")`;
a run with `--behaviours-json FILE` records the outcomes, and this command prints them by family or writes the
table of `docs/compatibility.md`. A behaviour counts as tested when at least one of its tests passed and none
failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PROPERTY: Final = "behaviour"
ROOT: Final = Path(__file__).resolve().parent.parent
COMPATIBILITY: Final = ROOT / "docs" / "compatibility.md"
BEGIN: Final = "<!-- behaviours: begin, written by `python -m tests.behaviours --write-compatibility` -->"
END: Final = "<!-- behaviours: end -->"
DEFAULT: Final = ["-n", "auto", "-m", "behaviour"]
NUMBER: Final = re.compile(r"([A-Z]{2}|ADV-[A-I])-([1-9][0-9]*)")


class Family(NamedTuple):
    """Behaviours are numbered from 1 to `total` within a family."""

    title: str
    total: int


FAMILIES: Final[Mapping[str, Family]] = {
    "PR": Family("Provider: from custom resources to configuration", 77),
    "DP": Family("Data plane: requests, rules, servers, TLS, reload", 126),
    "OP": Family("Operations: options, commands, signals, API, logs, metrics, deployment", 72),
    "MW": Family("Middlewares", 163),
    "ADV-A": Family("Attacks: paths and encodings", 8),
    "ADV-B": Family("Attacks: forwarded and identity headers", 5),
    "ADV-C": Family("Attacks: TLS options and client certificates", 8),
    "ADV-D": Family("Attacks: smuggling and poisoned answers", 4),
    "ADV-E": Family("Attacks: HTTP/2, HTTP/3 and early data", 10),
    "ADV-F": Family("Attacks: slow and unbounded", 6),
    "ADV-G": Family("Attacks: tenants", 8),
    "ADV-H": Family("Attacks: authentication", 4),
    "ADV-I": Family("Attacks: secrets that leak", 6),
}

Outcomes = dict[str, dict[str, str]]
"""Outcome (passed, failed, skipped) by test, by behaviour."""


class UnknownBehaviour(ValueError):
    """A mark names a behaviour that the list does not have."""


def checked(number: str) -> str:
    """The number itself. Raises UnknownBehaviour if no family has it."""
    parts = NUMBER.fullmatch(number)
    if parts is None or parts[1] not in FAMILIES or int(parts[2]) > FAMILIES[parts[1]].total:
        raise UnknownBehaviour(f"behaviour {number!r} is neither in docs/behaviours.md nor in docs/advisories.md")
    return number


def numbers_of(item: pytest.Item) -> Iterator[str]:
    """Behaviours that the marks of one test name. Raises UnknownBehaviour."""
    for mark in item.iter_markers(PROPERTY):
        yield from map(checked, mark.args)


class Recorder:
    """Plugin of the process that gets the reports; with xdist that is the controller."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._outcomes: Outcomes = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return  # a good setup or teardown says nothing yet
        for name, number in report.user_properties:
            if name == PROPERTY:
                self._note(str(number), report.nodeid, report.outcome)

    def _note(self, number: str, test: str, outcome: str) -> None:
        tests = self._outcomes.setdefault(number, {})
        if tests.get(test) != "failed":  # an error while tearing down does not turn into a pass, nor back
            tests[test] = outcome

    def pytest_sessionfinish(self) -> None:
        self._target.write_text(json.dumps(self._outcomes, indent=1, sort_keys=True) + "\n")


class Standing(NamedTuple):
    """Numbers of one family, each in exactly one of the lists."""

    tested: list[int]
    failing: list[int]
    skipped: list[int]
    untested: list[int]


def standing(family: str, outcomes: Outcomes) -> Standing:
    """Sort the numbers of a family by what their tests said."""
    lists = Standing([], [], [], [])
    for number in range(1, FAMILIES[family].total + 1):
        seen = set(outcomes.get(f"{family}-{number}", {}).values())
        if "failed" in seen:
            lists.failing.append(number)
        elif "passed" in seen:
            lists.tested.append(number)
        else:
            (lists.skipped if seen else lists.untested).append(number)
    return lists


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as people write them.

    >>> ranges([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9, 10'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    short = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(short)


def as_text(outcomes: Outcomes) -> str:
    """The report for a terminal."""
    lines, tested_all = [], 0
    for family, (title, total) in FAMILIES.items():
        state = standing(family, outcomes)
        tested_all += len(state.tested)
        lines.append(f"{family}  {len(state.tested)}/{total}  {title}")
        for word, numbers in zip(("tested", "failing", "skipped", "no test yet"), state, strict=True):
            if numbers:
                lines.append(f"    {word + ':':<13}{ranges(numbers)}")
    total_all = sum(family.total for family in FAMILIES.values())
    return "\n".join([*lines, f"all {tested_all}/{total_all}"])


def as_table(outcomes: Outcomes) -> str:
    """The table of docs/compatibility.md."""
    rows = ["| family | tested | of | which |", "|---|---|---|---|"]
    for family, (title, total) in FAMILIES.items():
        tested = standing(family, outcomes).tested
        rows.append(f"| **{family}** {title} | {len(tested)} | {total} | {ranges(tested) or 'none yet'} |")
    return "\n".join(rows)


def numbers_in_table(document: str) -> set[str]:
    """Undo `as_table` for the table that stands between the markers of a document."""
    _, table, _ = split_at_markers(document)
    found = set()
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.strip("| ").split("|")]
        family = cells[0].split("**")[1] if "**" in cells[0] else ""
        if family in FAMILIES:
            for first, last in re.findall(r"(\d+)(?:-(\d+))?", cells[-1]):
                found |= {f"{family}-{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def split_at_markers(document: str) -> tuple[str, str, str]:
    """Text before, between and after the markers. Raises ValueError when they are not there."""
    before, begin, rest = document.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {BEGIN} and {END}")
    return before, table, after


def write_compatibility(outcomes: Outcomes, path: Path = COMPATIBILITY) -> None:
    before, _, after = split_at_markers(path.read_text())
    path.write_text(f"{before}{BEGIN}\n{as_table(outcomes)}\n{END}{after}")


def run_suite(arguments: list[str]) -> tuple[int, Outcomes]:
    """Run pytest with a record of behaviours; its exit code and what it recorded."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "behaviours.json")
        command = [sys.executable, "-m", "pytest", f"--behaviours-json={target}", *arguments]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        return code, json.loads(target.read_text()) if target.exists() else {}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.behaviours", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--read", type=Path, metavar="FILE", help="read a record instead of running the suite")
    parser.add_argument("--write-compatibility", action="store_true", help="refresh docs/compatibility.md")
    parser.add_argument("pytest", nargs="*", help=f"arguments for pytest, after --; default: {' '.join(DEFAULT)}")
    options = parser.parse_args(argv)
    code = 0
    if options.read:
        outcomes: Outcomes = json.loads(options.read.read_text())
    else:
        code, outcomes = run_suite(options.pytest or DEFAULT)
    print(as_text(outcomes))
    if options.write_compatibility:
        write_compatibility(outcomes)
    return code


if __name__ == "__main__":
    sys.exit(main())
