"""One manifest file -> plain objects. Bounded: neither a large file nor an alias bomb takes the memory.

YAML is read as Kubernetes tools read it: what looks like a time stamp or a base-60 number stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import yaml

LARGEST_FILE_BYTES: Final = 32 << 20
LARGEST_DEPTH: Final = 100
LARGEST_NODES: Final = 2_000_000
"""Nodes of one document with every alias written out; 32 MiB of honest manifests stay below it."""

_INT: Final = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
_FLOAT: Final = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
_REPLACED: Final = tuple(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float"))


class ManifestError(Exception):
    """The file cannot be read as manifests; `line` counts from 1, 0 if unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class _Loader(yaml.CSafeLoader):
    """The safe loader with numbers as Go's YAML reads them and without time stamps."""

    yaml_implicit_resolvers = {
        first: [pair for pair in resolvers if pair[0] not in _REPLACED]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def parse(data: bytes, name: str) -> list[dict[str, Any]]:
    """The objects of a file, `List` kinds taken apart. Raises ManifestError."""
    if len(data) > LARGEST_FILE_BYTES:
        raise ManifestError(f"{len(data)} bytes are more than the {LARGEST_FILE_BYTES} that are read")
    documents = _json(data) if name.endswith(".json") else _yaml(data)
    return [item for line, document in documents for item in _objects(document, line)]


def _json(data: bytes) -> Iterator[tuple[int, Any]]:
    try:
        document = msgspec.json.decode(data)
        _check_json_depth(document)
        yield 1, document
    except msgspec.MsgspecError as error:
        position = re.search(r"byte (\d+)", str(error))
        line = data.count(b"\n", 0, int(position[1])) + 1 if position else 0
        raise ManifestError(str(error), line) from error
    except RecursionError as error:
        raise ManifestError("nested too deeply") from error


def _yaml(data: bytes) -> Iterator[tuple[int, Any]]:
    try:
        _check_yaml_depth(data)
        yield from _documents(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or _one_line(error)
        if "nesting depth" in problem:  # libyaml's own limit, far above ours: its scanner runs ahead of us
            problem = f"nested deeper than {LARGEST_DEPTH}"
        raise ManifestError(problem, mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise ManifestError(_one_line(error)) from error


def _documents(data: bytes) -> Iterator[tuple[int, Any]]:
    loader = _Loader(data)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            _check_size(node)
            yield node.start_mark.line + 1, loader.construct_document(node)
    finally:
        loader.dispose()


def _check_yaml_depth(data: bytes) -> None:
    """Raise ManifestError before composing: the C composer recurses, and deep nesting would end the process."""
    depth = 0
    for event in yaml.parse(data, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > LARGEST_DEPTH:
                mark = event.start_mark
                raise ManifestError(f"nested deeper than {LARGEST_DEPTH}", mark.line + 1 if mark else 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_json_depth(document: Any) -> None:
    layer = [document] if isinstance(document, dict | list) else []
    for _ in range(LARGEST_DEPTH):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return
    raise ManifestError(f"nested deeper than {LARGEST_DEPTH}")


def _check_size(root: yaml.Node) -> None:
    """Raise ManifestError if the document, aliases written out, is too large or contains itself."""
    sizes: dict[int, int] = {}
    _measure(root, sizes)


def _measure(node: yaml.Node, sizes: dict[int, int]) -> int:
    if not isinstance(node, yaml.CollectionNode):
        return 1
    known = sizes.get(id(node))
    line = node.start_mark.line + 1
    if known is not None:
        if not known:
            raise ManifestError("an alias refers to what contains it", line)
        return known
    sizes[id(node)] = 0
    size = 1
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            size += _measure(part, sizes)
            if size > LARGEST_NODES:
                raise ManifestError(f"more than {LARGEST_NODES} values once aliases are written out", line)
    sizes[id(node)] = size
    return size


def _objects(document: Any, line: int) -> Iterator[dict[str, Any]]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise ManifestError("a document is no Kubernetes object", line)
    kind, items = document.get("kind"), document.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        for item in items:
            yield from _objects(item, line)
        return
    if not isinstance(kind, str) or not isinstance(document.get("apiVersion"), str):
        raise ManifestError("a document has no apiVersion and kind", line)
    yield document


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
