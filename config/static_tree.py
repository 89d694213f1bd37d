"""One raw tree for all three sources, and the way from it to the typed structs.

A file, flags and environment variables only differ in how they spell a path, so each is read into Nodes whose
values are still text; `build` then fills the structs. Names are matched in any letter case, as Traefik does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from config.static_errors import Problem, join_path, unknown_option
from config.static_schema import Indexed, Leaf, Named, Option, Section, index_of
from config.static_shape import Options
from config.units import DurationError, parse_duration

_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_LARGEST: Final = (1 << 63) - 1


@dataclass(slots=True)
class Node:
    """A name as the user wrote it. `value` is text, `items` a list of text, `children` names below it."""

    name: str = ""
    origin: str = ""
    value: str | None = None
    items: list[str] | None = None
    empty: bool = False  # a YAML key with nothing behind it
    children: dict[str, Node] = field(default_factory=dict)

    def child(self, name: str, origin: str) -> Node:
        """The child of that name in any letter case; made, with this spelling, if it is new."""
        return self.children.setdefault(name.lower(), Node(name, origin))

    def reach(self, path: Sequence[str], origin: str) -> Node:
        node = self
        for name in path:
            node = node.child(name, origin)
        return node


class Built(NamedTuple):
    """A filled struct, only to be used if there are no problems, and what the user should hear of anyway."""

    options: Options
    problems: list[Problem]
    warnings: list[str]


def build(section: Section, tree: Node) -> Built:
    """Fill the struct of `section` from `tree`."""
    builder = _Builder()
    return Built(builder.section(section, tree, ()), builder.problems, builder.warnings)


def parse_bool(text: str) -> bool | None:
    """Go's ParseBool; None for any other text."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


class _Builder:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def section(self, section: Section, node: Node, path: tuple[str, ...]) -> Options:
        values: dict[str, Any] = {}
        for child in node.children.values():
            option = section.step(child.name)
            if option is None:
                self._unknown(child, (*path, child.name))
                continue
            if child.empty:
                self._warn_empty(child, (*path, option.name))
                continue
            made = self._option(option, child, (*path, option.name))
            if made is not _ABSENT:
                values[option.attribute] = made
        return section.struct(**values)

    def _option(self, option: Option, node: Node, path: tuple[str, ...]) -> Any:
        match option:
            case Leaf():
                return self._leaf(option, node, path)
            case Section():
                return self._switched(option, node, path)
            case Named():
                return self._named(option, node, path)
            case Indexed():
                return self._indexed(option, node, path)

    def _switched(self, section: Section, node: Node, path: tuple[str, ...]) -> Any:
        """A section, unless its value says `false`. Only a section that can be switched may have a value."""
        if node.items is not None:
            return self._problem(node, path, "is a section with options of its own, not a list")
        if node.value is not None:
            wanted = parse_bool(node.value or "true") if section.switch else None
            if not section.switch:
                return self._problem(node, path, f"cannot stand alone; give one of its options: {_names(section)}")
            if wanted is None:
                return self._problem(node, path, f"must be true or false, not {node.value!r}")
            if not wanted:
                return _ABSENT
        return self.section(section, node, path)

    def _named(self, option: Named, node: Node, path: tuple[str, ...]) -> Any:
        if node.value is not None or node.items is not None:
            return self._problem(node, path, f"needs names below it, such as {option.name}.<name>")
        made = {
            child.name: self._switched(option.element, child, (*path, child.name))
            for child in node.children.values()
        }
        return {name: value for name, value in made.items() if value is not _ABSENT}

    def _indexed(self, option: Indexed, node: Node, path: tuple[str, ...]) -> Any:
        """Elements in string order of their index (10 before 2), as in Traefik."""
        if node.value is not None or node.items is not None:
            return self._problem(node, path, f"is a list of sections, written {option.name}[0].<option>")
        elements = []
        for child in sorted(node.children.values(), key=lambda child: index_of(child.name) or ""):
            index = index_of(child.name)
            if index is None:
                self._problem(child, (*path, child.name), f"is no index; write {option.name}[0]")
                continue
            elements.append(self._switched(option.element, child, (*path[:-1], f"{path[-1]}[{index}]")))
        return elements

    def _leaf(self, leaf: Leaf, node: Node, path: tuple[str, ...]) -> Any:
        if leaf.kind == "map":
            return self._map(node, path)
        if node.children:
            below = next(iter(node.children.values()))
            return self._problem(below, (*path, below.name), "does not exist: nothing can stand below this option")
        try:
            return _SEVERAL[leaf.kind](node) if leaf.kind in _SEVERAL else _SCALARS[leaf.kind](_one(node), leaf)
        except ValueError as error:
            return self._problem(node, path, str(error))

    def _map(self, node: Node, path: tuple[str, ...]) -> Any:
        if node.value is not None or node.items is not None:
            return self._problem(node, path, "needs names below it, each with a value")
        for child in node.children.values():
            if child.value is None:
                self._problem(child, (*path, child.name), "takes one value")
        return {child.name: child.value or "" for child in node.children.values()}

    def _unknown(self, node: Node, path: tuple[str, ...]) -> None:
        """Report every value below an unknown name, so that all of a section's options are listed."""
        if node.value is not None or node.items is not None or not node.children:
            self.problems.append(unknown_option(path, node.origin))
        for child in node.children.values():
            self._unknown(child, (*path, child.name))

    def _warn_empty(self, node: Node, path: tuple[str, ...]) -> None:
        full = join_path(path)
        hint = f"write {path[-1]}: {{}} to switch a section on"
        self.warnings.append(f"{node.origin}: {full} has no value and is ignored; {hint}")

    def _problem(self, node: Node, path: tuple[str, ...], message: str) -> Any:
        full = join_path(path)
        self.problems.append(Problem(full, node.origin, f"{full} {message}"))
        return _ABSENT


_ABSENT: Final = object()


def _texts(node: Node) -> list[str]:
    """A list as written in a file, or comma separated values, blanks trimmed, empty ones left out."""
    if node.items is not None:
        return node.items
    return [part for part in (part.strip() for part in (node.value or "").split(",")) if part]


def _floats(node: Node) -> list[float]:
    texts = _texts(node)
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ValueError(f"must be numbers separated by commas, not {', '.join(texts)!r}") from None


def _one(node: Node) -> str:
    if node.items is not None:
        raise ValueError("takes one value, not a list")
    if node.value is None:
        raise ValueError("takes a value, not a section")
    return node.value


def _bool(text: str, _: Leaf) -> bool:
    value = parse_bool(text)
    if value is None:
        raise ValueError(f"must be true or false, not {text!r}")
    return value


def _int(text: str, _: Leaf) -> int:
    if not _INTEGER.fullmatch(text) or abs(int(text)) > _LARGEST:
        raise ValueError(f"must be a whole number, not {text!r}")
    return int(text)


def _duration(text: str, _: Leaf) -> float:
    try:
        return parse_duration(text)
    except DurationError as error:
        raise ValueError(f"is wrong: {error}") from error


def _text(text: str, leaf: Leaf) -> str:
    if not leaf.choices:
        return text
    if not text:
        return str(leaf.default)  # an empty variable means: as if it were not there
    for choice in leaf.choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"must be one of {', '.join(leaf.choices)}, not {text!r}")


_SEVERAL: Final[dict[str, Callable[[Node], Any]]] = {"texts": _texts, "floats": _floats}
_SCALARS: Final[dict[str, Callable[[str, Leaf], Any]]] = {
    "bool": _bool,
    "int": _int,
    "duration": _duration,
    "text": _text,
}


def _names(section: Section) -> str:
    return ", ".join(option.name for option in section.options.values())
