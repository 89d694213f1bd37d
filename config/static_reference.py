"""The reference of all static options, derived from the structs: for `--help` and for the documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from config.static_env import variable
from config.static_schema import Leaf, Section, leaves, root
from config.units import format_duration

_TITLES: Final = {
    "entryPoints": "Entry points",
    "providers": "Providers",
    "api": "API",
    "ping": "Ping",
    "log": "Log",
    "core": "Rules",
    "hostResolver": "Rules",
    "serversTransport": "Connections to upstream servers",
    "tcpServersTransport": "Connections to TCP servers",
    "global": "Global",
}
_PROCESSES: Final = "Processes"
_KINDS: Final = {
    "bool": "true|false",
    "int": "number",
    "text": "text",
    "duration": "duration",
    "texts": "text,…",
    "floats": "number,…",
    "map": "text",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One option as the reference shows it; `default` is empty where there is none."""

    flag: str
    kind: str
    default: str
    description: str
    variable: str


def groups() -> dict[str, list[Entry]]:
    """Title to options, in the order of the structs; the flag that names the file comes first."""
    grouped: dict[str, list[Entry]] = {"Configuration file": [_CONFIG_FILE]}
    for path, option in leaves(root()):
        title = _TITLES.get(path.split(".")[0], _PROCESSES)
        grouped.setdefault(title, []).append(_entry(path, option))
    return grouped


def as_text(width: int) -> str:
    """The OPTIONS part of a man page."""
    lines: list[str] = []
    for title, entries in groups().items():
        lines += [f"{title}:", ""]
        for entry in entries:
            lines += [*_lines(entry, width), ""]
    return "\n".join(lines).rstrip() + "\n"


def _lines(entry: Entry, width: int) -> Iterator[str]:
    yield f"  {entry.flag}  {entry.kind}"
    yield from textwrap.wrap(entry.description, width, initial_indent="      ", subsequent_indent="      ")
    default = f"Default: {entry.default}" if entry.default else "No default"
    yield f"      {default}" + (f". Environment: {entry.variable}" if entry.variable else "")


_CONFIG_FILE: Final = Entry(
    flag="--configFile",
    kind="path",
    default="",
    description=(
        "Read this YAML, TOML or JSON file; all other flags and the environment are then without effect. "
        "Without it pointsman.toml, .yaml or .yml is looked for in /etc/pointsman, $XDG_CONFIG_HOME, "
        "$HOME/.config and the working directory, then traefik.* likewise."
    ),
    variable="",
)


def _entry(path: str, option: Leaf | Section) -> Entry:
    if isinstance(option, Section):
        return Entry(
            f"--{path}", "switch", "" if not option.optional else "off", option.description, variable(path)
        )
    kind = "|".join(option.choices) if option.choices else _KINDS[option.kind]
    flag = f"--{path}.<name>" if option.kind == "map" else f"--{path}"
    return Entry(flag, kind, _default(option), option.description, variable(flag.removeprefix("--")))


def _default(leaf: Leaf) -> str:
    value: Any = leaf.default
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if leaf.kind == "duration":
        return format_duration(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
