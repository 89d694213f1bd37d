"""Flags in Traefik's manner: `--entryPoints.web.address=:80`, any letter case, one or two dashes.

Safer than the original in two places, on purpose: a word that no flag takes is an error that names it (the
original stops there and silently drops every later flag), and an option that needs a value does not swallow a
following `--flag`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from config.static_errors import Problem, UsageError
from config.static_schema import Leaf, Named, Option, Section, root
from config.static_tree import Node

HELP_FLAGS: Final = frozenset(("--help", "-help", "-h"))
_CONFIG_FILE: Final = "configfile"
_LOOKS_LIKE_A_FLAG: Final = re.compile(r"--?[A-Za-z]")
_INDEX: Final = re.compile(r"(.+?)((?:\[\d+\])+)")


@dataclass(slots=True)
class Flags:
    """What the command line says: the raw tree, the value of --configFile, and the flags in order."""

    tree: Node = field(default_factory=Node)
    config_file: str = ""
    names: list[str] = field(default_factory=list)


def wants_help(arguments: Sequence[str]) -> bool:
    """True if `-h`, `-help` or `--help` stands anywhere before `--`."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(word in HELP_FLAGS for word in before)


def takes_next_word(flag: str) -> bool:
    """Whether `flag`, written as on a command line, has its value in the word behind it.

    >>> takes_next_word("--log.level"), takes_next_word("--log.level=INFO"), takes_next_word("--ping")
    (True, False, False)
    """
    name = flag.removeprefix("-").removeprefix("-")
    option = _find(split_path(name))
    is_switch = isinstance(option, Section | Named) or (isinstance(option, Leaf) and option.kind == "bool")
    return "=" not in name and not is_switch and (option is not None or name.lower() == _CONFIG_FILE)


def read_flags(arguments: Sequence[str]) -> Flags:
    """Parse the arguments. Raises UsageError if they are malformed; unknown names are left to `build`."""
    flags = Flags()
    values: dict[tuple[str, ...], tuple[tuple[str, ...], str, str]] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            raise _stray(word, flags.names)
        name, value = _flag(word, rest)
        flags.names.append(f"--{name}")
        if name.lower() == _CONFIG_FILE:
            flags.config_file = value
            continue
        _remember(values, split_path(name), value)
    if rest:
        raise _stray(rest[0], flags.names)
    # The spelling that sorts first names a map key, as in the original.
    for path, value, origin in sorted(values.values()):
        flags.tree.reach(path, origin).value = value
    return flags


def split_path(name: str) -> tuple[str, ...]:
    """`a.b[0].c` as its names; an index is a name of its own, brackets kept."""
    names: list[str] = []
    for part in name.split("."):
        indexed = _INDEX.fullmatch(part)
        if indexed:
            names += [indexed[1], *re.findall(r"\[\d+\]", indexed[2])]
        else:
            names.append(part)
    return tuple(names)


def _flag(word: str, rest: list[str]) -> tuple[str, str]:
    """Name and value of the flag `word`; takes its value from `rest` where it needs one."""
    name = word.removeprefix("-").removeprefix("-")
    if name[:1] in ("", "-", "="):
        raise UsageError(Problem("", "", f"bad flag syntax: {word}"))
    name, equals, value = name.partition("=")
    if equals:
        return name, value
    option = _find(split_path(name))
    if isinstance(option, Section | Named) or (isinstance(option, Leaf) and option.kind == "bool"):
        return name, "true"
    if rest and not _LOOKS_LIKE_A_FLAG.match(rest[0]):
        return name, rest.pop(0)
    if option is None and name.lower() != _CONFIG_FILE:
        return name, "true"  # unknown anyway, and named as such later
    raise UsageError(Problem(name, "", f"flag needs an argument: --{name}"))


def _remember(
    values: dict[tuple[str, ...], tuple[tuple[str, ...], str, str]], path: tuple[str, ...], value: str
) -> None:
    """A repeated list grows, of a repeated scalar the last value counts."""
    key = tuple(name.lower() for name in path)
    option = _find(path)
    if key in values:
        path, before, _ = values[key]
        if isinstance(option, Leaf) and option.kind in ("texts", "floats"):
            value = f"{before},{value}"
    values[key] = path, value, f"--{'.'.join(path).replace('.[', '[')}"


def _find(path: Sequence[str]) -> Option | None:
    node: Option = root()
    for name in path:
        below = None if isinstance(node, Leaf) else node.step(name)
        if below is None:
            return None
        node = below
    return node


def _stray(word: str, before: Sequence[str]) -> UsageError:
    hint = f"; write {before[-1]}={word} if it belongs to that flag" if before else ""
    return UsageError(Problem("", "", f"unexpected argument {word!r}{hint}"))
