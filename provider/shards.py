"""One shard of a section: its objects, each encoded once, and the bytes that they make together.

A shard holds a few dozen objects of which a change concerns one, so what is left of encoding is to put bytes one
after the other. Objects with certificates and keys are large: they are kept as they are and encoded when needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgpack
import msgspec

from config.generation import RoutingShard, TLSShard, encode_section
from config.shape import Shape

_SHAPES: Final[dict[str, type[Shape]]] = {"routing": RoutingShard, "tls": TLSShard}
_USUAL_SIZES: Final = 1024
_KEPT_AS_THEY_ARE: Final = frozenset(("tls",))
_WIRE_NAMES: Final = {
    section: {field.name: field.encode_name for field in msgspec.structs.fields(shape)}
    for section, shape in _SHAPES.items()
}


class Shard:
    """Objects by member of the section's struct and by name; `endpoints` has no members, only names."""

    __slots__ = ("_is_encoded", "_members", "_orders", "_wire_names")

    def __init__(self, section: str) -> None:
        self._is_encoded = section not in _KEPT_AS_THEY_ARE
        self._wire_names = _WIRE_NAMES.get(section)
        self._members: dict[str, dict[str, Any]] = {}
        self._orders: dict[str, list[str]] = {}
        """Names of the members' objects as they are written, for as long as none comes or goes."""

    def put(self, name: str, value: Any | None, member: str = "") -> bool:
        """Exchange one object (None: it is gone); whether the shard's bytes are others now."""
        entry = value if value is None or not self._is_encoded else _encoded(name, value)
        return self._put(name, entry, member)

    def put_encoded(self, name: str, value: bytes | None) -> bool:
        """As `put`, of a shard without members."""
        return self._put(name, None if value is None else encode_section(name) + value, "")

    def _put(self, name: str, entry: Any | None, member: str) -> bool:
        objects = self._members.setdefault(member, {})
        known = objects.get(name)
        if known == entry:
            return False
        if entry is None:
            del objects[name]
        else:
            objects[name] = entry
        if known is None or entry is None:
            self._orders.pop(member, None)
        return True

    def entry(self, name: str) -> bytes | None:
        """Name and value as they are encoded, of a shard without members."""
        found: bytes | None = self._members.get("", {}).get(name)
        return found

    def __bool__(self) -> bool:
        return any(self._members.values())

    def encode(self) -> bytes:
        """The bytes that `encode_section` makes of the same objects in one struct, or of a map of them."""
        if self._wire_names is None:
            return self._map("")
        named = sorted((self._wire_names[member], member) for member, objects in self._members.items() if objects)
        pieces = [_map_header(len(named))]
        for wire_name, member in named:
            pieces += (encode_section(wire_name), self._map(member))
        return b"".join(pieces)

    def _map(self, member: str) -> bytes:
        objects = self._members.get(member, {})
        order = self._orders.get(member)
        if order is None:
            order = self._orders[member] = sorted(objects)
        entries = map(objects.__getitem__, order)
        pieces = entries if self._is_encoded else map(_encoded, order, entries)
        return b"".join((_map_header(len(objects)), *pieces))

    def __repr__(self) -> str:
        return f"<Shard of {sum(map(len, self._members.values()))}>"


def _encoded(name: str, value: Any) -> bytes:
    return encode_section(name) + encode_section(value)


@lru_cache(_USUAL_SIZES)
def _map_header(count: int) -> bytes:
    header: bytes = msgpack.Packer().pack_map_header(count)
    return header
