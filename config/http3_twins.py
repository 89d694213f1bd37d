"""The UDP half of an entry point that serves HTTP/3: an address of its own, under a name that leads back."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Final

from config.static_entrypoint import EntryPoint, parse_address

SUFFIX: Final = "/http3"
EXTRA: Final = "pointsman[http3]"
_PACKAGES: Final = ("aioquic", "pylsqpack")


def is_installed() -> bool:
    """Is the extra there? Nothing of it is imported to find out."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


def is_twin(name: str) -> bool:
    """Is this the name of a twin, not of an entry point?"""
    return name.endswith(SUFFIX)


def owner_of(twin: str) -> str:
    """The entry point that a twin belongs to.

    >>> owner_of("websecure/http3")
    'websecure'
    """
    return twin.removesuffix(SUFFIX)


def twin_address(address: str) -> str:
    """The address of an entry point's twin.

    >>> twin_address("[::1]:443/tcp")
    '[::1]:443/udp'
    """
    return f"{address.partition('/')[0]}/udp"


def with_twins(entry_points: Mapping[str, EntryPoint]) -> dict[str, EntryPoint]:
    """The entry points, each with HTTP/3 followed by its twin. Addresses must have been checked."""
    points: dict[str, EntryPoint] = {}
    for name, point in entry_points.items():
        points[name] = point
        if point.http3 is not None and parse_address(point.address).protocol == "tcp":
            points[name + SUFFIX] = EntryPoint(address=twin_address(point.address), reuse_port=point.reuse_port)
    return points
