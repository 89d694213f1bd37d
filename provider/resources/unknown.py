"""Names in a manifest that a custom resource does not have.

An API server drops them before anyone sees the object. Files pass no API server, and decoding skips what it does
not know, so without a look a `middleware:` for `middlewares:` would serve a route unprotected, and in silence.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from provider.resources.kinds import Kind
from provider.resources.schema import Schema, definition

LARGEST_COUNT: Final = 20
"""Names of one object that are worth telling."""


class UnknownField(NamedTuple):
    """`field` is the path with the name at its end, `known` what could have been written there."""

    field: str
    name: str
    known: Collection[str]


def unknown_fields(kind: Kind, plain: dict[str, Any]) -> list[UnknownField]:
    """Of an object of a custom kind whose `spec` is a struct; others are looked at where they are translated."""
    if not kind.is_custom or _has_plain_spec(kind):
        return []
    return list(islice(_look(_schema(kind), plain, ""), LARGEST_COUNT))


def _look(schema: Schema, value: Any, path: str) -> Iterator[UnknownField]:
    if isinstance(value, list):
        for index, member in enumerate(value):
            yield from _look(schema.get("items", {}), member, f"{path}[{index}]")
    elif isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for name, member in value.items():
            field = f"{path}.{name}" if path else str(name)
            if name in known:
                yield from _look(known[name], member, field)
            else:
                yield UnknownField(field, str(name), known)


@functools.cache
def _schema(kind: Kind) -> Schema:
    schema: Schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {"properties": {**schema["properties"], "status": {}}}


@functools.cache
def _has_plain_spec(kind: Kind) -> bool:
    spec = {field.name: field.type for field in msgspec.structs.fields(kind.type)}["spec"]
    return not (isinstance(spec, type) and issubclass(spec, msgspec.Struct))
