"""Middlewares that come in other people's Python packages.

A package offers one as an entry point of the group GROUP; the entry point's name is what users write under
`spec.plugin`. Which ones there are is a property of the installation, so provider and workers see the same.
Nothing is imported here but the packages' metadata.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

GROUP: Final = "pointsman.plugins"


@cache
def installed_plugins() -> dict[str, EntryPoint]:
    """Entry points by name; of two packages with one name the first on the search path has it."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found
