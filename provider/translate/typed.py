"""The plain `spec` of an object -> its struct, naming on the way what the struct does not know.

The API server drops unknown fields before anyone sees them; manifests on disk do not pass it, and there a typing
error would otherwise be silence.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Collection
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from provider.findings import Rejected, Report
from provider.resources.core import Resource
from provider.resources.decode import located, without_nulls

S = TypeVar("S", bound=Resource)

_INT64: Final = range(-(1 << 63), 1 << 63)


def typed(report: Report, plain: Any, struct: type[S], field: str) -> S:
    """`plain` as `struct`; `field` is its path. Reports unknown fields; raises Rejected for wrong types."""
    _look(report, plain, _of_struct(struct), field)
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(plain, struct)
    try:
        return msgspec.convert(without_nulls(plain), struct)
    except msgspec.ValidationError as error:
        message, path = located(error)
        raise _malformed(message, f"{field}.{path}" if path else field) from error


def nearest(name: str, known: Collection[str]) -> str:
    """The one of `known` that `name` may have been meant for, empty if none is close.

    >>> nearest("basicauht", ["basicAuth", "digestAuth"])
    'basicAuth'
    """
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else ""


def _malformed(message: str, field: str) -> Rejected:
    return Rejected(
        "Malformed",
        f"{message}; the object is treated as absent",
        field=field,
        advice="correct the field; applying the current CRDs lets the API server refuse such objects",
    )


def _look(report: Report, value: Any, type_: inspect.Type | None, field: str) -> None:
    """Report names that `type_` does not know, at any depth. Raises Rejected for numbers that no one can carry."""
    if isinstance(type_, inspect.UnionType):
        type_ = next((one for one in type_.types if not isinstance(one, inspect.NoneType)), None)
    if isinstance(type_, inspect.StructType) and isinstance(value, dict):
        known = _members(type_.cls)
        for name, member in value.items():
            if name in known:
                _look(report, member, known[name], f"{field}.{name}")
            else:
                _unknown(report, str(name), known, f"{field}.{name}")
    elif isinstance(type_, inspect.ListType) and isinstance(value, list):
        for index, member in enumerate(value):
            _look(report, member, type_.item_type, f"{field}[{index}]")
    elif isinstance(type_, inspect.DictType) and isinstance(value, dict):
        for name, member in value.items():
            _look(report, member, type_.value_type, f"{field}.{name}")
    elif isinstance(value, int) and not isinstance(type_, inspect.AnyType) and value not in _INT64:
        raise _malformed("the number does not fit 64 bits", field)


def _unknown(report: Report, name: str, known: Collection[str], field: str) -> None:
    report.warning(
        "UnknownField",
        f"{name} is not a field and has no effect",
        field=field,
        advice=advice_for_unknown(name, known),
    )


def advice_for_unknown(name: str, known: Collection[str]) -> str:
    """What to do about a name that is none of `known`."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else "remove it"


@functools.cache
def _of_struct(struct: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(struct)


@functools.cache
def _members(struct: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    info = _of_struct(struct)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: field.type for field in info.fields}
