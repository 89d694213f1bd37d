"""Each benchmark in its smallest form: it runs, nothing fails, the table is there. Its numbers are not judged."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.middleware_cases import CASES
from benchmarks.middlewares import chosen_cases
from benchmarks.processes import find
from tests.e2e.tree import ROOT
from workers.middlewares import BUILDERS

PROGRAMS = (
    *("bodies", "certificates", "changes", "http1", "http2", "idle", "middlewares", "propagation", "provider"),
    *("storm", "tcp", "tls", "websocket", "workers"),
)
WITHOUT_A_ROW = {"ipWhiteList", "plugin"}
"""The old name of another one; and what a plugin costs is the plugin's."""
needs_load = pytest.mark.skipif(
    find("wrk") is None or find("nginx") is None, reason="wrk and nginx are not installed"
)
needs_traefik = pytest.mark.skipif(find("traefik") is None, reason="Traefik is not installed")


def run(program: str, *flags: str) -> str:
    """What it prints; it must succeed and say nothing about failures."""
    command = [sys.executable, "-m", f"benchmarks.{program}", *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def rows(output: str) -> dict[str, list[str]]:
    """Cells of each line of the table, by its first one."""
    lines = [line.strip("| ").split(" | ") for line in output.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines[1:]}


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(program: str) -> None:
    output = run(program, "--help")
    assert f"python -m benchmarks.{program}" in output


def test_every_program_is_here() -> None:
    found = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "parse_args()" in path.read_text()}
    assert found == set(PROGRAMS)


def test_every_middleware_has_a_row() -> None:
    kinds = {kind for case in CASES for spec in case.specs for kind in spec}
    assert kinds == (set(BUILDERS) | {"chain"}) - WITHOUT_A_ROW
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.base for case in CASES} <= set(names)


def test_rows_are_chosen_with_what_they_are_compared_with() -> None:
    assert [one.name for one in chosen_cases("digestAuth")] == [
        "none",
        "none, asked from this process",
        "digestAuth",
    ]
    with pytest.raises(SystemExit, match="no row is named nonsense"):
        chosen_cases("stripPrefix;nonsense")


@needs_load
@pytest.mark.process
@pytest.mark.parametrize("flags", [("--log-and-metrics",), ("--new-connections",)], ids="".join)
def test_http1(flags: tuple[str, ...]) -> None:
    found = rows(run("http1", "--rounds=1", "--seconds=1", "--connections=4", "--only=pointsman", *flags))
    assert list(found) == ["pointsman"]
    assert found["pointsman"][-1] == "0"


@needs_load
@pytest.mark.process
def test_many_routes() -> None:
    found = rows(run("http1", "--rounds=1", "--seconds=1", "--routes=1,5", "--only=pointsman"))
    assert list(found) == ["pointsman, routes: 1", "pointsman, routes: 5"]
    assert {cells[-1] for cells in found.values()} == {"0"}


@needs_load
@pytest.mark.process
def test_tls() -> None:
    flags = ("--rounds=1", "--seconds=1", "--connections=4", "--handshakes=16", "--idle=10", "--only=pointsman")
    assert rows(run("tls", *flags))["pointsman"][-1] == "0"


@pytest.mark.process
def test_websocket() -> None:
    flags = ("--rounds=1", "--seconds=0.2", "--connections=3", "--only=pointsman")
    cells = rows(run("websocket", *flags))["pointsman"]
    assert cells[-1] == "0"
    assert float(cells[2]) > 0


@pytest.mark.process
def test_tcp() -> None:
    flags = ("--rounds=1", "--mebibytes=1", "--connections=20", "--only=pointsman")
    assert list(rows(run("tcp", *flags))) == ["pointsman"]


@needs_load
@pytest.mark.process
def test_idle() -> None:
    assert list(rows(run("idle", "--rounds=1", "--connections=50", "--only=pointsman"))) == ["pointsman"]


@needs_load
@pytest.mark.process
def test_workers() -> None:
    flags = ("--rounds=1", "--seconds=1", "--connections=4", "--work=2", "--spread=40", "--only=pointsman")
    found = rows(run("workers", *flags))
    assert list(found) == ["pointsman, workers: 1", "pointsman, workers: 2"]
    assert {cells[-1] for cells in found.values()} == {"0"}


@needs_load
@needs_traefik
@pytest.mark.process
def test_middlewares() -> None:
    """Rows that are asked in a way of their own; stderr would say what failed."""
    asked = ("digestAuth", "passTLSClientCert, PEM and info", "grpcWeb, a call")
    found = rows(run("middlewares", "--rounds=1", "--seconds=0.2", f"--only={';'.join(asked)}"))
    for row in asked:
        assert re.fullmatch(r"\d+\.\d", found[row][0])
