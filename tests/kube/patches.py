"""The patch formats of the API: merge patch (RFC 7396), JSON patch (RFC 6902), strategic merge patch.

Each is a pure function from a document and a patch to a new document; the arguments stay as they are.
Strategic merge follows the directives clients really send (`$patch`, `$setElementOrder`, `$retainKeys`,
`$deleteFromPrimitiveList`) and the merge keys of the kind table. Server-side apply is the same merge
without directives: fields an applier stops mentioning stay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .errors import Json, bad_request

_PRIMITIVE_SETS = ("finalizers",)


def merge_patch(document: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge(document: Any, patch: Any, merge_keys: Mapping[str, str]) -> Any:
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    merged = dict(document) if isinstance(document, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            merged[field] = [item for item in merged.get(field, []) if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            merged.pop(key, None)
        elif isinstance(value, list):
            merged[key] = _merge_list(key, merged.get(key), value, merge_keys)
        else:
            merged[key] = strategic_merge(merged.get(key), value, merge_keys)
    for key, order in patch.items():
        if key.startswith("$setElementOrder/"):
            _reorder(merged, key.partition("/")[2], order, merge_keys)
    return merged


def _merge_list(field: str, items: Any, patch: list[Any], merge_keys: Mapping[str, str]) -> list[Any]:
    present = list(items) if isinstance(items, list) else []
    if field in _PRIMITIVE_SETS:
        return present + [item for item in patch if item not in present]
    merge_key = "uid" if field == "ownerReferences" else merge_keys.get(field)
    if merge_key is None or any(not isinstance(item, dict) for item in patch):
        return patch
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    for item in patch:
        at = next((i for i, old in enumerate(present) if old.get(merge_key) == item.get(merge_key)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del present[at]
        elif at is None:
            present.append(item)
        else:
            present[at] = strategic_merge(present[at], item, merge_keys)
    return present


def _reorder(merged: Json, field: str, order: list[Any], merge_keys: Mapping[str, str]) -> None:
    items = merged.get(field)
    if not isinstance(items, list):
        return
    merge_key = merge_keys.get(field)

    def rank(item: Any) -> int:
        wanted = {merge_key: item.get(merge_key)} if merge_key and isinstance(item, dict) else item
        return order.index(wanted) if wanted in order else len(order)

    merged[field] = sorted(items, key=rank)


def json_patch(document: Json, operations: Any) -> Json:
    """Raises `ApiError` 400 for an operation that does not fit the document."""
    result: Any = copy.deepcopy(document)
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    for operation in operations:
        try:
            result = _apply_operation(result, operation)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise bad_request(f"the JSON patch does not apply: {operation}: {error!r}") from error
    if not isinstance(result, dict):
        raise bad_request("the patched object is not an object")
    return result


def _apply_operation(document: Any, operation: Json) -> Any:
    action, path = operation["op"], _pointer(operation["path"])
    if action == "test":
        if _resolve(document, path) != operation["value"]:
            raise ValueError("testing value failed")
        return document
    if action == "remove":
        return _remove(document, path)
    if action in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_resolve(document, source))
        if action == "move":
            document = _remove(document, source)
    else:
        value = operation["value"]
    if action == "replace":
        _resolve(document, path)
        if not path:
            return value
        parent = _resolve(document, path[:-1])
        parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = value
        return document
    if action not in ("add", "move", "copy"):
        raise ValueError("unknown operation")
    return _add(document, path, value)


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError("a JSON pointer starts with a slash")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _resolve(document: Any, path: list[str]) -> Any:
    for step in path:
        document = document[int(step) if isinstance(document, list) else step]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _resolve(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        at = len(parent) if last == "-" else int(last)
        if not 0 <= at <= len(parent):
            raise IndexError("index out of range")
        parent.insert(at, value)
    else:
        parent[last] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    parent = _resolve(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return document
