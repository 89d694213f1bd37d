"""TraefikService, typed: services composed of others.

As in `traefik.py` every value may be nonsense here. Of several types in one object the first of the spec counts.
"""

from __future__ import annotations

from provider.resources.core import Int64, Metadata, Resource
from provider.resources.traefik import LoadBalancerSpec, Sticky


class WeightedRoundRobin(Resource, frozen=True, kw_only=True):
    services: list[LoadBalancerSpec] = []
    sticky: Sticky | None = None


class MirrorService(LoadBalancerSpec, frozen=True, kw_only=True):
    """Gets a copy of `percent` of the requests."""

    percent: Int64 = 0


class Mirroring(LoadBalancerSpec, frozen=True, kw_only=True):
    """The service answers. `mirror_body` None means true. `max_body_size` in bytes, None and -1: no limit."""

    mirror_body: bool | None = None
    max_body_size: Int64 | None = None
    mirrors: list[MirrorService] = []


class HighestRandomWeight(Resource, frozen=True, kw_only=True):
    services: list[LoadBalancerSpec] = []


class FailoverErrors(Resource, frozen=True, kw_only=True):
    """Answers that count as failure: codes and ranges of codes. Bytes None and -1: no limit."""

    max_request_body_bytes: Int64 | None = None
    status: list[str] = []


class Failover(Resource, frozen=True, kw_only=True):
    service: LoadBalancerSpec = LoadBalancerSpec()
    fallback: LoadBalancerSpec = LoadBalancerSpec()
    errors: FailoverErrors | None = None


class TraefikServiceSpec(Resource, frozen=True, kw_only=True):
    """In the order in which they count."""

    weighted: WeightedRoundRobin | None = None
    mirroring: Mirroring | None = None
    highest_random_weight: HighestRandomWeight | None = None
    failover: Failover | None = None


class TraefikService(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: TraefikServiceSpec = TraefikServiceSpec()
