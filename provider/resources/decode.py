"""JSON of one object, or plain data from a manifest, into its struct.

An object that does not fit its type raises Malformed with the path of the offending field; the caller drops
that object and keeps its neighbours. As in Go, a field that is null counts as a field left out.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import msgspec

from config.findings import Finding
from provider.resources.core import Metadata, Resource
from provider.resources.kinds import Kind, ObjectKey
from provider.resources.nesting import CUT, LARGEST_DEPTH, is_too_deep, shallow

_PATH: Final = re.compile(r"^(?P<message>.*?)(?: - at `(?:key in )?`?\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)


class _Identity(Resource, frozen=True, kw_only=True):
    metadata: Metadata


class Malformed(Exception):
    """The object does not fit its type. `finding` says where and what to change."""

    def __init__(self, key: ObjectKey, finding: Finding) -> None:
        super().__init__(str(finding))
        self.key = key
        self.finding = finding


@functools.cache
def _decoder(struct: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct)


def decode(kind: Kind, data: bytes | msgspec.Raw) -> Any:
    """The struct of `kind`. Raises Malformed, or msgspec.MsgspecError if not even its name can be read."""
    try:
        resource = _decoded(kind, data)
    except RecursionError:
        raise _too_deep(kind, shallow(bytes(data))) from None
    spec = getattr(resource, "spec", None)
    if isinstance(spec, dict) and (is_too_deep(spec) or CUT in bytes(data)):
        raise _too_deep(kind, shallow(bytes(data)))
    return resource


def _decoded(kind: Kind, data: bytes | msgspec.Raw) -> Any:
    try:
        return _decoder(kind.type).decode(data)
    except msgspec.MsgspecError:
        return from_plain(kind, msgspec.json.decode(data))


def _too_deep(kind: Kind, data: bytes) -> Malformed:
    """Raises msgspec.MsgspecError if not even the name can be read."""
    metadata = msgspec.json.decode(data, type=_Identity).metadata
    key = ObjectKey(kind.name, metadata.namespace, metadata.name)
    message = f"the object is nested deeper than {LARGEST_DEPTH} levels"
    return Malformed(key, _malformed(key, message, "spec"))


def from_plain(kind: Kind, plain: Any) -> Any:
    """As `decode`, from dicts and lists. Raises the same."""
    cleaned = without_nulls(plain)
    try:
        return msgspec.convert(cleaned, kind.type)
    except msgspec.ValidationError as error:
        metadata = msgspec.convert(cleaned, _Identity).metadata
        key = ObjectKey(kind.name, metadata.namespace, metadata.name)
        raise Malformed(key, _finding(key, error)) from error


def key_of(kind: Kind, resource: Any) -> ObjectKey:
    return ObjectKey(kind.name, resource.metadata.namespace, resource.metadata.name)


def without_nulls(plain: Any) -> Any:
    """The same data without the mapping entries whose value is null."""
    if isinstance(plain, dict):
        return {key: without_nulls(value) for key, value in plain.items() if value is not None}
    if isinstance(plain, list):
        return [without_nulls(value) for value in plain]
    return plain


def located(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, as part of a sentence, and the path of the field. No values: they may be secret."""
    matched = _PATH.match(str(error))
    message, path = (matched["message"], matched["path"] or "") if matched else (str(error), "")
    return _lower_first(message), path


def _finding(key: ObjectKey, error: msgspec.ValidationError) -> Finding:
    message, path = located(error)
    return _malformed(key, message, path)


def _malformed(key: ObjectKey, message: str, path: str) -> Finding:
    return Finding(
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        severity="error",
        reason="Malformed",
        message=f"{message}; the object is treated as absent",
        field=path,
        advice="correct the field; applying the current CRDs lets the API server refuse such objects",
    )


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
