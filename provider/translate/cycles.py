"""Cycles among objects that refer to each other: a walk over who leads to whom.

Every object on the walk counts as read, so a finding goes when the cycle is opened anywhere. The walk is limited:
what lies behind a great many objects is not looked for, and the workers find it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from provider.resources.kinds import ObjectKey
from provider.translate.references import may_refer
from provider.translate.view import View

Place = tuple[str, str]
"""Namespace and name."""

LARGEST_WALK: Final = 100
"""Objects that are looked at on one walk."""


def cycle_from(view: View, kind: str, start: Place, children: Callable[[Place], Iterator[Place]]) -> list[str]:
    """The way from an object into a cycle and round it, each as `namespace/name`; empty if there is none.

    The first and the last are equal if the object is part of the cycle itself. `children` says which objects of
    the kind another one names; those that it may not name do not count.
    """
    way = {start: children(start)}
    done: set[Place] = set()
    while way:
        place, ahead = next(reversed(way.items()))
        child = next(ahead, None)
        if child is None:
            done.add(place)
            del way[place]
        elif not may_refer(view, ObjectKey(kind, *place), ObjectKey(kind, *child)):
            continue
        elif child in way:
            return [f"{one[0]}/{one[1]}" for one in (*way, child)]
        elif child not in done and len(way) + len(done) < LARGEST_WALK:
            way[child] = children(child)
    return []
