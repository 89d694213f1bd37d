"""Laws of every struct that travels."""

import msgspec
import pytest
from msgspec import inspect

from config.dynamic import SECTIONS
from config.shape import Shape
from tests.config.shapes import shapes_below

SHAPES = sorted(
    {shape for section in SECTIONS.values() for shape in shapes_below(section.type)},
    key=lambda shape: shape.__name__,
)


def everything(shape: type[Shape]) -> Shape:
    """An instance in which every field differs from its default."""
    return msgspec.convert(_value(inspect.type_info(shape)), shape)


def _value(kind: inspect.Type) -> object:
    if isinstance(kind, inspect.StructType):
        return {field.encode_name: _value(field.type) for field in kind.fields}
    if isinstance(kind, inspect.UnionType):
        return _value(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    if isinstance(kind, inspect.ListType):
        return [_value(kind.item_type)]
    if isinstance(kind, inspect.DictType):
        return {"k": _value(kind.value_type)}
    if isinstance(kind, inspect.BoolType):
        return True
    return 7 if isinstance(kind, inspect.IntType) else "text"


@pytest.mark.parametrize("shape", SHAPES)
def test_survives_msgpack_and_json(shape: type[Shape]) -> None:
    value = everything(shape)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=shape) == value
    assert msgspec.json.decode(msgspec.json.encode(value), type=shape) == value


@pytest.mark.parametrize("shape", SHAPES)
def test_required_is_only_what_the_original_always_prints(shape: type[Shape]) -> None:
    required = {field.encode_name for field in msgspec.structs.fields(shape) if field.required}
    assert required <= {"passHostHeader", "passthrough"}


@pytest.mark.parametrize("shape", SHAPES)
def test_unknown_members_are_skipped(shape: type[Shape]) -> None:
    value = msgspec.to_builtins(everything(shape)) | {"fromTheFuture": {"a": [1]}}
    assert msgspec.convert(value, shape) == everything(shape)


def test_immutable() -> None:
    for shape in SHAPES:
        value = everything(shape)
        with pytest.raises(AttributeError):
            setattr(value, shape.__struct_fields__[0], None)
