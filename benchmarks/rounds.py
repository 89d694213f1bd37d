"""What the benchmarks of several proxies have in common: taking turns, medians, the table, options and files.

A benchmark has a frozen dataclass `Sample` for one round of one proxy, a `measure` that takes one, and a list of
`Column`s that says how the medians are shown. Everything between is here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from benchmarks.machine import describe
from benchmarks.other_proxies import backend
from benchmarks.processes import cores, find, free_port, running, wait_for_port
from benchmarks.setting import Setting

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Sample = TypeVar("Sample", bound=DataclassInstance)
else:
    Sample = TypeVar("Sample")

FAILED = "failed"
"""The field that is summed over the rounds instead."""
_PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "h2load": "nghttp2-client", "haproxy": "haproxy"}


class Named(Protocol):
    """Whoever takes part."""

    @property
    def name(self) -> str: ...


Participant = TypeVar("Participant", bound=Named)


def take_turns(
    participants: Sequence[Participant], rounds: int, measure: Callable[[Participant], Sample | None]
) -> dict[str, list[Sample]]:
    """Every round measures everybody, beginning with another one each time.

    Who is not installed (None) does not show up.
    """
    samples: dict[str, list[Sample]] = {one.name: [] for one in participants}
    for number in range(rounds):
        shift = number % len(participants)
        for one in [*participants[shift:], *participants[:shift]]:
            sample = measure(one)
            if sample is not None:
                samples[one.name].append(sample)
    return {name: taken for name, taken in samples.items() if taken}


def median(samples: Sequence[Sample]) -> Sample:
    """Of each field; failures are summed."""
    values = {one.name: [getattr(sample, one.name) for sample in samples] for one in fields(samples[0])}
    middle = {name: sum(taken) if name == FAILED else statistics.median(taken) for name, taken in values.items()}
    return type(samples[0])(**middle)


def medians(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Sample]:
    return {name: median(taken) for name, taken in samples.items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whom each is compared with, by name, and the title of the ratios."""

    title: str
    reference_of: Callable[[str], str]


WITH_TRAEFIK = Comparison("x Traefik", lambda name: "traefik")


@dataclass(frozen=True, slots=True)
class Column:
    """One field under its title; `compared` adds a column with its ratio to that of the reference."""

    title: str
    field: str
    form: str = ".1f"
    compared: bool = False


def table(
    results: Mapping[str, DataclassInstance], columns: Sequence[Column], comparison: Comparison = WITH_TRAEFIK
) -> str:
    """For people and for docs/performance.md. Whose reference is missing is compared with the first."""
    titles = ["proxy"]
    for column in columns:
        titles += [column.title, comparison.title] if column.compared else [column.title]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for name, one in results.items():
        against = results.get(comparison.reference_of(name)) or next(iter(results.values()))
        lines.append(f"| {' | '.join([name, *_cells(one, against, columns)])} |")
    return "\n".join(lines)


def _cells(one: object, against: object, columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        value, other = getattr(one, column.field), getattr(against, column.field)
        yield f"{value:{column.form}}"
        if column.compared:
            yield f"{value / other:.2f}" if other else ""


def present(
    samples: Mapping[str, Sequence[Sample]],
    columns: Sequence[Column],
    heading: str,
    json_path: str = "",
    comparison: Comparison = WITH_TRAEFIK,
) -> None:
    """Print machine, heading and table of the medians; every round goes to the file, if there is to be one."""
    print(describe())
    print(f"{heading}, medians\n")
    print(table(medians(samples), columns, comparison))
    if json_path:
        write_rounds(json_path, {name: [asdict(one) for one in taken] for name, taken in samples.items()})


def write_rounds(path: str, rounds: object) -> None:
    Path(path).write_text(json.dumps({"machine": describe(), "rounds": rounds}, indent=1))


def options(
    text: str, *, rounds: int, seconds: float | None = None, only: str = "comma-separated names"
) -> argparse.ArgumentParser:
    """A parser with what all of them take; `seconds` None: rounds are not limited by time."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each has its turn ({rounds})")
    if seconds is not None:
        parser.add_argument("--seconds", type=float, default=seconds, help=f"of load in each round ({seconds:g})")
    parser.add_argument("--only", default="", help=only)
    parser.add_argument("--json", default="", metavar="FILE", help="write every round to this file")
    return parser


def chosen(participants: Sequence[Participant], only: str) -> list[Participant]:
    """Those whose names are in the comma-separated list; all for an empty one. Ends the program for none."""
    wanted = only.split(",") if only else [one.name for one in participants]
    found = [one for one in participants if one.name in wanted]
    if not found:
        raise SystemExit(f"--only: there are {', '.join(one.name for one in participants)}")
    return found


def need(*programs: str) -> None:
    """End the program, naming what is missing."""
    missing = [_PACKAGES[one] for one in programs if find(one) is None]
    if missing:
        raise SystemExit(f"this benchmark needs Debian packages: {', '.join(missing)}")


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder for everybody's files, and the port of the server behind the proxies."""

    folder: Path
    backend_port: int


@contextmanager
def stage() -> Iterator[Stage]:
    """With nginx as the server, on the core of the load."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting = Setting(0, free_port(), folder)
        log = folder / "backend.log"
        with running(backend(setting), log, cores()[1]) as process:
            wait_for_port(setting.backend_port, process, log)
            yield Stage(folder, setting.backend_port)
