"""What a handler is made of, in short: two that do the same have equal shapes, whenever each of them was built.

Followed are closures, bound methods and the members of objects of ours; shared things that live longer than a
configuration (wheels, boards, cells) are only named.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_ONLY_NAMED: Final = frozenset(
    (
        "Cells",
        "Environment",
        "HealthBoard",
        "HealthWatch",
        "Ledger",
        "Logger",
        "Prober",
        "Random",
        "SharedState",
        "Surroundings",
        "TimerWheel",
        "Transport",
        "TransportBook",
        "Words",
        "deque",
    )
)
_OURS: Final = ("workers.", "tls.", "tests.")
_PLAIN: Final = (str, bytes, int, bool, type(None), msgspec.Struct)
_LARGEST_NUMBER: Final = 1 << 20
"""A key above is an identity, which says nothing."""


class Shapes:
    """Of the objects of one configuration. `names`: what to say of certain ones, by identity."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._known: dict[int, str] = {}

    def of(self, value: Any) -> str:
        """A digest: what is reached on many ways is looked at once."""
        if id(value) in self._names:
            return self._names[id(value)]
        if isinstance(value, _PLAIN):
            return repr(value)
        kind = type(value).__name__
        if kind in _ONLY_NAMED or isinstance(value, float):
            return kind
        if id(value) not in self._known:
            self._known[id(value)] = kind  # while it is looked into: what leads back to it ends here
            parts = _parts(value)
            if parts is not None:
                members = sorted((repr(key), self.of(one)) for key, one in parts[1].items())
                digest = hashlib.blake2b(repr((parts[0], members)).encode(), digest_size=16)
                self._known[id(value)] = f"{kind} {digest.hexdigest()}"
        return self._known[id(value)]


def _parts(value: Any) -> tuple[str, dict[Any, Any]] | None:
    """A label and what is inside by key; None for what is not looked into."""
    kind = type(value).__name__
    if isinstance(value, types.MethodType):
        return value.__func__.__qualname__, {"self": value.__self__}
    if isinstance(value, types.FunctionType):
        cells = {number: cell.cell_contents for number, cell in enumerate(value.__closure__ or ())}
        return value.__qualname__, cells | {"defaults": value.__defaults__}
    if isinstance(value, Mapping):
        return kind, {_key(key): one for key, one in value.items()}
    if isinstance(value, list | tuple):
        return kind, dict(enumerate(value))
    if type(value).__module__.startswith(_OURS):
        slots = [name for one in type(value).__mro__ for name in getattr(one, "__slots__", ())]
        return kind, {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(
            value, "__dict__", {}
        )
    return None


def _key(key: Any) -> Any:
    return "identity" if isinstance(key, int) and key > _LARGEST_NUMBER else key
