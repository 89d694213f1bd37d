"""Cycles among TraefikServices: a walk over who refers to whom, as far as that can be told from the objects.

Every object on the walk counts as read, so the finding goes when the cycle is opened anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provider.resources.traefik import LoadBalancerSpec
from provider.resources.traefik_services import TraefikService, TraefikServiceSpec
from provider.translate.references import OWN_SUFFIX
from provider.translate.view import View

KIND: Final = "TraefikService"

_Place = tuple[str, str]
"""Namespace and name."""


def cycle_from(view: View, namespace: str, name: str) -> list[str]:
    """The way from an object into a cycle and round it, each as `namespace/name`; empty if there is none.

    The first and the last are equal if the object is part of the cycle itself.
    """
    start = (namespace, name)
    way = {start: _children(view, start)}
    done: set[_Place] = set()
    while way:
        place, children = next(reversed(way.items()))
        child = next(children, None)
        if child is None:
            done.add(place)
            del way[place]
        elif child in way:
            return [f"{one[0]}/{one[1]}" for one in (*way, child)]
        elif child not in done:
            way[child] = _children(view, child)
    return []


def _children(view: View, place: _Place) -> Iterator[_Place]:
    found: TraefikService | None = view.get(KIND, *place)
    for spec in references(found.spec) if found is not None else ():
        if spec.kind != KIND:
            continue
        if "@" not in spec.name:
            yield spec.namespace or place[0], spec.name
        elif spec.name.endswith(OWN_SUFFIX) and spec.namespace:
            yield spec.namespace, spec.name.removesuffix(OWN_SUFFIX)


def references(spec: TraefikServiceSpec) -> list[LoadBalancerSpec]:
    """What an object leads to, by the one type of it that counts."""
    if spec.weighted is not None:
        return spec.weighted.services
    if spec.mirroring is not None:
        return [spec.mirroring, *spec.mirroring.mirrors]
    if spec.highest_random_weight is not None:
        return spec.highest_random_weight.services
    return [spec.failover.service, spec.failover.fallback] if spec.failover is not None else []
