"""Cycles among TraefikServices, as far as they can be told from the objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provider.resources.traefik import LoadBalancerSpec
from provider.resources.traefik_services import TraefikService, TraefikServiceSpec
from provider.translate import cycles
from provider.translate.references import OWN_SUFFIX
from provider.translate.view import View

KIND: Final = "TraefikService"


def cycle_from(view: View, namespace: str, name: str) -> list[str]:
    """As `cycles.cycle_from`, among TraefikServices."""
    return cycles.cycle_from(view, KIND, (namespace, name), lambda place: _children(view, place))


def _children(view: View, place: cycles.Place) -> Iterator[cycles.Place]:
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
