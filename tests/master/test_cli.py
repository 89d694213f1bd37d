"""The command group: which command is meant, help, exit codes."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from config.static_load import LoadedStatic
from master.cli import cli


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> list[tuple[LoadedStatic, list[str]]]:
    """Calls of `run`, whose place a list has taken."""
    calls: list[tuple[LoadedStatic, list[str]]] = []
    app = ModuleType("master.app")

    def run(loaded: LoadedStatic, argv: list[str]) -> int:
        calls.append((loaded, argv))
        return 7

    app.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "master.app", app)
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return calls


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="pointsman")


@pytest.mark.parametrize("command", [("run",), ()])
def test_flags_of_traefik_reach_the_master(
    started: list[tuple[LoadedStatic, list[str]]], command: tuple[str, ...]
) -> None:
    flags = ["--entrypoints.web.address=:8000", "-ping", "--log.level", "DEBUG", "--"]
    assert invoke(*command, *flags).exit_code == 7
    ((loaded, argv),) = started
    assert argv == flags
    assert list(loaded.static.entry_points) == ["web", "traefik"]
    assert loaded.static.log.level == "DEBUG"


def test_no_words_at_all_mean_run(started: list[tuple[LoadedStatic, list[str]]]) -> None:
    assert invoke().exit_code == 7
    assert started[0][1] == []


@pytest.mark.behaviour("OP-1")
def test_an_unknown_flag_exits_1_and_is_named(started: list[tuple[LoadedStatic, list[str]]]) -> None:
    result = invoke("--foo.bar=1")
    assert (result.exit_code, result.stderr) == (1, "pointsman: --foo.bar: unknown option foo.bar\n")
    assert not started


def test_a_malformed_command_line_exits_2(started: list[tuple[LoadedStatic, list[str]]]) -> None:
    result = invoke("run", "--api.insecure", "false")
    assert result.exit_code == 2
    assert "unexpected argument 'false'; write --api.insecure=false" in result.stderr
    assert not started


@pytest.mark.behaviour("OP-12")
def test_an_unknown_command_prints_the_help_and_exits_1() -> None:
    result = invoke("foo")
    assert result.exit_code == 1
    assert result.stdout.startswith("Usage: pointsman")
    assert result.stderr == "pointsman: command not found: foo\n"


@pytest.mark.behaviour("OP-12")
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("-help",), ("-h",), ("run", "--help"), ("--ping", "-h"), ("healthcheck", "--foo", "-help")],
)
def test_help_anywhere_prints_every_option_and_exits_0(arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "--entryPoints.<name>.transport.respondingTimeouts.readTimeout  duration" in result.stdout
    assert "--configFile" in result.stdout


def test_the_help_of_the_group_names_the_commands() -> None:
    text = invoke("--help").stdout
    for name in ("run", "healthcheck", "version", "demo", "whoami"):
        assert f"\n  {name} " in text
