"""The effective static configuration from exactly one source: a file, else flags, else the environment.

Nothing is merged: the first source that holds anything wins, as in Traefik, but what loses is named in a
warning. Every problem of the winning source is reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config import static_effective, static_env, static_file, static_flags
from config.static import StaticConfiguration
from config.static_errors import Problem, StaticError, UsageError
from config.static_schema import root
from config.static_tree import Built, Node, build

_SYSTEM: Final = Path("/etc")


@dataclass(frozen=True, slots=True)
class LoadedStatic:
    """The effective configuration, where it came from (for a log line), and warnings for the log."""

    static: StaticConfiguration
    source: str
    warnings: tuple[str, ...] = ()


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path | str,
    *,
    system: Path = _SYSTEM,
    validate: bool = True,
) -> LoadedStatic:
    """Read, derive and check. `argv` are the words after the command; `system` is where /etc is.

    Raises UsageError for a malformed command line and StaticError for everything else. With `validate` off,
    values that are well-formed but cannot work together pass (the healthcheck needs no more).
    """
    flags = static_flags.read_flags(argv)
    warnings = [f"{name} is set but only the --configFile flag is read" for name in static_env.ignored(environ)]
    path, hidden = static_file.find_file(flags.config_file, environ, Path(cwd), system)
    if path is not None:
        warnings += _losers(path, hidden, flags, environ)
        source, tree = f"file {path}", static_file.read_file(path)
    elif flags.names:
        warnings += _silent_variables(environ, "flags are given")
        source, tree = "flags", flags.tree
    elif static_env.ours(environ):
        source, tree = "environment variables", static_env.read_environment(environ)
    else:
        source, tree = "built-in defaults", Node()
    return _finish(build(root(), tree), source, warnings, validate)


def from_mapping(mapping: Mapping[str, object]) -> StaticConfiguration:
    """The effective configuration of nested plain data, as a file would hold it. Raises StaticError."""
    return _finish(build(root(), static_file.tree_of(mapping)), "mapping", [], True).static


def _finish(built: Built, source: str, warnings: list[str], validate: bool) -> LoadedStatic:
    if built.problems:
        raise StaticError(*built.problems)
    assert isinstance(built.options, StaticConfiguration)
    static = static_effective.derive(built.options)
    if validate:
        problems = list(static_effective.check(static))
        if problems:
            raise StaticError(*problems)
    remarks = static_effective.remarks(static)
    return LoadedStatic(static, source, (*warnings, *built.warnings, *remarks))


def _losers(
    path: Path, hidden: Sequence[Path], flags: static_flags.Flags, environ: Mapping[str, str]
) -> list[str]:
    warnings = [f"{other} is not read: {path} comes first" for other in hidden]
    names = [name for name in dict.fromkeys(flags.names) if name.lower() != "--configfile"]
    if names:
        warnings.append(f"flags have no effect because {path} is read: {', '.join(names)}")
    return warnings + _silent_variables(environ, f"{path} is read")


def _silent_variables(environ: Mapping[str, str], because: str) -> list[str]:
    names = static_env.ours(environ)
    return [f"environment variables have no effect because {because}: {', '.join(names)}"] if names else []


__all__ = ["LoadedStatic", "Problem", "StaticError", "UsageError", "from_mapping", "load"]
