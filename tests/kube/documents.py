"""YAML and JSON text -> Kubernetes objects, the way the Go tools read YAML: timestamps stay text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from .errors import Json


def _loader() -> Any:
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("Loader", (base,), {})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return loader


_LOADER = _loader()

Source = str | bytes | Mapping[str, Any] | Iterable[Mapping[str, Any]]


def parse(text: str | bytes) -> Iterator[Any]:
    """All documents in JSON or multi-document YAML; empty ones are left out. Raises `ValueError`."""
    try:
        yield json.loads(text)
        return
    except ValueError:
        pass
    try:
        yield from filter(None, yaml.load_all(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        raise ValueError(f"neither JSON nor YAML: {error}") from error


def objects(source: Source) -> Iterator[Json]:
    """The objects in text, in one dict or in many; `List` kinds are opened."""
    if isinstance(source, str | bytes):
        documents: Iterable[Any] = parse(source)
    else:
        documents = [source] if isinstance(source, Mapping) else source
    for document in documents:
        if isinstance(document, list):
            yield from objects(document)
        elif isinstance(document.get("items"), list) and str(document.get("kind", "")).endswith("List"):
            yield from objects(document["items"])
        else:
            yield dict(document)
