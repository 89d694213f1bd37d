"""What is wrong with a static configuration, in words that name the place and the way out.

Every problem carries the full option path in Traefik's spelling and where it was written (flag, variable,
file and line). Reading goes on after a problem, so that one start shows all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from config.static_known import ANY, TRAEFIK, is_removed, walk
from config.static_schema import Leaf, Option, Section, leaves, root

_MOST_SHOWN: Final = 20


class Problem(NamedTuple):
    """One thing to correct: the option's path (empty if it is no option), where it stands, what is wrong."""

    path: str
    origin: str
    message: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" if self.origin else self.message


class StaticError(Exception):
    """The static configuration cannot be used; the text is one line for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems: Final = problems

    @property
    def message(self) -> str:
        return self.problems[0].message

    @property
    def path(self) -> str:
        return self.problems[0].path

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:_MOST_SHOWN]]
        if len(self.problems) > _MOST_SHOWN:
            lines.append(f"and {len(self.problems) - _MOST_SHOWN} more")
        return "\n".join(lines)


class UsageError(StaticError):
    """The command line itself is malformed: a word too many, a value missing."""


def unknown_option(path: Sequence[str], origin: str) -> Problem:
    """Say why no such option can be set: not built yet, removed from Traefik, or not an option at all."""
    spelled, node = walk(path)
    ours, option = _walk_ours(path)
    names: set[str] = set()
    if len(spelled) >= len(ours):
        names |= {child.name for child in node.below.values() if child.name != ANY}
    if len(ours) >= len(spelled):
        spelled = ours
        names |= {below.name for below in option.options.values()} if isinstance(option, Section) else set()
    full = join_path([*spelled, *path[len(spelled) :]])
    if is_removed(path):
        return Problem(full, origin, f"{full} was removed from Traefik and means nothing to Pointsman")
    if len(spelled) == len(path):
        return Problem(
            full,
            origin,
            f"{full} is an option of Traefik that this version of Pointsman does not have yet",
        )
    if full.lower() == "configfile":
        return Problem(full, origin, "configFile can only be given as a flag")
    return Problem(full, origin, f"unknown option {full}{_suggestion(path, names, spelled)}")


def join_path(names: Iterable[str]) -> str:
    """Names joined by dots; an index in brackets follows without one.

    >>> join_path(["domains", "[0]", "main"])
    'domains[0].main'
    """
    return ".".join(names).replace(".[", "[")


def _walk_ours(path: Sequence[str]) -> tuple[list[str], Option]:
    node: Option = root()
    spelled: list[str] = []
    for name in path:
        below = None if isinstance(node, Leaf) else node.step(name)
        if below is None:
            break
        node = below
        spelled.append(below.name or name)
    return spelled, node


def _suggestion(path: Sequence[str], names: Iterable[str], spelled: Sequence[str]) -> str:
    """`; did you mean …?` from the names valid at the place of the mistake, else from whole paths."""
    below = {name.lower(): name for name in names}
    wrong = path[len(spelled)] if len(spelled) < len(path) else path[-1]
    close = difflib.get_close_matches(wrong.lower(), below, n=3, cutoff=0.6)
    if close:
        rest = path[len(spelled) + 1 :]
        starts = [[*spelled, below[name]] for name in close]
        whole = [option for option in (_option_at([*start, *rest]) for start in starts) if option]
        return f"; did you mean {_either(whole or [join_path(start) for start in starts])}?"
    if spelled and below:
        return f"; valid here: {', '.join(sorted(below.values(), key=str.lower))}"
    paths = {option.lower(): option for option in _all_paths()}
    near = difflib.get_close_matches(".".join(path).lower(), paths, n=2, cutoff=0.6)
    return f"; did you mean {_either([paths[option] for option in near])}?" if near else ""


def _option_at(path: Sequence[str]) -> str:
    """The path in its right spelling if there is such an option, else nothing."""
    spelled = max(_walk_ours(path)[0], walk(path)[0], key=len)
    return join_path(spelled) if len(spelled) == len(path) else ""


def _all_paths() -> Iterable[str]:
    yield from (path for path, _ in leaves(root()))
    yield from (path.replace(ANY, "<name>") for path in TRAEFIK.leaves())


def _either(options: Sequence[str]) -> str:
    return " or ".join([", ".join(options[:-1]), options[-1]] if len(options) > 1 else options)
