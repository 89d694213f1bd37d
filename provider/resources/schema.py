"""Custom resource definitions from the structs: `python -m provider.resources.schema DIRECTORY`.

Types come from the structs of `traefik*.py`, sentences and constraints from `words*.py`. What results is a
structural schema as `apiextensions.k8s.io/v1` demands it (no references, a type at every node), no stricter than
Traefik's own definitions, so that every manifest they accept is accepted; the one addition is a status.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_origin

import msgspec
import yaml
from msgspec import inspect

from provider.resources import (
    words,
    words_layer4,
    words_middlewares,
    words_middlewares_copied,
    words_services,
    words_tls,
)
from provider.resources.kinds import KINDS, Kind
from provider.resources.words import Words

Schema = dict[str, Any]

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    **words.FIELDS,
    **words_layer4.FIELDS,
    **words_middlewares.FIELDS,
    **words_middlewares_copied.FIELDS,
    **words_services.FIELDS,
    **words_tls.FIELDS,
}
"""What is said about the fields of all structs."""

_HEADER: Final = "# Written by `make schema` from the structs in provider/resources. Do not edit.\n"
_LEAVES: Final[Mapping[type, Schema]] = {
    inspect.StrType: {"type": "string"},
    inspect.IntType: {"type": "integer"},
    inspect.BoolType: {"type": "boolean"},
    inspect.FloatType: {"type": "number"},
    inspect.AnyType: {"x-kubernetes-preserve-unknown-fields": True},
}
_COLUMNS: Final = (
    ("Match", "string", ".spec.routes[0].match", "Rule of the first route", 0),
    ("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].status', "Is it served as written?", 0),
    ("Class", "string", ".spec.ingressClassName", "Class of the controller", 1),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the object was created", 0),
)
_CONDITION: Final[Schema] = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": {"type": "string", "description": "What the condition is about, such as Accepted."},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "reason": {"type": "string", "description": "One CamelCase word that scripts can match."},
        "message": {"type": "string", "description": "What is wrong and what to change."},
    },
}
_STATUS: Final[Schema] = {
    "type": "object",
    "description": "What the proxy made of the object.",
    "properties": {
        "conditions": {
            "type": "array",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    },
}


def definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a custom kind as plain data."""
    singular = kind.name.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": singular,
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> Schema:
    spec = _of_struct(spec_of(kind))
    columns = [
        {"name": name, "type": type_, "jsonPath": path, "description": text, "priority": priority}
        for name, type_, path, text, priority in _COLUMNS
        if not path.startswith(".spec.") or _has(spec, path)
    ]
    root = {
        "type": "object",
        "description": f"{kind.name} of {kind.api_version}.",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _STATUS,
        },
    }
    return {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": root},
    }


def spec_of(kind: Kind) -> type[msgspec.Struct]:
    """The struct that describes `spec`, also where the object keeps it as plain data."""
    for field in msgspec.structs.fields(kind.type):
        if field.name == "spec":
            plain = get_origin(field.type) is Annotated
            spec: type[msgspec.Struct] = field.type.__metadata__[0].extra["schema"] if plain else field.type
            return spec
    raise TypeError(f"{kind.name} has no spec")


def _has(spec: Schema, path: str) -> bool:
    """Whether a JSON path below `.spec` leads to a field."""
    node = spec
    for name in path.replace("[0]", ".[0]").split(".")[2:]:
        node = node.get("items", {}) if name == "[0]" else node.get("properties", {}).get(name, {})
    return bool(node)


def _of_struct(struct: type[msgspec.Struct]) -> Schema:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    types: dict[str, inspect.Type] = {field.encode_name: field.type for field in info.fields}
    words = FIELDS[struct]
    types |= {name: inspect.type_info(entry.type) for name, entry in words.items() if entry.type is not None}
    properties = {name: _of_field(types[name], entry) for name, entry in words.items()}
    required = [name for name, entry in words.items() if entry.required]
    return {"type": "object", **({"required": required} if required else {}), "properties": properties}


def _of_field(type_: inspect.Type, words: Words) -> Schema:
    return {"description": words.text, **_of_type(type_), **words.keywords}


def _of_type(type_: inspect.Type) -> Schema:
    """Schema of a type that a struct of `traefik*.py` may use. Raises TypeError for any other."""
    match type_:
        case inspect.Metadata():
            return _of_type(type_.type)
        case inspect.UnionType():
            return _of_union([each for each in map(_bare, type_.types) if not isinstance(each, inspect.NoneType)])
        case inspect.ListType():
            return {"type": "array", "items": _of_type(type_.item_type)}
        case inspect.DictType():
            return {"type": "object", "additionalProperties": _of_type(type_.value_type)}
        case inspect.StructType():
            return _of_struct(type_.cls)
    if type(type_) in _LEAVES:
        return dict(_LEAVES[type(type_)])
    raise TypeError(f"no schema for {type_}")


def _of_union(types: list[inspect.Type]) -> Schema:
    if len(types) == 1:
        return _of_type(types[0])
    if {type(each) for each in types} == {inspect.IntType, inspect.StrType}:
        return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    raise TypeError(f"no schema for a union of {types}")


def _bare(type_: inspect.Type) -> inspect.Type:
    return type_.type if isinstance(type_, inspect.Metadata) else type_


class _Dumper(yaml.SafeDumper):
    """Writes a part that occurs twice out twice: API tools read no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> Iterator[tuple[str, str]]:
    """Name and content of one file for each custom kind."""
    for kind in KINDS.values():
        if kind.is_custom:
            text = yaml.dump(definition(kind), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
            yield f"{kind.group}_{kind.plural}.yaml", _HEADER + text


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m provider.resources.schema DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files():
        (directory / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
