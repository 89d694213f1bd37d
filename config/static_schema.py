"""The option tree derived from the structs: what loading, the man page and printing back all walk over.

A Section is a struct, a Named a map from names that the user chooses to sections, an Indexed a list of
sections, a Leaf everything that is one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import msgspec
from msgspec import NODEFAULT, inspect

from config.static import StaticConfiguration
from config.static_shape import Options

Kind = Literal["bool", "int", "text", "duration", "texts", "floats", "map"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value. `default` is what the struct has without it; `choices`, if any, the only values allowed."""

    name: str
    attribute: str
    kind: Kind
    default: Any
    description: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A struct. `switch`: its bare name makes it. `optional`: it is None as long as nobody asks for it."""

    name: str
    attribute: str
    struct: type[Options]
    options: dict[str, Option] = field(repr=False)
    switch: bool = False
    optional: bool = False
    description: str = ""

    def step(self, name: str) -> Option | None:
        """The option of that name in any letter case."""
        return self.options.get(name.lower())


@dataclass(frozen=True, slots=True)
class Named:
    """A map from the user's names to sections."""

    name: str
    attribute: str
    element: Section
    description: str = ""

    def step(self, name: str) -> Option | None:
        return self.element if name else None


@dataclass(frozen=True, slots=True)
class Indexed:
    """A list of sections; flags and environment number its elements."""

    name: str
    attribute: str
    element: Section
    description: str = ""

    def step(self, name: str) -> Option | None:
        return self.element if index_of(name) is not None else None


Option = Leaf | Section | Named | Indexed

_SCALARS: Final[dict[type, Kind]] = {
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.StrType: "text",
}


def index_of(name: str) -> str | None:
    """The digits of `[3]` or `3`, None for other text."""
    digits = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    return digits if digits.isascii() and digits.isdigit() else None


@cache
def schema_of(struct: type[Options]) -> Section:
    """The option tree below a struct. Raises TypeError for a field type that options cannot have."""
    return _section("", "", struct, {})


def root() -> Section:
    return schema_of(StaticConfiguration)


def leaves(node: Section, prefix: str = "") -> Iterator[tuple[str, Leaf | Section]]:
    """Every settable thing below `node` with its path: leaves, and sections that can be switched on."""
    for option in node.options.values():
        path = f"{prefix}{option.name}"
        if isinstance(option, Leaf):
            yield path, option
            continue
        section = option if isinstance(option, Section) else option.element
        if isinstance(option, Section) and option.switch:
            yield path, option
        inner = {Section: path, Named: f"{path}.<name>", Indexed: f"{path}[n]"}[type(option)]
        yield from leaves(section, f"{inner}.")


def _section(name: str, attribute: str, struct: type[msgspec.Struct], extras: dict[str, Any]) -> Section:
    info = inspect.type_info(struct)
    if not issubclass(struct, Options) or not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct.__name__} is no section of options")
    options = {item.encode_name.lower(): _option(item) for item in info.fields}
    return Section(
        name=name,
        attribute=attribute,
        struct=struct,
        options=options,
        switch=bool(extras.get("switch") or extras.get("optional")),
        optional=bool(extras.get("optional")),
        description=extras.get("description", ""),
    )


def _option(item: inspect.Field) -> Option:
    kind, extras = _unwrap(item.type)
    name, attribute = item.encode_name, item.name
    described = extras.get("description", "")
    match kind:
        case inspect.StructType(cls=struct):
            return _section(name, attribute, struct, extras)
        case inspect.DictType(value_type=inspect.StructType(cls=struct)):
            return Named(name, attribute, _section("", "", struct, {"switch": True}), described)
        case inspect.ListType(item_type=inspect.StructType(cls=struct)):
            return Indexed(name, attribute, _section("", "", struct, {}), described)
    return Leaf(name, attribute, _kind(kind, extras), _default(item), described, extras.get("choices", ()))


def _unwrap(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """The bare type with all notes around it; `optional` is set where None is allowed."""
    extras: dict[str, Any] = {}
    while True:
        if isinstance(kind, inspect.Metadata):
            extras |= kind.extra or {}
            extras |= kind.extra_json_schema or {}
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            extras["optional"] = True
            kind = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
        else:
            return kind, extras


def _kind(kind: inspect.Type, extras: dict[str, Any]) -> Kind:
    if extras.get("kind") == "duration":
        return "duration"
    match kind:
        case inspect.ListType(item_type=inspect.StrType()):
            return "texts"
        case inspect.ListType(item_type=inspect.FloatType()):
            return "floats"
        case inspect.DictType(value_type=inspect.StrType()):
            return "map"
    if type(kind) not in _SCALARS:
        raise TypeError(f"no static option can be of type {kind}")
    return _SCALARS[type(kind)]


def _default(item: inspect.Field) -> Any:
    if item.default is not NODEFAULT:
        return item.default
    factory = item.default_factory
    return None if factory is NODEFAULT or factory is None else factory()


__all__ = ["Indexed", "Leaf", "Named", "Option", "Section", "index_of", "leaves", "root", "schema_of"]
