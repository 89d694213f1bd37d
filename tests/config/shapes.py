"""Walking over the types of the dynamic configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from config.shape import Shape


def shapes_below(root: type[Shape]) -> Iterator[type[Shape]]:
    """`root` and every struct that its fields can hold, each once."""
    seen: set[type[Shape]] = set()
    pending: list[Any] = [inspect.type_info(root)]
    while pending:
        kind = pending.pop()
        if isinstance(kind, inspect.StructType):
            if issubclass(kind.cls, Shape) and kind.cls not in seen:
                seen.add(kind.cls)
                yield kind.cls
                pending.extend(field.type for field in kind.fields)
        elif isinstance(kind, inspect.UnionType):
            pending.extend(kind.types)
        elif isinstance(kind, inspect.ListType):
            pending.append(kind.item_type)
        elif isinstance(kind, inspect.DictType):
            pending.append(kind.value_type)
