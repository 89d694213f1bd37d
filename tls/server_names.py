"""Host names as TLS sees them: one spelling for each, and a table that finds them in constant time.

Every comparison in this room goes through `normalize_server_name`, so upper case, a trailing dot or an address
in another spelling can never reach a weaker option or another certificate than the plain name does.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

CATCH_ALL: Final = "*"


@functools.lru_cache(maxsize=1024)  # two looks at each connection's name; names are no longer than 255 bytes there
def normalize_server_name(name: str) -> str:
    """Lower case, surrounding blanks and one trailing dot removed, IP addresses in their shortest form.

    >>> normalize_server_name("WWW.Example.com.")
    'www.example.com'
    >>> normalize_server_name("2001:DB8:0::1")
    '2001:db8::1'
    """
    name = name.strip().lower().removesuffix(".")
    if ":" in name or name[-1:].isdigit():
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            return name
    return name


def wildcard_suffix(name: str) -> str:
    """The part behind `*.` of a wildcard name, else empty.

    >>> wildcard_suffix("*.example.com"), wildcard_suffix("example.com")
    ('example.com', '')
    """
    return name[2:] if name.startswith("*.") else ""


def parent_name(name: str) -> str:
    """The name without its first label, empty for a single label.

    >>> parent_name("www.example.com")
    'example.com'
    """
    label, _, rest = name.partition(".")
    return rest if label else ""


class NameTable(Generic[Value]):
    """Exact names, wildcards of one label and a catch-all `*`; exact beats wildcard beats catch-all.

    Immutable once made; a lookup is two dictionary reads however many names there are.
    """

    __slots__ = ("_catch_all", "_exact", "_wildcard")

    def __init__(self, entries: Iterable[tuple[str, Value]] = ()) -> None:
        """`entries`: names in any spelling; a later entry replaces an earlier one of the same name."""
        self._exact: dict[str, Value] = {}
        self._wildcard: dict[str, Value] = {}
        self._catch_all: Value | None = None
        for spelled, value in entries:
            self._put(normalize_server_name(spelled), value)

    def replaced(self, removed: Iterable[str], added: Mapping[str, Value]) -> NameTable[Value]:
        """A table without the names `removed` (unknown ones are ignored) and with `added`; all normalized.

        Only dictionaries are copied: the cost follows the change.
        """
        other: NameTable[Value] = NameTable()
        other._exact, other._wildcard = self._exact.copy(), self._wildcard.copy()
        other._catch_all = self._catch_all
        for name in removed:
            other._drop(name)
        for name, value in added.items():
            other._put(name, value)
        return other

    def _put(self, name: str, value: Value) -> None:
        if name == CATCH_ALL:
            self._catch_all = value
        elif suffix := wildcard_suffix(name):
            self._wildcard[suffix] = value
        else:
            self._exact[name] = value

    def _drop(self, name: str) -> None:
        if name == CATCH_ALL:
            self._catch_all = None
        elif suffix := wildcard_suffix(name):
            self._wildcard.pop(suffix, None)
        else:
            self._exact.pop(name, None)

    def find(self, name: str) -> Value | None:
        """`name`: normalized; the empty name (no SNI) only meets the catch-all."""
        found = self._exact.get(name)
        if found is None:
            found = self._wildcard.get(parent_name(name))
        return self._catch_all if found is None else found

    def find_named(self, name: str) -> Value | None:
        """As `find`, but the catch-all is no answer."""
        found = self._exact.get(name)
        return self._wildcard.get(parent_name(name)) if found is None else found

    @property
    def has_catch_all(self) -> bool:
        return self._catch_all is not None

    def __len__(self) -> int:
        return len(self._exact) + len(self._wildcard) + (self._catch_all is not None)
